"""Previews of the layers that are denoised together with the chosen one, such as the channels of its file.

Each has a `Preview` of its own, and works while the one of the chosen layer has nothing to do: one layer
after the other, so that what the user works on is never held up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from napari.layers import Image, Layer
from qtpy.QtCore import QObject

from napari_rdpdenoise.ui.preview.shown import Shown
from napari_rdpdenoise.ui.qt.companion import Companion, MainWindow
from napari_rdpdenoise.ui.qt.family import Family
from napari_rdpdenoise.ui.qt.parts.controls import single_shot
from napari_rdpdenoise.ui.state import DockState

__all__ = ["Companions"]

_MOST = 3  # layers beside the chosen one: each holds decoded images
_WAIT_MS = 120  # after the chosen layer is done, or a slider was moved


class Companions:
    """All of them, of one window; methods belong to the viewer's thread and return at once.

    Args:
        owner: Qt object that ends with the window.
        window: Window of the dock.
        make_layer: As `Companion` takes it.
    """

    def __init__(self, owner: QObject, window: MainWindow, make_layer: Callable[[Image, Any], Image]) -> None:
        self._window, self._make_layer = window, make_layer
        self._wanted: list[Image] = []
        self._beyond: list[Image] = []  # too many to be previewed
        self._deleted: list[Image] = []  # whose previews the user has deleted
        self._made: list[Companion] = []
        self._todo: list[Companion] = []
        self._closed = False
        self._timer = single_shot(owner, _WAIT_MS, self._work)
        window.changed.connect(self._follow)
        window.settled_view.connect(self._again)

    @property
    def families(self) -> list[Family]:
        """What was made of the layers that are previewed here."""
        return [one.family for one in self._made]

    @property
    def shown(self) -> list[tuple[str, Shown]]:
        """What is shown of each layer that is previewed here and not hidden, with its name."""
        found = ((one.layer.name, one.now()) for one in self._made if not one.family.hidden)
        return [(name, shown) for name, shown in found if shown is not None]

    @property
    def notes(self) -> list[str]:
        """What to know of each of them, in words that begin with its name."""
        return [f"{one.layer.name}: {note}" for one in self._made for note in one.notes]

    @property
    def waiting(self) -> list[str]:
        """Names of the layers in view that are still noisy: their turn comes, or is now."""
        state = self._window.session.state
        if self._closed or state.busy or not state.preview:  # during a run no preview is made
            return []
        known = {one.layer: one for one in self._made}
        return [
            layer.name
            for layer in self._wanted
            if self._may_show(layer) and self._awaits(layer, known.get(layer))
        ]

    @property
    def beyond(self) -> list[str]:
        """Names of the layers in view that stay noisy, because so many are not previewed at once."""
        return [layer.name for layer in self._beyond if self._may_show(layer)]

    @property
    def unsettled(self) -> bool:
        """Whether a part of what is in view is still to come."""
        waiting = self._timer.isActive() or bool(self._todo)
        return not self._closed and (waiting or any(one.unsettled for one in self._made))

    def want(self, layers: Sequence[Image]) -> None:
        """Preview these layers beside the chosen one, and no others."""
        if not layers:
            self._deleted = []
        wanted = [layer for layer in layers if layer not in self._deleted]
        wanted, self._beyond = wanted[:_MOST], wanted[_MOST:]
        if self._closed or wanted == self._wanted:
            return
        self._wanted = wanted
        for one in [one for one in self._made if one.layer not in self._wanted]:
            self._drop(one)
        self._timer.start()

    def renew(self) -> None:
        """Preview everything anew: of each layer other pixels are image than before."""
        for one in self._made:
            one.renew()

    def leave(self, layer: Layer | None) -> None:
        """Let go of a layer, which is to be the chosen one, or is gone."""
        self._wanted = [other for other in self._wanted if other is not layer]
        for one in [one for one in self._made if one.layer is layer]:
            self._drop(one)

    def removed(self, layer: Layer) -> None:
        """Note that a layer was removed: one that the user deletes is not made anew while any is wanted."""
        for one in self._made:
            if layer is one.shown:
                self._deleted.append(one.layer)
                self.leave(one.layer)
                return
        self.leave(layer)

    def end(self) -> None:
        """End all threads; the viewer may be gone."""
        self._closed = True
        for one in self._made:
            one.end()

    def close(self) -> None:
        """End everything, and take the layers out of the viewer."""
        self._closed = True
        self._timer.stop()
        for one in list(self._made):
            self._drop(one)

    # Inside

    def _may_show(self, layer: Image) -> bool:
        """Whether a layer is in view, and not previewed by others."""
        hidden = layer not in self._window.viewer.layers or self._window.family_of(layer).hidden
        return not (hidden or layer is self._window.layer or self._window.elsewhere(layer))

    def _awaits(self, layer: Image, one: Companion | None) -> bool:
        """Whether a layer is seen as it is, because its preview is still to come."""
        if self._window.family_of(layer).is_run:  # what a run has made of it is seen
            return False
        return one is None or one in self._todo or one.unsettled

    def _drop(self, one: Companion) -> None:
        self._made.remove(one)
        self._todo = [other for other in self._todo if other is not one]
        one.close()

    def _follow(self, state: DockState) -> None:
        """What the user works on comes first."""
        if self._closed or not (self._made or self._wanted):
            return
        if state.hidden:
            for one in self._made:
                one.follow(state)
        elif self._window.session.unsettled:
            for one in self._made:
                one.rest()
            self._todo = list(self._made)
        elif not self._timer.isActive():
            self._timer.start()

    def _again(self) -> None:
        if self._made or self._wanted:
            self._todo = list(self._made)
            self._soon(None)

    def _soon(self, one: Companion | None) -> None:
        """Have this one work soon, or with None the next."""
        if one is not None and one not in self._todo:
            self._todo.append(one)
        if not self._closed:
            self._timer.start()

    def _work(self) -> None:
        session = self._window.session
        if self._closed or session.unsettled or not session.state.looked_at:
            return
        made = [one.layer for one in self._made]
        for layer in self._wanted:
            if layer not in made and self._may_show(layer):
                self._made.append(Companion(self._window, layer, self._make_layer, self._soon))
                self._todo.append(self._made[-1])
        for one in self._made:
            one.follow(session.state)
        while self._todo and not any(one.unsettled for one in self._made):
            self._todo.pop(0).work()
