"""Two docks of one viewer: neither disturbs the other, and closing one leaves the other at work."""

from __future__ import annotations

import numpy as np
import pytest

from napari_rdpdenoise.ui.compare.view import View
from napari_rdpdenoise.ui.layers.metadata import OURS

pytestmark = pytest.mark.display


@pytest.fixture
def docks(make_napari_viewer, qtbot, tiny_realism_codec, monkeypatch):
    """A viewer with a layer, two docks, and a function that waits for the preview of one."""
    from napari_rdpdenoise.ui.qt import DenoiseDock, dock
    from napari_rdpdenoise.ui.qt.preferences import Preferences

    monkeypatch.setattr(dock, "preferences", Preferences)
    viewer, rng = make_napari_viewer(), np.random.default_rng(0)
    for name in ("cells", "others"):
        data = (100 + 2 * rng.poisson(40, (2, 140, 150))).astype(np.uint16)
        viewer.add_image(data, name=name, axis_labels=("t", "y", "x"))
    made = []
    for number in range(2):
        one = DenoiseDock(viewer, None, lambda model: None, lambda model, device: tiny_realism_codec)
        one.session.edit(auto_rate=False, rate=0.4)
        viewer.window.add_dock_widget(one, name=f"dock {number}")
        one.choose(viewer.layers["cells"])
        made.append(one)

    def settle(one):
        done = lambda: 0 < one.session.state.wished == one.session.state.shown  # noqa: E731
        qtbot.waitUntil(lambda: done() and not one.session.unsettled, timeout=60_000)

    return viewer, *made, settle


def previews(viewer):
    return [layer for layer in viewer.layers if layer.metadata.get(OURS, {}).get("role") == "preview"]


def visible(viewer):
    return [layer.name for layer in viewer.layers if layer.visible and layer.name != "others"]


def test_a_layer_has_one_preview_that_of_the_dock_used_last(docks):
    viewer, first, second, settle = docks
    settle(second)
    assert previews(viewer) == [second.preview_layer]
    assert visible(viewer) == ["cells preview"]
    assert "Another dock previews this layer" in first.session.state.preview_line
    first.sections["image"].realism.setValue(0.5)  # as a user moves it
    settle(first)
    assert previews(viewer) == [first.preview_layer]
    assert visible(viewer) == ["cells preview"]
    assert "Another dock" in second.session.state.preview_line


def test_each_previews_another_layer(docks):
    viewer, first, second, settle = docks
    second.choose(viewer.layers["others"])
    settle(second)
    settle(first)
    assert len(previews(viewer)) == 2
    assert "Another dock" not in first.session.state.preview_line + second.session.state.preview_line


@pytest.mark.parametrize("closed", [0, 1])
def test_closing_one_leaves_the_other_at_work(docks, qtbot, closed):
    viewer, *both, settle = docks
    settle(both[1])
    gone, left = both[closed], both[1 - closed]
    viewer.window.remove_dock_widget(gone)
    settle(left)
    assert previews(viewer) == [left.preview_layer]
    left.sections["view"].choose(View.NOISY)
    assert visible(viewer) == ["cells"]
    left.sections["view"].choose(View.SPLIT)
    assert visible(viewer) == ["cells split"]
    left.sections["view"].choose(View.DENOISED)
    assert visible(viewer) == ["cells preview"]
    viewer.window.remove_dock_widget(left)
    assert previews(viewer) == []
    assert visible(viewer) == ["cells"]
