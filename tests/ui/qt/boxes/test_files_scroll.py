"""Many files in a low window: what is clicked and read next is seen without scrolling."""

from __future__ import annotations

import threading

import pytest

from napari_rdpdenoise.settings import RunSettings

pytestmark = pytest.mark.display


@pytest.mark.parametrize("height", [250, 300, 2000])
def test_the_button_to_start_and_then_the_progress_are_seen(qtbot, tmp_path, height):
    from low_window import LowWindow

    from napari_rdpdenoise.ui.qt.boxes.files import FilesBox

    go_on = threading.Event()

    def work(paths, out, settings):
        go_on.wait(20)
        yield from ()

    for number in range(20):
        (tmp_path / f"embryo_{number:02d}.tif").write_bytes(b"II*")
    box = FilesBox(RunSettings, work)
    window = LowWindow(qtbot, box, height)
    box.take([str(tmp_path)])
    qtbot.waitUntil(lambda: window.shows(box.start), timeout=20_000)
    box.start.click()
    qtbot.waitUntil(lambda: all(map(window.shows, (box.bar, box.status, box.stop))), timeout=20_000)
    go_on.set()
    qtbot.waitUntil(lambda: not box._running.busy, timeout=20_000)
    box.shut()
