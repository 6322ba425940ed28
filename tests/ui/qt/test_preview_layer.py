"""The preview layer: in its place at once, and gone for good, whatever comes in between."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import QObject

from napari_rdpdenoise.ui.preview.canvas import Canvas

pytestmark = pytest.mark.display


class Desk:
    """A viewer with two noisy layers, their families, and one place for a preview."""

    def __init__(self, viewer):
        from napari_rdpdenoise.ui.qt.family import Family
        from napari_rdpdenoise.ui.qt.preview_layer import PreviewLayer

        self.viewer, self.owner = viewer, QObject()
        self.data = np.random.default_rng(0).poisson(100, (2, 70, 80)).astype(np.uint16)
        noisy = [viewer.add_image(self.data, name=name) for name in ("cells", "others")]
        self.families = [Family(viewer, layer) for layer in noisy]
        self.preview = PreviewLayer(self.owner, viewer, lambda: None, lambda: None)

    def place(self, number):
        """Preview one of the layers, with None neither."""
        canvas = None if number is None else Canvas(self.data, "TYX", "float32")
        self.preview.place(canvas, lambda: self.families[number])

    @property
    def shown(self):
        return [layer.name for layer in self.viewer.layers if layer.name.endswith("preview")]


@pytest.fixture
def desk(make_napari_viewer):
    return Desk(make_napari_viewer())


def test_the_layer_before_goes_in_another_turn_of_the_event_loop(desk, qtbot):
    desk.place(0)
    removed = []
    desk.viewer.layers.events.removed.connect(lambda event: removed.append(event.value.name))
    desk.place(1)
    assert desk.preview.layer.name == "others preview"
    assert not removed, "napari is not to add a layer and to remove another in one turn"
    qtbot.waitUntil(lambda: removed == ["cells preview"])
    assert desk.shown == ["others preview"]
    assert [layer.visible for layer in desk.viewer.layers] == [True, False, True], (
        "the noisy one is seen again"
    )


@pytest.mark.parametrize("order", [(0, 1, 0), (0, 1, None), (0, 0), (0, 1, 0, 1, 0), (0, 1, 1, None)])
def test_only_the_last_that_was_placed_stays(desk, qtbot, order):
    for number in order:
        desk.place(number)
    last = order[-1]
    left = [] if last is None else [("cells preview", "others preview")[last]]
    qtbot.waitUntil(lambda: desk.shown == left)
    kept = [family.preview for family in desk.families if family.preview is not None]
    assert kept == [layer for layer in desk.viewer.layers if layer.name.endswith("preview")]


def test_a_preview_that_another_dock_has_made_meanwhile_stays(desk, qtbot):
    from napari_rdpdenoise.ui.qt.preview_layer import preview_of

    desk.place(0)
    desk.place(1)
    other = preview_of(desk.families[0].noisy, Canvas(desk.data, "TYX", "float32"))
    desk.families[0].put_preview(other)
    qtbot.wait(120)
    assert other in desk.viewer.layers
    assert sorted(desk.shown) == ["cells preview", "others preview"], "one of each"


def test_nothing_is_left_when_it_is_stopped_before_the_turn_comes(desk, qtbot):
    desk.place(0)
    desk.place(1)
    desk.preview.stop()
    desk.place(None)
    qtbot.wait(120)
    assert desk.shown == []
