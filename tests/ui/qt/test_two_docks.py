"""Two docks of one viewer: neither disturbs the other, and closing one leaves the other at work."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_rdpdenoise.ui.compare.view import View
from napari_rdpdenoise.ui.layers.metadata import OURS

pytestmark = pytest.mark.display


@pytest.fixture
def docks(make_napari_viewer, qtbot, tiny_realism_codec, monkeypatch):
    """A viewer with a layer, two docks, and a function that waits for the preview of one."""
    from napari_rdpdenoise.ui.qt import DenoiseDock, contents
    from napari_rdpdenoise.ui.qt.preferences import Preferences

    monkeypatch.setattr(contents, "preferences", Preferences)
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
        def settled():
            drawn = 0 < one.session.state.requested == one.session.state.shown
            own = [dock.preview_layer for dock in made]  # the preview of a layer before goes a moment later
            return drawn and not one.session.unsettled and all(layer in own for layer in previews(viewer))

        qtbot.waitUntil(settled, timeout=60_000)

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


def hold(qtbot, viewer, press=True):
    """Press or release N over the image."""
    act = qtbot.keyPress if press else qtbot.keyRelease
    act(viewer.window._qt_viewer.canvas.native, Qt.Key.Key_N)


def test_the_key_shows_the_noisy_image_whichever_of_two_docks_previews_it(docks, qtbot):
    viewer, first, second, settle = docks
    settle(second)
    for dock in (second, first):
        dock.sections["image"].realism.setValue(0.5 + 0.1 * (dock is first))  # as a user moves it
        settle(dock)
        assert visible(viewer) == ["cells preview"]
        hold(qtbot, viewer)
        assert visible(viewer) == ["cells"]
        hold(qtbot, viewer, press=False)
        assert visible(viewer) == ["cells preview"]


def test_of_two_docks_with_a_layer_each_the_key_is_that_of_the_one_used_last(docks, qtbot):
    viewer, first, second, settle = docks
    second.choose(viewer.layers["others"])
    settle(second)
    settle(first)
    for dock, name in ((first, "cells"), (second, "others"), (first, "cells")):
        dock.sections["image"].realism.setValue(dock.session.realism / 2 + 0.3)
        settle(dock)
        hold(qtbot, viewer)
        assert viewer.layers[name].visible
        assert [layer.name for layer in viewer.layers if layer.visible and layer.metadata.get(OURS)] == [
            f"{'others' if name == 'cells' else 'cells'} preview"
        ]
        hold(qtbot, viewer, press=False)
        assert not viewer.layers[name].visible


@pytest.mark.parametrize("closed", [0, 1])
def test_the_key_stays_with_the_dock_that_is_left_and_goes_with_the_last(docks, qtbot, closed):
    viewer, *both, settle = docks
    settle(both[1])
    gone, left = both[closed], both[1 - closed]
    hold(qtbot, viewer)
    viewer.window.remove_dock_widget(gone)
    hold(qtbot, viewer, press=False)
    left.sections["view"].choose(View.DENOISED)
    settle(left)
    hold(qtbot, viewer)
    assert visible(viewer) == ["cells"]
    hold(qtbot, viewer, press=False)
    assert visible(viewer) == ["cells preview"]
    viewer.window.remove_dock_widget(left)
    hold(qtbot, viewer)
    assert "N" not in map(str, viewer.keymap)


def test_two_viewers_have_a_dock_and_a_key_each(make_napari_viewer, qtbot, tiny_realism_codec, monkeypatch):
    from napari_rdpdenoise.ui.qt import DenoiseDock, contents
    from napari_rdpdenoise.ui.qt.preferences import Preferences

    monkeypatch.setattr(contents, "preferences", Preferences)
    rng, desks = np.random.default_rng(0), []
    for name in ("one", "two"):
        viewer = make_napari_viewer()
        viewer.add_image((100 + 2 * rng.poisson(40, (140, 150))).astype(np.uint16), name=name)
        made = DenoiseDock(viewer, None, lambda model: None, lambda model, device: tiny_realism_codec)
        made.session.edit(auto_rate=False, rate=0.4)
        viewer.window.add_dock_widget(made, name="RDP Denoise")
        desks.append((viewer, made))
    for viewer, made in desks:
        qtbot.waitUntil(
            lambda made=made: made.session.state.shown > 0 and not made.session.unsettled, timeout=60_000
        )
        name = viewer.layers[0].name
        assert visible(viewer) == [f"{name} preview"]
        hold(qtbot, viewer)
        assert visible(viewer) == [name]
        assert not any(visible(other) == [other.layers[0].name] for other, _ in desks if other is not viewer)
        hold(qtbot, viewer, press=False)
        assert visible(viewer) == [f"{name} preview"]


def test_opening_the_widget_again_shows_the_first(make_napari_viewer):
    viewer = make_napari_viewer()
    opened = [viewer.window.add_plugin_dock_widget("napari-rdpdenoise", "RDP Denoise") for _ in range(2)]
    assert opened[0][1] is opened[1][1]
