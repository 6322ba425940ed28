"""A job in parts as processes: at once, twice, killed at any moment; the result is that of one process."""

from __future__ import annotations

import json
import random
import shutil
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
SHAPE = (6, 160, 200)
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

    def make(name):
        target = tmp_path / "whole" / name
        process = start("denoise", image, target, *options)
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


@pytest.mark.slow
@POSIX
def test_parts_killed_at_random_moments(start, options, image, whole, tmp_path):
    """Twenty kills, of a part, of another one, and of who finishes; in between all are run again."""
    target = tmp_path / "parts" / "a.ome.zarr"
    chance = random.Random(0)
    began = time.monotonic()
    ended(start("denoise", image, tmp_path / "first" / "a.ome.zarr", *options, "--part", "1/2"))
    usual = time.monotonic() - began
    kills = 0
    while kills < 20:
        # whole rounds, so that every step is killed, each with another number of parts
        shutil.rmtree(target.parent, ignore_errors=True)
        for step in ("1/2", "2/2", "finish"):
            arguments = ("--finish",) if step == "finish" else ("--part", step)
            while True:
                process = start("denoise", image, target, *options, *arguments)
                twin = chance.random() < 0.2 and step != "finish"
                other = start("denoise", image, target, *options, *arguments) if twin else None
                try:
                    process.wait(chance.uniform(0.1, 1.1) * usual)
                except __import__("subprocess").TimeoutExpired:
                    process.send_signal(signal.SIGKILL)
                    process.wait()
                    kills += 1
                if other is not None:
                    ended(other)
                if process.returncode == 0:
                    break
                assert process.returncode == -signal.SIGKILL, process.communicate()
        expected = whole("a.ome.zarr") if kills >= 20 else None
        found = contents(target), record_of(target)
        if expected is not None:
            check(target, expected)
        rounds = found
    assert rounds == expected


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
            assert (stdout, code) == ("", 1)
            assert "finishing it" in told
    check(target, whole("a.ome.zarr"))


def test_what_is_missing_or_different_is_said_and_nothing_is_lost(run, quick, tmp_path, write_stack):
    image, target = write_stack(tmp_path / "a.tif", (4, 70, 90)), tmp_path / "r.ome.tif"
    denoise = lambda *more: run("denoise", image, target, *quick, "--tile", "64", *more)  # noqa: E731
    for arguments, words in (
        (("--part", "3/2"), "part: expected a number from 1 to the number of parts, found 3/2"),
        (("--part", "two"), "part: expected NUMBER/PARTS, found 'two'"),
        (("--part", "1/2", "--finish"), "--part, --finish: expected one of them, found both"),
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
