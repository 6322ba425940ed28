"""Every script in `examples/` runs, in its own process, and shows what it says."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(name: str, model: Path, folder: Path) -> str:
    command = [sys.executable, str(EXAMPLES / name), "--model", str(model), "--size", "96"]
    environment = {**os.environ, "TMPDIR": str(folder), "TEMP": str(folder)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_script_is_short_and_has_a_test():
    tested = {"compress_tile.py", "denoise_array.py", "realism.py", "scripted_viewer.py", "stream_stack.py"}
    scripts = {path.name: len(path.read_text("utf-8").splitlines()) for path in EXAMPLES.glob("*.py")}
    assert set(scripts) == tested
    assert max(scripts.values()) <= 40


@pytest.mark.slow
def test_denoise_array_prints_both_rows(tiny_model, tmp_path):
    out = run("denoise_array.py", tiny_model, tmp_path)
    means = [float(value) for value in re.findall(r"^(?:noisy|denoised) .* ([\d.]+)$", out, re.M)]
    assert means == pytest.approx([means[0]] * 2, rel=0.02)


@pytest.mark.slow
def test_stream_stack_encodes_only_once(tiny_model, tmp_path):
    out = run("stream_stack.py", tiny_model, tmp_path)
    calls = dict(re.findall(r"^(\S+): 3/3 tiles, (\d+) encoder calls", out, re.M))
    assert int(calls["denoised.ome.zarr"]) > 0
    assert calls["denoised.ome.tif"] == "0"
    folder = Path(out.split("written to ")[1].strip())
    assert sorted(path.name for path in folder.glob("denoised*")) == ["denoised.ome.tif", "denoised.ome.zarr"]


@pytest.mark.slow
def test_compress_tile_sizes_agree_with_the_estimates(tiny_model, tmp_path):
    out = run("compress_tile.py", tiny_model, tmp_path)
    rows = [[float(value) for value in line.split()] for line in out.splitlines()[1:]]
    assert [row[0] for row in rows] == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1])
    for _, size, estimate, bpp, _ in rows:
        assert bpp == pytest.approx(8 * size / 96**2, abs=1e-3)
        assert estimate == pytest.approx(size, rel=0.1)


@pytest.mark.slow
def test_realism_encodes_only_once(tiny_model, tiny_realism_model, tmp_path):
    out = run("realism.py", tiny_realism_model, tmp_path)
    assert re.findall(r"^realism (\S+):", out, re.M) == ["0", "0.5", "1"]
    assert "encoder calls: 1\n" in out
    assert re.findall(r"^realism (\S+):", run("realism.py", tiny_model, tmp_path), re.M) == ["0"]


@pytest.mark.slow
@pytest.mark.display
def test_scripted_viewer_saves_what_it_shows(tiny_realism_model, tmp_path):
    from skimage.io import imread

    out = run("scripted_viewer.py", tiny_realism_model, tmp_path)
    assert re.findall(r"^rate (auto|0.2), realism ([\d.]+): [\d.]+ bits/pixel$", out, re.M) == [
        ("auto", "0.0"),
        ("0.2", "0.5"),
    ]
    assert "layers: cells, cells denoised, cells preview\n" in out
    folder = Path(out.split("written to ")[1].strip())
    assert {path.name for path in folder.iterdir()} >= {"cells.ome.zarr", "rate-auto.png", "rate-0.2.png"}
    first, second = (imread(folder / f"rate-{rate}.png")[..., :3] for rate in ("auto", "0.2"))
    assert first.std() > 1, "the window was black"
    assert (first != second).any()


# As `sbatch` it starts what it is given at once, as plain processes, and notes how it was called.
SBATCH = r"""
import json, os, subprocess, sys
options = [word for word in sys.argv[1:] if word.startswith("--")][: 2 if "--parsable" in sys.argv else 1]
command = ["bash", *sys.argv[1 + len(options):]]
with open(os.environ["SENT"], "a") as file:
    print(json.dumps(options), file=file)
