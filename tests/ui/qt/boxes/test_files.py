"""The box of many files, with a tiny model and real files."""

from __future__ import annotations

import json
import math
import shlex
import threading
import time

import numpy as np
import pytest
import tifffile

from napari_rdpdenoise.jobs.batch import Ended, Started
from napari_rdpdenoise.jobs.job import Job
from napari_rdpdenoise.settings import RunSettings
from napari_rdpdenoise.stream.report import Progress
from napari_rdpdenoise.ui.run.files import batch, images_in, row_words

pytestmark = pytest.mark.display


@pytest.fixture
def files(tmp_path):
    """A folder with two images, one file that is none, and one that only looks like one."""
    rng = np.random.default_rng(0)
    for name in ("b.tif", "a.ome.tif"):
        tifffile.imwrite(tmp_path / name, (100 + 2 * rng.poisson(30, (70, 80))).astype(np.uint16))
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "broken.tif").write_bytes(b"II*\0no image either")
    return tmp_path


@pytest.fixture
def box(qtbot, tiny_model):
    from napari_rdpdenoise.ui.qt.boxes.files import FilesBox

    settings = RunSettings(model=str(tiny_model), rate=0.5, device="cpu", realism=0.0)
    made = FilesBox(lambda: settings, lambda paths, out, chosen: batch(paths, out, chosen, None))
    qtbot.addWidget(made)
    made.show()
    return made


def told(box):
    return box.results


def wait(box, qtbot):
    qtbot.waitUntil(lambda: not box._running.busy, timeout=60_000)


def test_of_a_folder_its_images_are_taken_once(files, box):
    box.take([str(files)])
    box.take([str(files / "b.tif"), str(files / "notes.txt")])
    assert box.paths == [str(files / name) for name in ("a.ome.tif", "b.tif", "broken.tif")]
    assert "Left out: notes.txt. TIFF" in box.status.text(), "beside a file that is taken too"
    assert box.out.text() == str(files / "denoised")
    (files / "x.ome.zarr").mkdir()
    (files / "x.ome.zarr" / "zarr.json").write_text("{}")
    assert images_in([files / "x.ome.zarr"]) == [str(files / "x.ome.zarr")]
    box.take([str(files / "notes.txt")])
    assert "Left out: notes.txt" in box.status.text()
    empty = files / "empty"
    empty.mkdir()
    box.take([str(empty), *(str(files / f"{n}.png") for n in range(3))])
    assert "Left out: empty, 0.png and 2 more." in box.status.text()
    box.take([str(files)])
    assert not box.status.isVisible(), "nothing that was asked for was left out"


def test_the_list_is_as_high_as_its_files_and_no_line_is_kept_free(files, box, qtbot):
    box.resize(320, box.minimumSizeHint().height())
    few = box.table.height()
    assert not box.status.isVisible()
    for number in range(12):
        (files / f"c{number}.tif").write_bytes((files / "b.tif").read_bytes())
    box.take([str(files)])
    box.resize(320, box.sizeHint().height())
    qtbot.waitUntil(lambda: box.table.height() > few + 50)
    assert few <= 110 < box.table.height() <= 200


def test_every_file_that_the_command_line_takes_is_taken(tmp_path):
    from napari_rdpdenoise.jobs.batch import IMAGE_ENDINGS

    assert {".czi", ".nd2", ".lif", ".tif", ".npy", ".ome.zarr"} <= set(IMAGE_ENDINGS)
    made = [tmp_path / f"image{ending}" for ending in IMAGE_ENDINGS]
    for path in made:
        path.touch()
    assert images_in([tmp_path]) == sorted(map(str, made))


def test_one_failure_stops_nothing_and_what_is_done_is_skipped(files, box, qtbot):
    box.take([str(files)])
    box.start.click()
    wait(box, qtbot)
    assert ["Failed" in words for words in told(box)] == [False, False, True]
    assert "rate 0.50" in told(box)[0]
    assert box.status.text() == "2 of 3 files are done, 1 failed. Point at a file to read its notes."
    last = box.table.item(2)
    assert box.table.visualItemRect(last).bottom() <= box.table.viewport().height(), (
        "the last row is seen whole"
    )
    box.resize(300, 600)
    heights = [box.table.visualItemRect(box.table.item(row)).height() for row in range(3)]
    assert heights[2] > heights[1], "why it failed is read without pointing at it"
    results = [files / "denoised" / name for name in ("a.ome.tif", "b.ome.tif")]
    times = [path.stat().st_mtime_ns for path in results]
    box.start.click()
    wait(box, qtbot)
    assert "kept: rate 0.50" in told(box)[0]
    assert [path.stat().st_mtime_ns for path in results] == times
    assert box.bar.isHidden(), "no bar of the past"


def test_a_folder_that_cannot_be_made_is_told(files, box, qtbot):
    box.take([str(files / "b.tif")])
    box.out.setText(str(files / "notes.txt" / "inside"))
    box.start.click()
    wait(box, qtbot)
    assert "Not denoised" in box.status.text()
    assert told(box) == [""]


