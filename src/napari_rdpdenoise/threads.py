"""Threads that end before Python does: one that computes while the interpreter is taken apart aborts it.

No Qt here. They are daemons, so that they hold up nothing while somebody may still want them; when Python
ends, each is asked to stop and waited for, which takes as long as its step in work.
"""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable
from functools import cache
from queue import SimpleQueue
from weakref import WeakKeyDictionary

__all__ = ["start_soon", "start_thread"]

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


def start_soon(work: Callable[[], None], stop: Callable[[], object], name: str) -> None:
    """As `start_thread`, for the window's thread: returns at once.

    `threading.Thread.start` waits until the new thread has had its first turn, which on a busy machine takes
    tenths of a second; here another thread waits for that.
    """
    thread = threading.Thread(target=work, name=name, daemon=True)
    _STOPS[thread] = stop
    _waiting().put(thread)


@cache
def _waiting() -> SimpleQueue[threading.Thread | None]:
    """What is started next, by a thread that waits for nothing else; None ends it."""
    waiting: SimpleQueue[threading.Thread | None] = SimpleQueue()

    def start_all() -> None:
        while (thread := waiting.get()) is not None:
            thread.start()
            del thread  # it holds what it works for

    starter = threading.Thread(target=start_all, name="starter", daemon=True)
    _STOPS[starter] = lambda: waiting.put(None)
    starter.start()
    return waiting


@atexit.register
def _end_all() -> None:
    threads = [(thread, stop) for thread, stop in _STOPS.items() if thread.ident is None or thread.is_alive()]
    for _, stop in threads:
        stop()
    for thread, _ in sorted(threads, key=lambda both: both[0].name != "starter"):  # then all have begun
        thread.join()
