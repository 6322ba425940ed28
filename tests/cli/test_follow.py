"""``denoise --follow`` as a process: it ends by a marker, by Ctrl-C, and goes on after it was killed."""

from __future__ import annotations

import json
import signal
import sys
import time

import numpy as np
import pytest
import tifffile
import zarr

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")


@pytest.fixture
def options(tiny_series_model):
    quick = ("--tile", "64", "--halo", "64", "--rate", "0.5", "--no-cache", "--neighbours", "T")
    following = ("--follow", "--stack", "T", "--still", "0.2", "--first-steps", "2", "--idle", "60")
    return ("--model", tiny_series_model, "--device", "cpu", *quick, *following)


@pytest.fixture
def frame(tmp_path):
    """Write one frame: ``frame(number)``."""
    folder = tmp_path / "frames"
    folder.mkdir()

    def write(number):
        pixels = np.random.default_rng(number).poisson(90, (64, 70)).astype(np.uint16)
        tifffile.imwrite(folder / f"t{number}.tif", pixels, photometric="minisblack")

    return write


def wait_until(condition, process, seconds=120):
    until = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.05)


def lines(target):
    """Blocks that are done, as far as the record of an unfinished result says."""
    file = target.with_name(target.name + ".partial") / "progress.log"
    return file.read_bytes().count(b"\n") if file.exists() else 0


@pytest.mark.slow
@POSIX
def test_killed_given_again_and_ended_by_ctrl_c(start, options, frame, tmp_path):
    target = tmp_path / "r.ome.zarr"
    for number in range(4):
        frame(number)
    command = ("denoise", f"{tmp_path}/frames/*.tif", target, *options)
    process = start(*command)
    wait_until(lambda: lines(target) >= 2, process)  # the last two wait for the next
    process.kill()
    process.communicate()
    frame(4)
    process = start(*command)
    wait_until(lambda: lines(target) >= 3, process)
    process.send_signal(signal.SIGINT)
    stdout, told = process.communicate(timeout=120)
    assert process.returncode == 0, told
    assert stdout == f"{target}\n"
    assert "continuing: 2" in told
    assert "ending: stopped" in told
    assert "Traceback" not in told
    assert zarr.open_group(target, mode="r")["0"].shape == (5, 64, 70)
    assert json.loads((tmp_path / "r.ome.zarr.job.json").read_text())["report"]["tiles"] == 5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["frames", "r.ome.zarr", "r.ome.zarr.job.json"]


def test_the_marker_ends_it(run, options, frame, tmp_path):
    for number in range(3):
        frame(number)
    (tmp_path / "frames" / "done").touch()
    target = tmp_path / "r.ome.zarr"
    told = run("denoise", f"{tmp_path}/frames/*.tif", target, *options, "--until", "done")
    assert told.exit_code == 0, told.output
    assert "measuring the noise in the first 2 time points" in told.stderr
    assert "ending: done says that no more will come" in told.stderr
    assert told.stdout == f"{target}\n"
    assert zarr.open_group(target, mode="r")["0"].shape == (3, 64, 70)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (("--idle", "9"), "--idle: expected --follow beside it"),
        (("--follow", "--part", "1/2"), "--part, --follow: expected one of them"),
        (("--follow", "--idle", "1"), "idle: expected more seconds than still"),
        (("--follow",), "only these can be followed"),
    ],
)
def test_what_does_not_go_together(run, tmp_path, given, expected):
    np.save(tmp_path / "a.npy", np.zeros((4, 64, 64), np.uint16))
    told = run("denoise", tmp_path / "a.npy", tmp_path / "r.ome.zarr", *given)
    assert told.exit_code == 2
    assert expected in told.stderr
