"""A click on Start in a low window: what it says is seen without scrolling."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.display


@pytest.mark.parametrize("height", [200, 300, 2000])
def test_what_is_missing_is_seen_in_a_low_window(qtbot, height):
    from napari.components import LayerList
    from qtpy.QtWidgets import QScrollArea

    from napari_rdpdenoise.ui.qt.boxes.finetune import FineTuneBox

    class Viewer:
        layers = LayerList()

    box, scroll = FineTuneBox(Viewer(), lambda: None, lambda: "default", lambda: "cpu"), QScrollArea()
    qtbot.addWidget(scroll)
    scroll.setWidgetResizable(True)
    scroll.setWidget(box)
    scroll.resize(330, height)
    scroll.show()
    qtbot.waitExposed(scroll)
    box.start.click()
    assert "expected a layer" in box.status.text()

    def seen():
        top = box.status.mapTo(scroll.viewport(), box.status.rect().topLeft()).y()
        return box.status.isVisible() and top >= 0 and top + box.status.height() <= scroll.viewport().height()

    qtbot.waitUntil(seen, timeout=20_000)
    box.shut()
