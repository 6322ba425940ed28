"""Every script in `examples/` runs, in its own process, and shows what it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

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
