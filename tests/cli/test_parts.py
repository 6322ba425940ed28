"""A job in parts as processes: at once, twice, killed at any moment; the result is that of one process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
SHAPE = (4, 130, 140)
TILES = ("--tile", "64", "--halo", "64", "--batch", "1", "--no-cache")
TIMES = ("seconds", "mpps", "encoder_calls")  # of a killed part its last run counts


@pytest.fixture
def options(tiny_series_model):
    """Options of a run that measures, chooses and looks at neighbours."""
    return ("--model", tiny_series_model, "--device", "cpu", "--neighbours", "T", *TILES)


@pytest.fixture
def image(tmp_path, write_stack):
    return write_stack(tmp_path / "cells.tif", SHAPE)


@pytest.fixture
def whole(start, options, image, tmp_path):
    """What one process makes: ``whole(name)`` gives its files and its record."""

    def make(name, *more, words=("denoise",)):
        target = tmp_path / "whole" / name
        process = start(*words, image, target, *options, *more)
        assert process.wait(300) == 0, process.communicate()
        return contents(target), record_of(target)

    return make


def contents(path: Path):
    if path.is_file():
        return path.read_bytes()
    return {file.relative_to(path): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def record_of(target: Path):
    content = json.loads(target.with_name(target.name + ".job.json").read_text())
    for name in TIMES:
        del content["report"][name]
    return content


def ended(process, code=0):
    stdout, told = process.communicate(timeout=300)
    assert process.returncode == code, told
    assert "Traceback" not in told
    return stdout, told


def check(target, expected):
    assert (contents(target), record_of(target)) == expected
    assert sorted(p.name for p in target.parent.iterdir()) == [target.name, f"{target.name}.job.json"]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "count"), [("a.ome.zarr", 2), ("a.ome.zarr", 4), ("a.ome.tif", 2)])
def test_parts_at_once(start, options, image, whole, tmp_path, name, count):
    target = tmp_path / "parts" / name
    running = [start("denoise", image, target, *options, "--part", f"{k + 1}/{count}") for k in range(count)]
    told = [ended(process) for process in running]
    assert all(stdout == "" for stdout, _ in told)
    assert sum("--finish makes" in errors for _, errors in told) >= 1
    assert not target.exists()
    stdout, _ = ended(start("denoise", image, target, *options, "--finish"))
    assert stdout == f"{target}\n"
    check(target, whole(name))


# Each process is a fork of one that has imported all there is to import: it is killed while it works.
KILLING = r"""
import importlib
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

names = "cli api cache io.output.zarr_writer io.tiff.reader io.output.parts jobs.parts stream.pipeline"
for name in (*names.split(), "store.writer"):
    importlib.import_module("napari_rdpdenoise." + name)
import compressai.entropy_models
import torch
import zarr

target, wanted, count, given = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]
chance = random.Random(0)


def begin(step):
    child = os.fork()
    if child == 0:
        code = 1
        try:
            sys.argv = ["napari-rdpdenoise", *given, *step]
            os.dup2(os.open(target.parent.parent / "told", os.O_CREAT | os.O_WRONLY | os.O_APPEND), 2)
            os.dup2(2, 1)
            importlib.import_module("napari_rdpdenoise.cli").main()
            code = 0
        except SystemExit as end:
            code = end.code or 0
        finally:
            os._exit(code)
    return child


