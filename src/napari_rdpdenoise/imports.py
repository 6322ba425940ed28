"""Loading large libraries beside a window that goes on living."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_waiting = 0  # contexts that are entered, in any thread
_enabled = False  # whether Python collected garbage before the first of them


@contextmanager
def no_collections() -> Iterator[None]:
    """Put off the collection of garbage until the end, in all threads.

    A library of thousands of functions makes Python look for garbage several times while it is loaded, each
    time among all objects of the process. In a viewer this takes tenths of a second, in which no other thread
    runs, the window's included. At the end all that is there counts as old, as what a library leaves is: else
    the next thread that makes an object would go through all of it.
    """
    global _waiting, _enabled
    with _lock:
        if _waiting == 0:
            _enabled = gc.isenabled()
            gc.disable()
        _waiting += 1
    try:
        yield
    finally:
        with _lock:
            _waiting -= 1
            if _waiting == 0 and _enabled:
                gc.freeze()  # with the next line: to the oldest generation, without a look at anything
                gc.unfreeze()
                gc.enable()
