"""Previews of the layers that are denoised together with the chosen one, such as the channels of its file.

Each has a `Preview` of its own, and works while the one of the chosen layer has nothing to do: one layer
after the other, so that what the user works on is never held up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import napari
from napari.layers import Image, Layer
from qtpy.QtCore import QObject

from napari_rdpdenoise.cache import LatentCache
from napari_rdpdenoise.ui.preview.preview import Preview
from napari_rdpdenoise.ui.preview.shown import Shown
from napari_rdpdenoise.ui.preview.viewport import LayerView
from napari_rdpdenoise.ui.preview.window import Subject
from napari_rdpdenoise.ui.qt.family import Family
from napari_rdpdenoise.ui.qt.in_view import view_of
from napari_rdpdenoise.ui.qt.layers import position_of
from napari_rdpdenoise.ui.qt.parts.controls import single_shot
from napari_rdpdenoise.ui.qt.parts.links import Links
from napari_rdpdenoise.ui.session import Session
from napari_rdpdenoise.ui.state import DockState, StateStore

__all__ = ["Companion", "Companions", "MainWindow"]

_MOST = 3  # layers beside the chosen one: each holds decoded images
_WAIT_MS = 120  # after the chosen layer is done, or a slider was moved
_SAME = ("model", "auto_rate", "rate", "realism", "realism_note", "preview", "base")  # of the dock's state
_POSITION = ("scale", "translate", "rotate", "shear", "affine", "units")


class MainWindow(Protocol):
    """What is needed of the dock's window; see `NapariWindow` for each."""

    viewer: napari.viewer.Viewer
    cache: LatentCache | None
    load: Callable[[str, str], Any] | None
    session: Session
    layer: Image | None
    changed: Any
    settled_view: Any
    settled_beside: Any
    redrawn: Any

    def post(self, call: Callable[[], None]) -> None:
        """Call in the viewer's thread, from any thread."""

    def family_of(self, noisy: Image) -> Family:
        """What was made of a layer of the viewer."""

    def subject(self, layer: Image, *, fresh: bool = False) -> Subject:
        """A layer as a preview takes it."""

    def elsewhere(self, layer: Image) -> bool:
        """Whether another dock previews a layer."""


class Companion:
    """The preview of one more layer, and the window that it is shown in.

    Args:
        window: Window of the dock.
        layer: Noisy layer.
        make_layer: Function that makes the layer of a preview, of the noisy layer and the array.
        soon: Function that asks for more work, soon, of this one, or with None of the next.

    Attributes:
        layer: Noisy layer.
        family: What was made of it.
        shown: Layer of the preview; None for none.
    """

    def __init__(
        self,
        window: MainWindow,
        layer: Image,
        make_layer: Callable[[Image, Any], Image],
        soon: Callable[[Companion | None], None],
    ) -> None:
        self.layer, self.family = layer, window.family_of(layer)
        self.shown: Image | None = None
        self._window, self._make_layer, self._soon = window, make_layer, soon
        self._rests = True
        self._links = Links(window.viewer)
        self._store = StateStore()
        self._preview = Preview(self, self._store, window.cache, window.load)
        for name in ("data", "axis_labels"):
            self._links.connect(getattr(layer.events, name), self.renew)
        for name in _POSITION:
            self._links.connect(getattr(layer.events, name), self._move)
        self._renew()

    @property
    def unsettled(self) -> bool:
        """Whether a part of what is in view is still to come."""
        return not self._rests and self._preview.unsettled

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know of the layer, in words."""
        return self._store.state.notes

    def now(self) -> Shown | None:
        """What is shown of the layer at the moment, as arrays; None while there is nothing."""
        return self._preview.shown()

    def renew(self, event: object = None) -> None:
        """Preview everything anew: nothing that was made of the layer holds any more."""
        self._renew(fresh=True)

    def follow(self, state: DockState) -> None:
        """Take over what the dock is set to."""
        before = self._store.state
        self._store.edit(**{name: getattr(state, name) for name in _SAME})
        self._preview.follow(before, self._store.state)

    def work(self) -> None:
        """Denoise what is in view."""
        self._rests = False
        self._preview.look()

    def rest(self) -> None:
        """Let go of what is not done yet."""
        if not self._rests:
            self._rests = True
            self._preview.look()

    def end(self) -> None:
        """End the preview's thread; the viewer may be gone."""
        self._links.cut()
        self._preview.close(0)

    def close(self) -> None:
        """End, and take the layer out of the viewer."""
        self.end()
        self.show_canvas(None)

    # What the preview asks for

    def post(self, call: Callable[[], None]) -> None:
        """Call in the viewer's thread."""
        self._window.post(call)

    def view(self) -> LayerView | None:
        """What the viewer shows of the layer."""
        viewer = self._window.viewer
        if self._rests or self.family.hidden or self.layer not in viewer.layers:
            return None
        return view_of(viewer, self.layer, self.family.target)

    def show_canvas(self, canvas: Any) -> None:
        """Show this as the preview layer, in place of the one before."""
        before, self.shown = self.shown, None  # what is removed then is removed by us
        if before is not None and self.family.preview is before:
            self.family.drop_preview()
        if canvas is not None and self.layer in self._window.viewer.layers:
            self.shown = self._make_layer(self.layer, canvas)
            self.family.put_preview(self.shown)
            if self.shown.multiscale:  # napari decides when it draws which level that is
                self.shown.events.set_data.connect(self._drawn)

    def refresh(self) -> None:
        """Show what has changed in the canvas."""
        if self.shown is not None and self.shown.visible:
            self.shown.refresh(thumbnail=False, highlight=False, extent=False)

    def look_again(self) -> None:
        """Work again soon."""
        self._soon(self)

    def settled(self) -> None:
        """The next one's turn, where all is done."""
        self._window.redrawn.emit()
        if not self._preview.unsettled:
            self._soon(None)
            self._window.settled_beside.emit()

    # Inside

    def _drawn(self, event: object = None) -> None:
        self._soon(self)

    def _renew(self, *, fresh: bool = False) -> None:
        self._preview.choose(None)
        self._store.edit(preview=self._window.session.state.preview)
        try:
            self._preview.choose(self._window.subject(self.layer, fresh=fresh))
        except (TypeError, ValueError):  # the dock says why when this layer is chosen
            return
        self._soon(self)

    def _move(self, event: object = None) -> None:
        if self.shown is not None:
            for name, value in position_of(self.layer).items():
                setattr(self.shown, name, value)


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
        if self._closed or not self._window.session.state.preview:
            return []
        known = {one.layer: one for one in self._made}
        return [
            layer.name for layer in self._wanted if self._may_show(layer) and self._awaits(known.get(layer))
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

    def _awaits(self, one: Companion | None) -> bool:
        return one is None or one in self._todo or one.unsettled

    def _drop(self, one: Companion) -> None:
        self._made.remove(one)
        self._todo = [other for other in self._todo if other is not one]
        one.close()

    def _follow(self, state: DockState) -> None:
        """What the user works on comes first."""
        if self._closed or not (self._made or self._wanted):
            return
        if self._window.session.unsettled:
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
        if self._closed or session.unsettled or not session.state.preview:
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
