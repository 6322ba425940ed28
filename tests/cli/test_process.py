"""What only a process of its own shows: exit codes, interruptions, kills, and what stays unloaded."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tifffile

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
TILES = ("--tile", "64", "--halo", "0", "--batch", "1", "--no-cache")
SHAPE = (12, 256, 256)  # many tiles: some seconds of work


def in_the_middle(process, target) -> None:
    """Wait until some tiles are on the disk."""
    log = target.with_name(target.name + ".partial") / "progress.log"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if process.poll() is not None:
            pytest.fail(f"ended too early: {process.communicate()}")
        if log.exists() and log.read_bytes().count(b"\n") > 2:
            return
        time.sleep(0.02)
    pytest.fail("no tile within two minutes")


@pytest.fixture
def long_stack(tmp_path, write_stack):
    return write_stack(tmp_path / "long.tif", SHAPE)


@pytest.mark.slow
@POSIX
def test_killed_in_the_middle_a_rerun_completes_and_equals_an_undisturbed_run(
    start, quick, long_stack, tmp_path
):
    killed, whole = tmp_path / "killed.ome.tif", tmp_path / "whole.ome.tif"
    process = start("denoise", long_stack, killed, *quick, *TILES)
    in_the_middle(process, killed)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not killed.exists()
    again = start("denoise", long_stack, killed, *quick, *TILES)
    _, told = again.communicate(timeout=300)
    assert again.returncode == 0, told
    assert "continuing: " in told
    undisturbed = start("denoise", long_stack, whole, *quick, *TILES)
    assert undisturbed.wait(300) == 0
    assert killed.read_bytes() == whole.read_bytes()
    assert tifffile.imread(killed).shape == SHAPE
    assert np.ptp(tifffile.imread(killed)) > 0


@pytest.mark.slow
@POSIX
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_in_the_middle(start, quick, long_stack, tmp_path, number):
    out = tmp_path / "out.ome.zarr"
    process = start("denoise", long_stack, out, *quick, *TILES)
    in_the_middle(process, out)
    process.send_signal(number)
    stdout, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert stdout == ""
    assert "interrupted" in told
    assert "the same command goes on" in told
    assert "Traceback" not in told
    assert not out.exists()
    assert (tmp_path / "out.ome.zarr.partial" / "progress.log").stat().st_size > 0


@POSIX
def test_a_second_run_into_one_output_is_refused_and_the_first_ends_undisturbed(
    start, quick, long_stack, tmp_path
):
    out, rate = tmp_path / "out.ome.tif", ("--rate", "0.9", "--overwrite")
    first = start("denoise", long_stack, out, *quick, *TILES)
    in_the_middle(first, out)
    first.send_signal(signal.SIGSTOP)
    second = start("denoise", long_stack, out, *quick, *TILES, *rate)
    _, refused = second.communicate(timeout=120)
    first.send_signal(signal.SIGCONT)
    _, told = first.communicate(timeout=300)
    assert second.returncode == 2  # refused before anything is done, as an existing result is
    assert "error: output: expected a place that nobody else writes to, found another process" in refused
    assert "Traceback" not in refused
    assert first.returncode == 0, told
    assert "continuing" not in told
    assert not list(tmp_path.glob("*.lock"))


@pytest.mark.slow
def test_exit_codes_and_clean_streams(start, quick, tmp_path, write_stack):
    stack, out = write_stack(tmp_path / "a.tif", (40, 50)), tmp_path / "o.ome.tif"
    codes, told = [], []
    for arguments in (
        ("denoise", stack, out, *quick),
        ("denoise", stack, out, *quick),
        ("denoise", stack, "--rate", "high", tmp_path / "p.ome.tif"),
    ):
        process = start(*arguments)
        told.append(process.communicate(timeout=120))
        codes.append(process.returncode)
    assert codes == [0, 2, 2]
    assert told[0][0] == f"{out}\n"
    for _, errors in told:
        assert "Warning" not in errors
        assert "Traceback" not in errors


LOADED = """
import sys
from napari_rdpdenoise.cli import main
sys.argv = ["napari-rdpdenoise", {arguments}]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
heavy = {{"torch", "compressai", "zarr", "dask", "numpy", "scipy", "qtpy", "napari", "PIL"}}
print("LOADED", sorted(heavy & set(sys.modules)))
"""


@pytest.mark.parametrize("arguments", [["--help"], ["denoise", "--help"], ["train", "-h"], ["--version"]])
def test_help_loads_nothing_heavy(arguments):
    code = LOADED.format(arguments=", ".join(map(repr, arguments)))
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.splitlines()[-1] == "LOADED []"


def test_the_module_of_the_entry_point_is_the_program():
    from importlib.metadata import entry_points

    from napari_rdpdenoise.cli import main

    (entry,) = entry_points(group="console_scripts", name="napari-rdpdenoise")
    assert entry.load() is main
