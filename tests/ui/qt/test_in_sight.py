"""A dock that nobody sees denoises nothing for the eye, and goes on when it is seen again."""

from __future__ import annotations

import itertools
import threading

import numpy as np
import pytest
from qtpy.QtWidgets import QLabel

from napari_rdpdenoise.ui.layers.metadata import OURS

pytestmark = pytest.mark.display

_SEEDS = itertools.count()


class Held:
    """Gives a codec whenever a part is denoised, and may hold that up."""

    def __init__(self, codec):
        self.codec, self.go_on = codec, threading.Event()
        self.go_on.set()

    def __call__(self, model, device):
        self.go_on.wait(20)
        return self.codec

    @property
    def encoded(self):
        return self.codec.encoder_calls


class Desk:
    def __init__(self, viewer, codec, qtbot, docks=1):
        from napari_rdpdenoise.ui.qt import DenoiseDock

        self.viewer, self.codec, self.qtbot = viewer, codec, qtbot
        rng = np.random.default_rng(next(_SEEDS))  # others each time: latents are kept
        for name in ("cells", "others"):
            data = (100 + 2 * rng.poisson(40, (3, 140, 150))).astype(np.uint16)
            viewer.add_image(data, name=name, axis_labels=("t", "y", "x"))
        self.docks, self.frames = [], []
        for number in range(docks):
            dock = DenoiseDock(viewer, None, lambda model: None, codec)
            dock.session.edit(auto_rate=False, rate=0.4)
            dock.session.edit_settings(tile=64)
            self.frames.append(viewer.window.add_dock_widget(dock, name=f"dock {number}"))
            dock.choose(viewer.layers["cells"])
            self.docks.append(dock)
        self.dock, self.frame = self.docks[-1], self.frames[-1]

    def settle(self, dock=None):
        dock, state = dock or self.dock, lambda: (dock or self.dock).session.state
        self.qtbot.waitUntil(
            lambda: 0 < state().requested == state().shown and not dock.session.unsettled, timeout=60_000
        )

    def await_hidden(self, dock=None):
        dock = dock or self.dock
        self.qtbot.waitUntil(lambda: dock.session.state.hidden, timeout=5000)

    def other_tab(self):
        """A dock in front of this one."""
        front = self.viewer.window.add_dock_widget(QLabel("front"), name="front")
        self.qtbot.wait(200)  # until it is laid out
        window = self.viewer.window._qt_window
        window.tabifyDockWidget(self.frame, front)
        front.raise_()
        return front

    def rest(self):
        """Until no more is encoded."""
        self.qtbot.wait(400)
        return self.codec.encoded


def previews(viewer):
    return [layer for layer in viewer.layers if layer.metadata.get(OURS, {}).get("role") == "preview"]


@pytest.fixture
def open_desk(make_napari_viewer, qtbot, tiny_realism_codec, monkeypatch):
    from napari_rdpdenoise.ui.qt import contents
    from napari_rdpdenoise.ui.qt.preferences import Preferences

    monkeypatch.setattr(contents, "preferences", Preferences)

    def open_(show=True, **options):
        return Desk(make_napari_viewer(show=show), Held(tiny_realism_codec), qtbot, **options)

    return open_


@pytest.mark.parametrize("how", ["hidden", "behind a tab"])
def test_what_is_out_of_sight_rests_and_catches_up(open_desk, how):
    desk = open_desk()
    desk.settle()
    shown = previews(desk.viewer)
    front = None if how == "hidden" else desk.other_tab()
    if front is None:
        desk.frame.hide()
    desk.await_hidden()
    before = desk.rest()
    desk.viewer.dims.set_point(0, 1)
    desk.dock.session.edit(rate=0.7)
    assert desk.rest() == before, "nobody sees what was encoded"
    assert previews(desk.viewer) == shown, "what was denoised stays"
    if front is None:
        desk.frame.show()
    else:
        desk.frame.raise_()
    desk.settle()
    assert desk.codec.encoded > before
    assert desk.dock.preview_layer.visible
    assert desk.dock.session.view.settings.rate == 0.7
    assert desk.dock.session.shown().index == (1,)


