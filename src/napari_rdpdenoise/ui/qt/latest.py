"""One piece of work at a time in a thread: a newer one takes the place of what is under way."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

from napari.qt.threading import thread_worker
from qtpy.QtCore import QObject

__all__ = ["Latest", "alive"]


class _End:
    """Last word of a work: how it ended."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error


class Latest:
    """Runs generators in a thread and passes on what the latest of them yields, in the window's thread.

    A work that is cancelled or replaced stops before its next step, and nothing of it is passed on any more;
    so does one whose owner was deleted, a step later.

    Args:
        owner: the widget that the work is for.
    """

    def __init__(self, owner: QObject) -> None:
        self._owner = owner
        self._gone = threading.Event()
        self._busy = False

    @property
    def busy(self) -> bool:
        """Whether a work is under way."""
        return self._busy

    def start(
        self,
        work: Callable[[], Iterator[Any]],
        show: Callable[[Any], None],
        end: Callable[[Exception | None], None],
    ) -> None:
        """Start a work; the one under way is cancelled.

        Args:
            work: makes the generator, in the thread.
            show: takes what it yields.
            end: is called once when it is through, with the error if it failed; not if it was cancelled.
        """
        self.cancel()
        gone = self._gone = threading.Event()
        self._busy = True

        def take(item: Any) -> None:
            if gone.is_set():
                return
            if not alive(self._owner):
                self.cancel()
                return
            if isinstance(item, _End):
                self._busy = False
                end(item.error)
            else:
                show(item)

        worker = _run(work, gone)
        worker.yielded.connect(take)
        worker.start()

    def cancel(self) -> None:
        """Stop the work under way, if there is one; what is in its current step is thrown away."""
        self._gone.set()
        self._busy = False


def alive(item: QObject) -> bool:
    """Whether Qt still has what a Python object stands for.

    Asked rather than noted at the signal `destroyed`, which also comes while Python takes the slots apart.
    """
    try:
        item.objectName()
    except RuntimeError:
        return False
    return True


@thread_worker
def _run(work: Callable[[], Iterator[Any]], gone: threading.Event) -> Iterator[Any]:
    try:
        job = work()
        while not gone.is_set():
            try:
                item = next(job)
            except StopIteration:
                break
            yield item
    except Exception as error:  # shown to the user, whatever it is
        yield _End(error)
    else:
        yield _End(None)