def end(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def contents(path):
    return {file.relative_to(path): file.read_bytes() for file in path.rglob("*") if file.is_file()}


steps = (*(("--part", f"{number}/{count}") for number in range(1, count + 1)), ("--finish",))
usual = {}
for step in steps:
    began = time.monotonic()
    assert end(begin(step)) == 0, step
    usual[step] = time.monotonic() - began
expected, kills, resumed = contents(target.parent), 0, 0
while kills < wanted:
    shutil.rmtree(target.parent)
    beside = begin(steps[1]) if chance.random() < 0.5 else None
    for step in steps:
        for _ in range(3):
            child = begin(step)
            twin = begin(step) if chance.random() < 0.2 else None
            time.sleep(chance.random() * usual[step])
            os.kill(child, signal.SIGKILL)
            kills += end(child) == -signal.SIGKILL
            if twin is not None:
                os.kill(twin, signal.SIGKILL)
                kills += end(twin) == -signal.SIGKILL
        if beside is not None:
            assert end(beside) == 0
            beside = None
        assert end(begin(step)) == 0, step
    found = contents(target.parent)
    assert found.keys() == expected.keys(), sorted(found.keys() ^ expected.keys())
    different = [str(name) for name in found if found[name] != expected[name]]
    assert different == [target.name + ".job.json"], different
print(kills)
"""


@pytest.mark.slow
@POSIX
@pytest.mark.parametrize(
    ("name", "words", "count"),
    [("a.ome.zarr", ["denoise"], 4), ("a.ome.tif", ["denoise"], 2), ("a.ome.zarr", ["store", "create"], 2)],
)
def test_processes_killed_at_twenty_random_moments(
    start, options, image, whole, tmp_path, name, words, count
):
    """Parts, twins of parts and who finishes are killed and run again: files and record are whole."""
    target = tmp_path / "parts" / name
    target.parent.mkdir()
    given = [*words, image, target, *options, "--rate", "0.5"]
    command = [sys.executable, "-c", KILLING, target, 20, count, *given]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=550)
    assert done.returncode == 0, done.stderr
    told = (tmp_path / "told").read_text(encoding="utf-8")
    assert int(done.stdout) >= 20
    assert "Traceback" not in told
    check(target, whole(name, "--rate", "0.5", words=words))


@pytest.mark.slow
def test_one_part_twice_and_two_finishes_at_once(start, options, image, whole, tmp_path):
    target = tmp_path / "parts" / "a.ome.zarr"
    twice = [start("denoise", image, target, *options, "--part", part) for part in ("1/2", "1/2", "2/2")]
    for process in twice:
        ended(process)
    both = [start("denoise", image, target, *options, "--finish") for _ in range(2)]
    answers = [(process.communicate(timeout=300), process.returncode) for process in both]
    assert 0 in [code for _, code in answers]
    for (stdout, told), code in answers:
        assert "Traceback" not in told
        if code == 0:
            assert stdout == f"{target}\n"
        else:
            assert (stdout, code) == ("", 2)
            assert "finishing it" in told
    check(target, whole("a.ome.zarr"))


@pytest.mark.slow
def test_a_scheduler_of_this_machine(start, options, image, whole, tmp_path):
    pytest.importorskip("distributed", reason="the extra cluster is not installed")
    target = tmp_path / "parts" / "a.ome.zarr"
    given = ("--rate", "0.5")
    stdout, told = ended(start("denoise", image, target, *options, *given, "--scheduler", "local:2"))
    assert stdout == f"{target}\n"
    assert "8 parts on 2 threads of 2 workers" in told
    assert "distributed." not in told
    check(target, whole("a.ome.zarr", *given))


def test_what_is_missing_or_different_is_said_and_nothing_is_lost(run, quick, tmp_path, write_stack):
    image, target = write_stack(tmp_path / "a.tif", (4, 70, 90)), tmp_path / "r.ome.tif"
    denoise = lambda *more: run("denoise", image, target, *quick, "--tile", "64", *more)  # noqa: E731
    for arguments, words in (
        (("--part", "3/2"), "part: expected a number from 1 to the number of parts, found 3/2"),
        (("--part", "two"), "part: expected NUMBER/PARTS, found 'two'"),
        (("--part", "1/2", "--finish"), "--part, --finish: expected one of them, found 2"),
        (("--scheduler", "here"), "scheduler: expected an address such as tcp://host:8786, or local:N"),
        (("--finish",), "part: expected parts of"),
    ):
        answer = denoise(*arguments)
        assert (answer.exit_code, answer.stdout) == (2, "")
        assert f"error: {words}" in answer.stderr
    answer = denoise("--part", "2/3")
    assert (answer.exit_code, answer.stdout) == (0, ""), answer.stderr
    assert "1 of 3 parts are done; left: 1 and 3." in answer.stderr
    for arguments, words in (
        (("--finish",), "finish: expected all 3 parts of r.ome.tif to be done, found 1 and 3 missing; run"),
        (("--part", "1/3", "--seed", "4"), "seed 0 there, 4 here"),
        (("--part", "1/4"), "3 parts there, 4 here"),
        ((), "output: expected a place that nobody else writes to, found a job that is done in parts"),
    ):
        answer = denoise(*arguments)
        assert (answer.exit_code, answer.stdout) == (2, "")
        assert words in answer.stderr
    for number in (1, 3):
        assert denoise("--part", f"{number}/3").exit_code == 0
    answer = denoise("--finish")
    assert (answer.exit_code, answer.stdout) == (0, f"{target}\n"), answer.stderr
    whole = tmp_path / "whole" / "r.ome.tif"
    assert run("denoise", image, whole, *quick, "--tile", "64").exit_code == 0
    assert target.read_bytes() == whole.read_bytes()


LOADED = """
import sys
from napari_rdpdenoise.cli import main
sys.argv = ["napari-rdpdenoise", *sys.argv[1:]]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
heavy = {"torch", "compressai", "dask", "scipy.ndimage", "scipy.stats", "napari"}
print("LOADED", sorted(heavy & set(sys.modules)))
"""


@pytest.mark.parametrize("name", ["r.ome.zarr", "r.ome.tif"])
def test_what_is_done_and_who_finishes_loads_no_torch(run, quick, tmp_path, write_stack, name):
    command = ("denoise", write_stack(tmp_path / "a.tif", (2, 70, 90)), tmp_path / name, *quick)
    assert run(*command, "--part", "1/1").exit_code == 0
    for step in (("--part", "1/1"), ("--finish",), ("--finish",)):
        code = [sys.executable, "-c", LOADED, *map(str, command), *step]
        answer = subprocess.run(code, capture_output=True, text=True, check=True)
        assert answer.stdout.splitlines()[-1] == "LOADED []", step
    assert (tmp_path / name).exists()


def test_a_folder_of_images_is_divided_image_by_image(run, quick, tmp_path, write_stack):
    for name in "ab":
        write_stack(tmp_path / "in" / f"{name}.tif", (3, 70, 90))
    command = ("denoise", str(tmp_path / "in" / "*.tif"), tmp_path / "out", *quick, "--tile", "64")
    for number in (1, 2):
        answer = run(*command, "--part", f"{number}/2")
        assert (answer.exit_code, answer.stdout) == (0, ""), answer.stderr
    answer = run(*command, "--finish")
    assert answer.exit_code == 0, answer.stderr
    assert answer.stdout.split() == [str(tmp_path / "out" / f"{name}.ome.tif") for name in "ab"]
    assert np.prod([path.exists() for path in map(Path, answer.stdout.split())]) == 1
