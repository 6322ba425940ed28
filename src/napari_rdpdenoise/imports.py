"""Work beside a window that goes on living: large libraries are loaded, and threads take short turns."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_TURN_S = 0.001  # Python's own is 5 ms


class _Meanwhile:
    """Something that holds while contexts are entered, in any thread: from the first to the last.

    Args:
        begin: Function that begins it; its answer is what `end` is given.
        end: Function that ends it.
    """

    def __init__(self, begin: Callable[[], float], end: Callable[[float], None]) -> None:
        self._begin, self._end = begin, end
        self._lock = threading.Lock()
        self._entered, self._before = 0, 0.0

    @contextmanager
    def __call__(self) -> Iterator[None]:
        with self._lock:
            if self._entered == 0:
                self._before = self._begin()
            self._entered += 1
        try:
            yield
        finally:
            with self._lock:
                self._entered -= 1
                if self._entered == 0:
                    self._end(self._before)


def _collect_no_more() -> float:
    enabled = gc.isenabled()
    gc.disable()
    return enabled


def _collect_again(enabled: float) -> None:
    if enabled:
        gc.freeze()  # with the next line: to the oldest generation, without a look at anything
        gc.unfreeze()
        gc.enable()


def _shorten_turns() -> float:
    before = sys.getswitchinterval()
    if before > _TURN_S:
        sys.setswitchinterval(_TURN_S)
    return before


def _restore_turns(before: float) -> None:
    if before > _TURN_S:
        sys.setswitchinterval(before + 5e-7)  # Python cuts it to whole microseconds


_no_collections = _Meanwhile(_collect_no_more, _collect_again)
_short_turns = _Meanwhile(_shorten_turns, _restore_turns)


@contextmanager
def no_collections() -> Iterator[None]:
    """Put off the collection of garbage until the end, in all threads, which also take `short_turns`.

    A library of thousands of functions makes Python look for garbage several times while it is loaded, each
    time among all objects of the process. In a viewer this takes tenths of a second, in which no other thread
    runs, the window's included. At the end all that is there counts as old, as what a library leaves is: else
    the next thread that makes an object would go through all of it.
    """
    with _short_turns(), _no_collections():
        yield


@contextmanager
def short_turns() -> Iterator[None]:
    """Have threads give Python's lock to each other after a millisecond, in all threads, until the end.

    A window's thread lets go of the lock whenever it asks Qt for something, dozens of times while it draws.
    Beside a thread that computes in Python it would wait five milliseconds each time to get it back.
    """
    with _short_turns():
        yield
