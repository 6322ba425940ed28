"""What may be asked for many times a second, and is done as often as the eye can see."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QObject

from napari_rdpdenoise.ui.qt.parts.controls import single_shot

__all__ = ["Paced"]


class Paced:
    """Calls a function at once, then not again for a moment, at whose end it gets the newest value.

    Args:
        owner: Qt object that it is for.
        wait_ms: Time between two calls, ms.
        call: Function called with a value.
    """

    def __init__(self, owner: QObject, wait_ms: int, call: Callable[[Any], object]) -> None:
        self._call, self._waiting = call, list[Any]()  # the newest value, if it was not passed on yet
        self._timer = single_shot(owner, wait_ms, self._next)

    def ask(self, value: Any = None) -> None:
        """Call with this value, now or soon; values in between are left out."""
        self._waiting = [value]
        if not self._timer.isActive():
            self._next()

    def drop(self) -> None:
        """Forget what waits."""
        self._waiting = []

    def stop(self) -> None:
        """Call no more."""
        self.drop()
        self._timer.stop()

    def _next(self) -> None:
        if self._waiting:
            value = self._waiting.pop()
            self._timer.start()
            self._call(value)
