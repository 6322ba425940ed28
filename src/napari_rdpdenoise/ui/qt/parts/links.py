"""What a box has tied to a viewer, so that it can be untied in one place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import napari

__all__ = ["Links"]


class Links:
    """Event callbacks and keys of a viewer; not a Qt object, so it outlives the widget that made it."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        self.whole = True
        self._viewer = viewer
        self._tied: list[tuple[Any, Callable[..., Any]]] = []
        self._keys: dict[str, Callable[..., Any]] = {}

    def connect(self, event: Any, callback: Callable[..., Any]) -> None:
        """Call back at an event of napari, until `cut`."""
        event.connect(callback)
        self._tied.append((event, callback))

    def bind(self, key: str, callback: Callable[..., Any]) -> bool:
        """Bind a key of the viewer unless it is taken; returns whether it was free."""
        try:
            self._viewer.bind_key(key, callback)
        except ValueError:
            return False
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
            if found is not None and found is not callback:
                self._viewer.bind_key(key, found)
