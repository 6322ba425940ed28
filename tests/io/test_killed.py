"""Killed before any of the file-system events of a run: what is there is whole and has its own record."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

# Each run is a fork of a process that has imported all there is to import and has no thread yet.
SCRIPT = r"""
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import tifffile
import zarr
from napari_rdpdenoise.io import ImageMetadata, OutputSpec, open_image, open_sink
from napari_rdpdenoise.io.output import tiff_writer
from napari_rdpdenoise.io.output import zarr_writer
from napari_rdpdenoise.io.output.sink import finished_unseen

os.fsync = lambda handle: None  # of no use to who forgets everything at once
base, name, former = Path(sys.argv[1]), sys.argv[2], sys.argv[3] == "former"
WRITES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "open"}


def run(folder, value):
    spec = OutputSpec((2, 40, 40), "TYX", np.dtype("uint16"), ImageMetadata("TYX"), 64, f"job {value}")
    sink = open_sink(folder / name, spec, overwrite=True)
    for t in range(2):
        if not sink.is_done((t,), 0, 0):
            sink.write((t,), slice(0, 40), slice(0, 40), np.full((40, 40), value, "uint16"))
            sink.mark_done((t,), 0, 0)
    sink.finish(lambda: f"record {value}")


def found(folder):
    # value of the result, and of the record beside it; None where there is none
    values = set()
    if (folder / name).exists():
        image = open_image(folder / name)
        values = {int(v) for t in range(2) for v in np.unique(image.read((t,), slice(None), slice(None)))}
        assert len(values) == 1, values
    record = folder / f"{name}.job.json"
    named = int(record.read_text().split()[1]) if record.exists() else None
    return (values.pop() if values else None), named


def die_at(number, folder):
    count = 0

    def hook(event, args):
        nonlocal count
        if event not in WRITES or not isinstance(args[0], (str, bytes)):
            return
        if not os.fsdecode(args[0]).startswith(str(folder)):
            return
        if event == "open" and not args[2] & (os.O_WRONLY | os.O_RDWR):
            return
        count += 1
        if count > number:
            os._exit(9)

    sys.addaudithook(hook)


def in_child(work):
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killed(folder, number):
    die_at(number, folder)
    run(folder, 2)


def look(folder):
    result, record = found(folder)
    assert result in ((1, 2, None) if former else (2, None)), (result, record)
    assert result is None or record == result, (result, record)


def again(folder, other):
    before = found(folder)
    unseen = finished_unseen(folder / name)
    assert not unseen or (found(folder) == (2, 2) == before and not (folder / f"{name}.partial").exists())
    run(folder, 3 if other else 2)
    assert found(folder) == ((3, 3) if other else (2, 2))
    left = sorted(path.name for path in folder.iterdir())
    assert left == [name, f"{name}.job.json"], left


if former:
    (base / "former").mkdir()
    assert in_child(lambda: run(base / "former", 1)) == 0
number = 0
while True:
    for other in (False, True):
        folder = base / f"{number}-{other}"
        shutil.copytree(base / "former", folder) if former else folder.mkdir()
        code = in_child(lambda: killed(folder, number))
        assert code in (0, 9), code
        assert in_child(lambda: look(folder)) == 0, number
        assert in_child(lambda: again(folder, other)) == 0, number
        shutil.rmtree(folder)
    if code == 0:
        break
    number += 1
print(number)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs fork")
@pytest.mark.parametrize("name", ["a.ome.zarr", "a.ome.tif"])
@pytest.mark.parametrize("former", ["former", "none"])
def test_killed_before_each_event_and_run_again(tmp_path: Path, name: str, former: str) -> None:
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT, str(tmp_path), name, former]
    answer = subprocess.run(command, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    assert int(answer.stdout) >= 15  # events that it was killed before
