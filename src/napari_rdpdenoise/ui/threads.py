"""Threads that end before Python does: one that computes while the interpreter is taken apart aborts it.

No Qt here. They are daemons, so that they hold up nothing while somebody may still want them; when Python
ends, each is asked to stop and waited for, which takes as long as its step in work.
"""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable
from weakref import WeakKeyDictionary

__all__ = ["start_thread"]

_STOPS: WeakKeyDictionary[threading.Thread, Callable[[], object]] = WeakKeyDictionary()


def start_thread(work: Callable[[], None], stop: Callable[[], object], name: str) -> threading.Thread:
    """Run a function in a thread.

    Args:
        work: Function that runs in the thread.
        stop: Function that asks it to return soon; called when Python ends.
        name: Name of the thread.
    """
    thread = threading.Thread(target=work, name=name, daemon=True)
    _STOPS[thread] = stop
    thread.start()
    return thread


@atexit.register
def _end_all() -> None:
    running = [(thread, stop) for thread, stop in _STOPS.items() if thread.is_alive()]
    for _, stop in running:
        stop()
    for thread, _ in running:
        thread.join()
