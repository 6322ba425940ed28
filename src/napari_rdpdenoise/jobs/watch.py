"""Looks at an image that grows, and decides when it has ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import replace

from napari_rdpdenoise.io.growing.opening import GrowingImage
from napari_rdpdenoise.jobs.follow import Follow
from napari_rdpdenoise.jobs.lines import said
from napari_rdpdenoise.stream import Progress

_TOLD_EVERY = 60.0  # s, between lines that say how far it is
_SLICE = 0.1  # s, of a wait: as long as Ctrl-C may take


class Watch:
    """Looks at a growing image, and decides when it has ended.

    ``count`` is how many time points are complete; ``over`` says, once it has ended, why, in words.
    """

    def __init__(self, growing: GrowingImage, follow: Follow, stop: Callable[[], bool]) -> None:
        self.growing, self._follow, self._stop = growing, follow, stop
        self.count, self.over, self.stopped = 0, "", False
        self._last, self._told = time.monotonic(), float("-inf")

    def look(self, all_done: bool) -> None:
        """Look once, unless it has ended; ``all_done`` says that what was complete before is done."""
        if self.over:
            return
        marked = self.growing.is_marked()
        count = self.growing.look(marked)
        if count > self.count:
            self.count, self._last = count, time.monotonic()
        self._last = max(self._last, self.growing.changed)
        if self._stop():
            self.over, self.stopped = "stopped", True
        elif marked and not self.growing.pending():
            self.over = f"{self._follow.until} says that no more will come"
        elif all_done and time.monotonic() - self._last > self._follow.idle:
            self.over = f"nothing new for {self._follow.idle:g} s"

    def wait_for_first(self, name: str) -> Generator[Progress, None, None]:
        """Wait for the first time points, or the end.

        Raises:
            FileNotFoundError: If there are none at the end.
        """
        wanted = self._follow.first_steps
        while True:
            self.look(True)
            if self.count >= wanted or self.over:
                break
            words = self.growing.obstacle()
            because = f" ({words})" if words else ""
            yield from self.wait(
                said, f"{self.count} of the first {wanted} time points are complete{because}"
            )
        if self.count == 0:
            words = self.growing.obstacle() or "nothing is there"
            raise FileNotFoundError(
                f"image: expected time points of {name}, found none complete ({self.over}; {words}); check "
                "the path, or wait longer with idle (--idle)"
            )

    def wait(self, state: Callable[[str], Progress], words: str) -> Generator[Progress, None, None]:
        """Wait until the next look, and now and then say how far it is."""
        if time.monotonic() - self._told < _TOLD_EVERY:
            yield replace(state(words), message=None)
        else:
            self._told = time.monotonic()
            yield state(words)
        until = time.monotonic() + self._follow.every
        while time.monotonic() < until and not self._stop():
            time.sleep(min(_SLICE, self._follow.every))

    def obstacle(self) -> str:
        """What keeps from taking what is there, in brackets; empty for nothing."""
        words = self.growing.obstacle()
        return f" ({words})" if words else ""
