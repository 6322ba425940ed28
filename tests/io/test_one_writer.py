"""Two runs into one output: the second is refused in words, and what appears is one run's alone."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager

import numpy as np
import pytest

from napari_rdpdenoise.files import InUseError
from napari_rdpdenoise.io import ImageMetadata, OutputSpec, open_image, open_sink

FORMATS = ["a.ome.zarr", "a.ome.tif"]
TILES = 4
# A run that writes its own value into every tile, one tile for every line that it is sent.
RUN = """
import sys
import numpy as np
from napari_rdpdenoise.files import InUseError
from napari_rdpdenoise.io import ImageMetadata, OutputSpec, open_sink

target, job, value, tiles = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
spec = OutputSpec((tiles, 64, 64), "TYX", np.dtype("uint16"), ImageMetadata("TYX"), 64, job)
try:
    sink = open_sink(target, spec)
except InUseError as error:
    print(error, flush=True)
    sys.exit(3)
print("open", flush=True)
for t in range(tiles):
    sys.stdin.readline()
    if not sink.is_done((t,), 0, 0):
        sink.write((t,), slice(0, 64), slice(0, 64), np.full((64, 64), value, "uint16"))
        sink.mark_done((t,), 0, 0)
    print(t, flush=True)
sink.finish()
"""


def spec_of(job="rate 0.5"):
    return OutputSpec((TILES, 64, 64), "TYX", np.dtype("uint16"), ImageMetadata("TYX"), 64, job)


@contextmanager
def run(target, job, value):
    command = [sys.executable, "-c", RUN, str(target), job, str(value), str(TILES)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def tile(process):
    """Let a run write one more tile."""
    process.stdin.write("\n")
    process.stdin.flush()
    return process.stdout.readline()


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("job", ["rate 0.5", "rate 0.9"], ids=["same settings", "other settings"])
def test_two_processes_never_mix_their_tiles(tmp_path, name, job):
    target = tmp_path / "out" / name
    with run(target, "rate 0.5", 1) as first:
        assert first.stdout.readline() == "open\n"
        assert tile(first) == "0\n"
        with run(target, job, 2) as second:
            said = second.stdout.readline()
            assert "output: expected" in said
            assert "another process" in said
            assert name in said
            assert second.wait() == 3
        for t in range(1, TILES):
            assert tile(first) == f"{t}\n"
        assert first.wait() == 0
    found = open_image(target)
    for t in range(TILES):
        assert (found.read((t,), slice(None), slice(None)) == 1).all()
    assert [path.name for path in target.parent.iterdir()] == [name]


@pytest.mark.parametrize("name", FORMATS)
def test_after_a_killed_run_the_same_run_goes_on_at_once(tmp_path, name):
    target = tmp_path / "out" / name
    with run(target, "rate 0.5", 1) as first:
        assert first.stdout.readline() == "open\n"
        assert tile(first) == "0\n"
    sink = open_sink(target, spec_of())
    with pytest.raises(InUseError):
        open_sink(target, spec_of())
    sink.discard()
    assert list(target.parent.iterdir()) == []


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("end", ["finish", "abort", "discard"])
def test_an_output_that_ended_can_be_opened_again(tmp_path, name, end):
    sink = open_sink(tmp_path / name, spec_of())
    getattr(sink, end)()
    open_sink(tmp_path / name, spec_of("other"), overwrite=True).finish()
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_an_output_that_could_not_be_opened_holds_nothing(tmp_path):
    half = OutputSpec((64, 64), "YX", np.dtype("float16"), ImageMetadata("YX"), 64)
    with pytest.raises(ValueError, match="float16"):
        open_sink(tmp_path / "a.ome.tif", half)
    assert list(tmp_path.iterdir()) == []
    open_sink(tmp_path / "a.ome.tif", spec_of()).finish()
    with pytest.raises(FileExistsError, match="a finished one"):
        open_sink(tmp_path / "a.ome.tif", spec_of())
    assert [path.name for path in tmp_path.iterdir()] == ["a.ome.tif"]


def test_a_result_that_appears_while_a_run_waits_to_open_it_is_not_replaced(tmp_path, monkeypatch):
    """Whether there is a finished one is asked while nobody else can finish one."""
    from napari_rdpdenoise.io.output import sink as module

    held = []
    monkeypatch.setattr(module, "check_free", lambda *_: held.append((tmp_path / "a.ome.tif.lock").exists()))
    open_sink(tmp_path / "a.ome.tif", spec_of()).abort()
    assert held == [True]
