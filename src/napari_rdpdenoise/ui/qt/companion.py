"""Preview of a layer that is denoised together with the chosen one, such as another channel of its file.

It works when it is told to: see `companions`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import napari
from napari.layers import Image

from napari_rdpdenoise.cache import LatentCache
from napari_rdpdenoise.ui.preview.preview import Preview
from napari_rdpdenoise.ui.preview.shown import Shown
from napari_rdpdenoise.ui.preview.viewport import LayerView
from napari_rdpdenoise.ui.preview.window import Subject
from napari_rdpdenoise.ui.qt.family import Family
from napari_rdpdenoise.ui.qt.in_view import view_of
from napari_rdpdenoise.ui.qt.parts.links import Links
from napari_rdpdenoise.ui.session import Session
from napari_rdpdenoise.ui.state import DockState, StateStore

__all__ = ["Companion", "MainWindow"]

# of the dock's state
_SAME = ("model", "auto_rate", "rate", "realism", "realism_note", "preview", "hidden", "base")


class MainWindow(Protocol):
    """What is needed of the dock's window; see `NapariWindow` for each."""

    viewer: napari.viewer.Viewer
    cache: LatentCache | None
    load: Callable[[str, str], Any] | None
    session: Session
    changed: Any
    settled_view: Any
    settled_beside: Any
    redrawn: Any

    @property
    def layer(self) -> Image | None:
        """Chosen layer; None for none."""

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
        state = self._window.session.state
        self._store.edit(preview=state.preview, hidden=state.hidden)
        try:
            self._preview.choose(self._window.subject(self.layer, fresh=fresh))
        except (TypeError, ValueError):  # the dock says why when this layer is chosen
            return
        self._soon(self)
