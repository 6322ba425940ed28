"""What the docks of one viewer agree about: a layer has one family, and one dock at a time previews it.

The dock that was used last previews; the others say so, and take it up again when that one is closed or
hidden.
"""

from __future__ import annotations

from typing import Any, ClassVar, Protocol
from weakref import WeakSet

import napari
from napari.layers import Image

from napari_rdpdenoise.ui.qt.family import Family
from napari_rdpdenoise.ui.session import Session

__all__ = ["DockWindow", "Docks"]


class DockWindow(Protocol):
    """What is needed of the window of each dock; see `NapariWindow`."""

    viewer: napari.viewer.Viewer
    session: Session
    companions: Any

    @property
    def layer(self) -> Image | None:
        """Chosen layer; None for none."""

    @property
    def families(self) -> dict[Image, Family]:
        """What is known of layers, by noisy layer."""

    @property
    def previews(self) -> bool:
        """Whether there is a preview layer of the chosen layer, made here."""


class Docks:
    """One dock among all that are open.

    Args:
        window: Window of the dock.
    """

    _open: ClassVar[WeakSet[Any]] = WeakSet()

    def __init__(self, window: DockWindow) -> None:
        self._window = window
        self._open.add(window)

    def family_of(self, noisy: Image) -> Family | None:
        """The family of a layer that another dock knows; None for none."""
        found = (other.families.get(noisy) for other in self._others())
        return next((family for family in found if family is not None), None)

    def have(self, layer: Image) -> bool:
        """Whether another dock previews a layer."""
        return any(other.layer is layer and other.previews for other in self._others())

    def take(self, layer: Image | None) -> None:
        """Preview a layer here: two previews of it would lie over each other."""
        for other in self._others():
            other.companions.leave(layer)
            if other.layer is layer and other.previews:
                other.session.edit(elsewhere=True, preview=False)

    def give(self, layer: Image | None) -> None:
        """Let another dock take up the preview of a layer, where one has it chosen."""
        for other in self._others():
            state = other.session.state
            if layer is not None and other.layer is layer and state.elsewhere and not state.hidden:
                other.session.edit(elsewhere=False, preview=True)
                return

    def reclaim(self) -> None:
        """Take up the preview of the chosen layer, where the dock that has it is hidden, or gone."""
        layer, session = self._window.layer, self._window.session
        holders = (other for other in self._others() if other.layer is layer and other.previews)
        if session.state.elsewhere and all(other.session.state.hidden for other in holders):
            session.edit(elsewhere=False, preview=True)

    def leave(self, layer: Image | None) -> None:
        """Close this dock, whose chosen layer is given."""
        self._open.discard(self._window)
        self.give(layer)

    def _others(self) -> list[Any]:
        mine = _bare(self._window.viewer)
        return [other for other in self._open if other is not self._window and _bare(other.viewer) is mine]


def _bare(viewer: Any) -> Any:
    """The viewer behind what napari hands to plugins."""
    return getattr(viewer, "__wrapped__", viewer)