def test_what_is_under_way_is_not_gone_on_with(open_desk):
    desk = open_desk()
    desk.settle()
    desk.codec.go_on.clear()
    desk.viewer.dims.set_point(0, 2)
    desk.qtbot.waitUntil(lambda: desk.dock.session.state.shown < desk.dock.session.state.requested)
    before = desk.codec.encoded
    desk.frame.hide()
    desk.await_hidden()
    desk.codec.go_on.set()
    assert desk.rest() <= before + 1, "but for the part in work"
    desk.frame.show()
    desk.settle()


def test_a_layer_selected_meanwhile_is_taken_when_the_dock_is_seen_again(open_desk):
    desk = open_desk()
    desk.viewer.layers.selection.active = desk.viewer.layers["cells"]
    desk.settle()
    shown = previews(desk.viewer)
    desk.frame.hide()
    desk.await_hidden()
    desk.viewer.layers.selection.active = desk.viewer.layers["others"]
    desk.rest()
    assert previews(desk.viewer) == shown, "nothing changes by a dock that nobody sees"
    desk.frame.show()
    desk.settle()
    assert desk.dock.layer is desk.viewer.layers["others"]
    desk.qtbot.waitUntil(lambda: [one.name for one in previews(desk.viewer)] == ["others preview"])


def test_pixels_replaced_while_hidden_have_no_preview_until_then(open_desk):
    desk = open_desk()
    desk.settle()
    desk.frame.hide()
    desk.await_hidden()
    noisy = desk.viewer.layers["cells"]
    noisy.data = np.roll(noisy.data, 9, axis=-1)
    before = desk.rest()
    assert not previews(desk.viewer), "it was of other pixels"
    assert noisy.visible
    assert desk.rest() == before
    desk.frame.show()
    desk.settle()
    assert previews(desk.viewer) == [desk.dock.preview_layer]
    assert desk.codec.encoded > before


def test_channels_that_are_previewed_beside_it_rest_too(open_desk):
    desk = open_desk()
    desk.viewer.layers.selection = {desk.viewer.layers["cells"], desk.viewer.layers["others"]}
    desk.settle()
    desk.qtbot.waitUntil(lambda: len(previews(desk.viewer)) == 2, timeout=20_000)
    desk.qtbot.waitUntil(lambda: not desk.dock._contents.viewer_window.companions.unsettled, timeout=20_000)
    desk.frame.hide()
    desk.await_hidden()
    before = desk.rest()
    desk.dock.session.edit(rate=0.7)
    assert desk.rest() == before
    desk.frame.show()
    desk.settle()
    desk.qtbot.waitUntil(lambda: not desk.dock._contents.viewer_window.companions.unsettled, timeout=20_000)
    assert desk.codec.encoded >= before + 2


def test_of_two_docks_the_one_that_is_seen_previews(open_desk):
    desk = open_desk(docks=2)
    first, second = desk.docks
    desk.settle(second)
    assert first.session.state.elsewhere
    desk.frames[1].hide()
    desk.await_hidden(second)
    desk.settle(first)
    assert previews(desk.viewer) == [first.preview_layer]
    desk.frames[0].hide()
    desk.await_hidden(first)
    desk.frames[1].show()
    desk.settle(second)
    assert previews(desk.viewer) == [second.preview_layer]
    assert not second.session.state.elsewhere


def test_a_window_that_is_never_shown_is_one_like_any_other(open_desk):
    desk = open_desk(show=False)
    desk.settle()
    assert not desk.dock.session.state.hidden


def test_a_run_goes_on_while_the_dock_is_hidden(open_desk):
    desk = open_desk()
    desk.settle()
    desk.frame.hide()
    desk.await_hidden()
    desk.dock.run()
    desk.qtbot.waitUntil(lambda: "cells denoised" in desk.viewer.layers, timeout=60_000)
    desk.frame.show()
    desk.qtbot.waitUntil(lambda: not desk.dock.session.state.hidden)
    assert desk.viewer.layers["cells denoised"].visible


def test_a_widget_that_is_collected_is_hidden_without_a_word(qtbot):
    """Whatever Python takes first: Qt ends the process where an event meets an error."""
    from napari_rdpdenoise.ui.qt.in_sight import InSight

    widget, told = QLabel(), []
    qtbot.addWidget(widget)
    sight = InSight(widget, told.append)
    widget.show()
    vars(sight).clear()  # as the collector does, before the widget goes
    widget.hide()
    widget.show()
    assert told == []