def test_the_command_does_the_same(files, box, qtbot, tiny_model):
    from qtpy.QtWidgets import QApplication

    box.take([str(files / "b.tif")])
    box.format.setCurrentText("OME-Zarr")
    box.copy.click()
    words = shlex.split(QApplication.clipboard().text())
    assert words[:4] == ["napari-rdpdenoise", "denoise", str(files / "b.tif"), str(files / "denoised")]
    assert words[words.index("--format") + 1] == "ome-zarr"
    assert words[words.index("--model") + 1] == str(tiny_model)
    box.start.click()
    wait(box, qtbot)
    assert (files / "denoised" / "b.ome.zarr").is_dir()


def test_what_an_earlier_batch_noted_of_a_file_is_read_again(files, box, qtbot):
    noted = "the noise is shared"
    box.take([str(files / "b.tif")])
    box.start.click()
    wait(box, qtbot)
    record = files / "denoised" / "b.ome.tif.job.json"
    found = json.loads(record.read_text())
    found["report"]["messages"] = [noted]
    record.write_text(json.dumps(found))
    box.start.click()
    wait(box, qtbot)
    assert told(box) == ["! Done before with the same settings, kept: rate 0.50, 1 note"]
    assert noted in box.table.item(0).toolTip()
    assert "Point at a file" in box.status.text()
    record.write_text("{}")
    event = Ended(Job(str(files / "b.tif"), files / "denoised" / "b.ome.tif", RunSettings()))
    assert row_words(event)[:2] == (True, "Done before with the same settings, kept.")


@pytest.mark.parametrize(
    ("step", "waits"),
    [
        (Progress(0, 0, 0.0, math.nan, math.nan, 0, 0, "measuring the noise"), "Stopping…"),
        (Progress(1, 3, 1.0, math.nan, 0.1, 0, 0), "the block in work"),
    ],
)
def test_a_click_on_cancel_is_answered_at_once(files, qtbot, step, waits):
    from napari_rdpdenoise.ui.qt.boxes.files import FilesBox

    go_on = threading.Event()

    def slow(paths, out, settings):
        yield Started(Job(paths[0], None, settings), 1, 1)
        yield step
        assert go_on.wait(20)
        yield step

    box = FilesBox(RunSettings, slow)
    qtbot.addWidget(box)
    box.show()
    box.take([str(files / "b.tif")])
    box.start.click()
    said = "File 1 of 1. Measuring the noise…" if not step.total else "File 1 of 1. 1 of 3 blocks."
    qtbot.waitUntil(lambda: box.status.text() == said, timeout=20_000)
    box.stop.click()
    assert not box.stop.isEnabled()
    assert "Stopping" in box.status.text()
    assert waits in box.status.text()
    go_on.set()
    wait(box, qtbot)
    assert "Cancelled" in box.status.text()
    box.start.click()
    assert box.stop.isEnabled()
    wait(box, qtbot)


def test_who_cancels_while_the_rate_is_chosen_does_not_wait_for_it(files, qtbot, tiny_model, monkeypatch):
    from napari_rdpdenoise.stream import prepare
    from napari_rdpdenoise.ui.qt.boxes.files import FilesBox

    begun, go_on, real = threading.Event(), threading.Event(), prepare.choose_rate

    def slow(*args, **options):
        begun.set()
        go_on.wait(20)
        return real(*args, **options)

    monkeypatch.setattr(prepare, "choose_rate", slow)
    settings = RunSettings(model=str(tiny_model), device="cpu")
    box = FilesBox(lambda: settings, lambda paths, out, chosen: batch(paths, out, chosen, None))
    qtbot.addWidget(box)
    box.show()
    box.take([str(files / "b.tif")])
    box.start.click()
    qtbot.waitUntil(begun.is_set, timeout=20_000)
    qtbot.wait(500)
    assert box.status.text() == "File 1 of 1. Measuring the noise…"
    clicked = time.monotonic()
    box.stop.click()
    assert box.status.text() == "Stopping…"
    wait(box, qtbot)
    seconds = time.monotonic() - clicked
    go_on.set()
    assert seconds < 3, "the rate would have been chosen after 20"
    assert "Cancelled" in box.status.text()


def test_cancel_stops_and_a_new_start_goes_on(files, qtbot):
    from napari_rdpdenoise.ui.qt.boxes.files import FilesBox

    go_on, runs = threading.Event(), []

    def slow(paths, out, settings):
        runs.append(paths)
        for number, path in enumerate(paths, 1):
            job = Job(path, None, settings)
            yield Started(job, number, len(paths))
            assert go_on.wait(20)
            yield Ended(job)

    box = FilesBox(RunSettings, slow)
    qtbot.addWidget(box)
    box.show()
    box.take([str(files)])
    box.start.click()
    qtbot.waitUntil(lambda: "Denoising" in told(box)[0])
    assert not box.add.isEnabled()
    box.stop.click()
    go_on.set()
    wait(box, qtbot)
    assert "Cancelled" in box.status.text()
    assert told(box)[1:] == ["", ""]
    box.start.click()
    wait(box, qtbot)
    assert len(runs) == 2
    assert all("kept" in words for words in told(box))
