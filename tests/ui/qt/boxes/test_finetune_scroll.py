"""A click on Start in a low window: what it says is seen without scrolling."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.display


@pytest.mark.parametrize("height", [200, 300, 2000])
def test_what_is_missing_is_seen_in_a_low_window(qtbot, height):
    from low_window import LowWindow
    from napari.components import LayerList

    from napari_rdpdenoise.ui.qt.boxes.finetune import FineTuneBox

    class Viewer:
        layers = LayerList()

    box = FineTuneBox(Viewer(), lambda: None, lambda: "default", lambda: "cpu")
    window = LowWindow(qtbot, box, height)
    box.start.click()
    assert "expected a layer" in box.status.text()
    qtbot.waitUntil(lambda: window.shows(box.status), timeout=20_000)
    box.shut()
