"""What a box has tied to a viewer, so that it can be untied in one place.

A key of a viewer may be bound by several boxes, as those of two docks: the one with the highest rank when the
key is pressed is called.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import napari

__all__ = ["KeyHandler", "Links"]

KeyHandler = Callable[[Any], Iterator[None]]
_HOLDERS = "_rdpdenoise_holders"  # attribute of our handler in the viewer's keymap


class Links:
    """Event callbacks and keys of a viewer; not a Qt object, so it outlives the widget that made it."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        self.whole = True
        self._viewer = viewer
        self._tied: list[tuple[Any, Callable[..., Any]]] = []
        self._keys: dict[str, KeyHandler] = {}

    def connect(self, event: Any, callback: Callable[..., Any]) -> None:
        """Call back at an event of napari, until `cut`."""
        event.connect(callback)
        self._tied.append((event, callback))

    def bind(self, key: str, callback: KeyHandler, rank: Callable[[], float] = lambda: 0.0) -> bool:
        """Bind a key of the viewer unless somebody else has it; returns whether it is ours.

        Args:
            key: Key, as napari writes it.
            callback: Generator function of the viewer: to its yield at the press, then at the release.
            rank: Function that tells, at a press, how much this one is meant among all that were bound here;
                below 0 it is not called.
        """
        found = self._viewer.bind_key(key, None)
        shared = _shared() if found is None else found
        self._viewer.bind_key(key, shared)
        if not hasattr(shared, _HOLDERS):
            return False
        getattr(shared, _HOLDERS).append((callback, rank))
        self._keys[key] = callback
        return True

    def cut(self, *_: Any) -> None:
        """Untie everything; keys that somebody else has bound meanwhile stay theirs."""
        self.whole = False
        tied, self._tied = self._tied, []
        for event, callback in tied:
            event.disconnect(callback)
        keys, self._keys = self._keys, {}
        for key, callback in keys.items():
            found = self._viewer.bind_key(key, None)
            holders = getattr(found, _HOLDERS, None)
            if holders is not None:
                holders[:] = [holder for holder in holders if holder[0] is not callback]
            if found is not None and holders != []:
                self._viewer.bind_key(key, found)


def _shared() -> KeyHandler:
    """Return a handler, a generator function as napari asks for, that calls one of those that it holds."""
    holders: list[tuple[KeyHandler, Callable[[], float]]] = []

    def pressed(viewer: napari.viewer.Viewer) -> Iterator[None]:
        ranks = [rank() for _, rank in holders]
        if ranks and max(ranks) >= 0:
            yield from holders[ranks.index(max(ranks))][0](viewer)

    setattr(pressed, _HOLDERS, holders)
    return pressed
