"""What the preview's thread does next: chores first, then the tiles of the view, then those that may follow.

Filled by the viewer's thread, emptied by the engine's. No Qt here, and nothing of networks.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from napari_rdpdenoise.ui.preview.events import PreviewView, Target
from napari_rdpdenoise.ui.preview.viewport import TileRequest

__all__ = ["Agenda", "Task"]

_IDLE_S = 0.3  # without a request, until what may be requested next is made

Chore = Callable[[], None]


class Task(NamedTuple):
    """A tile to make for a view.

    Attributes:
        target: View that asks for it.
        request: Plane, channel and tile.
        asked: Whether it is in view; else it may be requested next.
    """

    target: Target
    request: TileRequest
    asked: bool


class Agenda:
    """Chores and tiles that wait, and the view that they are for.

    Attributes:
        lock: Lock of everything here; while it is held the thread takes nothing.
    """

    def __init__(self) -> None:
        self.lock = threading.Condition()
        self._tiles: deque[TileRequest] = deque()
        self._ahead: deque[TileRequest] = deque()
        self._chores: deque[Chore] = deque()
        self._target: Target | None = None
        self._generation = 0
        self._closed = False

    @property
    def generation(self) -> int:
        """Number of the last `aim`."""
        return self._generation

    @property
    def target(self) -> Target | None:
        """View that is worked on; None where there is none."""
        return self._target

    @property
    def closed(self) -> bool:
        """Whether nothing is taken any more."""
        return self._closed

    @property
    def settled(self) -> bool:
        """Whether all tiles of the view have been taken."""
        return not self._tiles

    def is_current(self, target: Target) -> bool:
        """Whether no other view has been asked for since."""
        return not self._closed and target.generation == self._generation

    def aim(self, view: PreviewView | None) -> int:
        """Replace all tiles by those of a view; None for none. Returns the generation."""
        with self.lock:
            self._generation += 1
            self._target = None if view is None else Target(self._generation, view)
            self._tiles = deque(view.requests if view is not None else ())
            self._ahead = deque(view.ahead if view is not None else ())
            self.lock.notify_all()
            return self._generation

    def add(self, chore: Chore) -> None:
        """Have something done before all tiles."""
        with self.lock:
            self._chores.append(chore)
            self.lock.notify_all()

    def give_up(self, target: Target) -> None:
        """Drop the tiles of a view, if it still is the one that is worked on."""
        with self.lock:
            if target.generation == self._generation:
                self._tiles.clear()

    def close(self) -> None:
        """Let the thread end after what it has in work."""
        with self.lock:
            self._closed = True
            self._target = None
            self._tiles.clear()
            self._ahead.clear()
            self.lock.notify_all()

    def take(self) -> Chore | Task | None:
        """Wait for something to do; None once closed."""
        with self.lock:
            while not self._closed:
                if self._chores:
                    return self._chores.popleft()
                target = self._target
                if target is not None and self._tiles:
                    return Task(target, self._tiles.popleft(), asked=True)
                if target is None or not self._ahead:
                    self.lock.wait()
                elif not self.lock.wait(_IDLE_S) and self._is_idle(target):
                    return Task(target, self._ahead.popleft(), asked=False)
        return None

    def _is_idle(self, target: Target) -> bool:
        """Whether nothing came while a wait for it ran out, which is known only with the lock held again."""
        busy = self._tiles or self._chores or self._closed
        return self._target is target and bool(self._ahead) and not busy