environment = {**os.environ, "SLURM_JOB_ID": "7", "SLURM_CPUS_PER_TASK": "1"}
array = [word.removeprefix("--array=1-") for word in options if word.startswith("--array")]
tasks = [{"SLURM_ARRAY_TASK_ID": str(k + 1)} for k in range(int(array[0]))] if array else [{}]
running = [subprocess.Popen(command, env={**environment, **task}, stdout=sys.stderr) for task in tasks]
codes = [process.wait() for process in running]
print(7)
sys.exit(max(codes))
"""
PROGRAM = "import sys; from napari_rdpdenoise.cli import main; sys.argv[0] = 'napari-rdpdenoise'; main()"


def scripts_of(text, given, parts):
    """What the tasks of ``parts.nf`` run: a script for each part, and the one that finishes.

    What stands in ``${...}`` has to be known here, so that nothing is left as it is by mistake.
    """
    functions = {f"{name}()": body for name, body in re.findall(r'def (\w+)\(\) \{\s*"(.*)"\s*\}', text)}
    scripts = dict(re.findall(r'process (\w+) \{.*?script:\s*"""(.*?)"""\s*\}', text, re.DOTALL))
    assert set(scripts) == {"part", "finish"}
    assert re.search(r"finish\(part\(channel\.of\(1\.\.\(params\.parts as Integer\)\)\)\.collect\(\)\)", text)

    def filled(script, **more):
        known = {"params.parts": parts, "task.cpus": 1, **given, **functions, **more}
        while "${" in script:
            script = re.sub(r"\$\{(.*?)\}", lambda found: str(known[found[1]]), script)
        return script

    return [filled(scripts["part"], number=k + 1) for k in range(parts)], filled(scripts["finish"])


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
class TestParts:
    @pytest.fixture
    def shell(self, tmp_path, monkeypatch):
        """Run a script with bash; ``napari-rdpdenoise`` and ``sbatch`` are on the path."""
        for name, code in (("napari-rdpdenoise", PROGRAM), ("sbatch", SBATCH)):
            program = tmp_path / "bin" / name
            program.parent.mkdir(exist_ok=True)
            program.write_text(f"#!{sys.executable}\n{code}", encoding="utf-8")
            program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
        monkeypatch.setenv("SENT", str(tmp_path / "sent"))
        monkeypatch.setenv("OMP_NUM_THREADS", "1")
        monkeypatch.delenv("SLURM_JOB_ID", raising=False)

        def call(name, *arguments):
            command = ["bash", str(EXAMPLES / name), *map(str, arguments)]
            return subprocess.run(command, capture_output=True, text=True, timeout=500)

        return call

    @pytest.fixture
    def command(self, tiny_model, tmp_path):
        """Image, and options of a quick run."""
        np.save(tmp_path / "a.npy", np.random.default_rng(0).poisson(40, (4, 70, 90)).astype(np.uint16))
        options = ("--model", tiny_model, "--device", "cpu", "--rate", "0.4", "--tile", "64", "--no-cache")
        return tmp_path / "a.npy", options

    def test_a_slurm_array_makes_one_result(self, shell, command, tmp_path, monkeypatch):
        image, options = command
        monkeypatch.setenv("PARTS", "3")
        done = shell("slurm_array.sh", image, tmp_path / "out" / "r.ome.zarr", *options)
        assert done.returncode == 0, done.stderr
        sent = [json.loads(line) for line in (tmp_path / "sent").read_text().splitlines()]
        assert sent == [["--parsable", "--array=1-3"], ["--dependency=afterok:7"]]
        assert re.findall(r"(\d) of 3 parts are done|All 3 parts are done", done.stderr)
        assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["r.ome.zarr", "r.ome.zarr.job.json"]

    def test_the_scripts_of_nextflow_make_one_result(self, shell, command, tmp_path):
        """Its processes as bash runs them; Nextflow itself is no Python package."""
        image, options = command
        target, options = tmp_path / "out" / "r.ome.zarr", " ".join(map(str, options))
        given = {"file(params.image)": image, "file(params.result)": target, "params.options": options}
        part, finish = scripts_of((EXAMPLES / "parts.nf").read_text(encoding="utf-8"), given, parts=3)
        bash = ["bash", "-ue", "-c"]
        running = [subprocess.Popen([*bash, script], stderr=subprocess.PIPE, text=True) for script in part]
        for process in running:
            _, told = process.communicate(timeout=500)
            assert process.returncode == 0, told
        done = subprocess.run([*bash, finish], capture_output=True, text=True, timeout=300)
        assert (done.returncode, done.stdout) == (0, f"{target}\n"), done.stderr
        assert sorted(p.name for p in target.parent.iterdir()) == ["r.ome.zarr", "r.ome.zarr.job.json"]

    def test_a_loop_of_the_shell_makes_the_result_of_one_process(self, shell, command, tmp_path):
        image, options = command
        done = shell("parts.sh", 2, image, tmp_path / "out" / "r.ome.tif", *options)
        assert done.returncode == 0, done.stderr
        assert done.stdout == f"{tmp_path / 'out' / 'r.ome.tif'}\n"
        program = tmp_path / "bin" / "napari-rdpdenoise"
        whole = [program, "denoise", image, tmp_path / "r.ome.tif", *options]
        subprocess.run(list(map(str, whole)), capture_output=True, check=True, timeout=300)
        assert (tmp_path / "out" / "r.ome.tif").read_bytes() == (tmp_path / "r.ome.tif").read_bytes()

    def test_a_part_that_fails_ends_the_loop_in_words(self, shell, command, tmp_path):
        _, options = command
        done = shell("parts.sh", 2, tmp_path / "none.npy", tmp_path / "r.ome.tif", *options)
        assert done.returncode == 1
        assert done.stdout == ""
        assert done.stderr.count("error: ") == 2
