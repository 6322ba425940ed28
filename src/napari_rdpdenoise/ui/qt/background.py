"""Work in threads, in one way: a generator runs in a thread, what it yields arrives in the viewer's thread.

::

    start(owner, work, show, end) ──▶ Background: stop, cancel, pause, resume
    ask(owner, question, answer)  ──▶ Background of a single step
    Newest(owner).start(...)      ──▶ the newest work wins, an older one is cancelled

Nothing arrives any more once the owner was deleted. Closing the viewer ends each work after its step in work,
and closes its generator in its thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

from napari.qt.threading import GeneratorWorker, thread_worker
from qtpy.QtCore import QObject, QThreadPool

__all__ = ["Background", "Newest", "alive", "ask", "start"]

Work = Callable[[], Iterator[Any]]
Show = Callable[[Any], None]
End = Callable[[Exception | None], None]


def _raise(error: Exception | None) -> None:
    """For works that are not expected to fail: napari shows what is raised in its thread."""
    if error is not None:
        raise error


class Background:
    """One piece of work in a thread. Methods belong to the viewer's thread and return at once.

    Args:
        owner: Qt object that the work is for.
        work: Maker of the generator, called in the thread.
        show: Taker of what it yields.
        end: Function called once when the thread is through, with the error if it failed; not if cancelled.
        long: Whether it takes hours: it then has a thread beside those that there are for everything else.
    """

    def __init__(
        self, owner: QObject, work: Work, show: Show, end: End = _raise, *, long: bool = False
    ) -> None:
        self.busy = True
        self.stopping = False
        self._owner, self._show, self._end = owner, show, end
        self._dropped = threading.Event()
        self._failed: list[Exception] = []
        self._worker = _steps(work, self._dropped, self._failed)
        # Functions, not methods: Qt would hold those weakly, and nobody else need keep a work
        self._worker.yielded.connect(lambda item: self._deliver(item))
        self._worker.finished.connect(lambda: self._finish())
        if long:  # Qt's pool has a thread per core: on a small machine, all else would wait for hours
            pool = QThreadPool.globalInstance()
            pool.releaseThread()  # one that was never reserved: one more than there are
            self._worker.finished.connect(lambda: pool.reserveThread())
        self.paused, self.resumed = self._worker.paused, self._worker.resumed  # signals
        self._worker.start()

    def stop(self) -> None:
        """End it after the step in work; what that yields is shown still, and `end` is called."""
        self.stopping = True
        self._worker.quit()

    def cancel(self) -> None:
        """End it after the step in work, and pass on nothing more of it."""
        self._dropped.set()
        self.busy = False

    def pause(self) -> None:
        """Hold it after the step in work; `paused` tells when."""
        self._worker.pause()

    def resume(self) -> None:
        """Go on; `resumed` tells when."""
        self._worker.resume()

    def _deliver(self, item: Any) -> None:
        if self._dropped.is_set():
            return
        if alive(self._owner):
            self._show(item)
        else:
            self.cancel()

    def _finish(self) -> None:
        self.busy = False
        if not self._dropped.is_set() and alive(self._owner):
            self._end(self._failed[0] if self._failed else None)


start = Background
"""Start a work that runs to its end, whatever is started after it."""


def ask(owner: QObject, question: Callable[[], Any], answer: Show, end: End = _raise) -> Background:
    """Answer a slow question in a thread."""
    return start(owner, lambda: _once(question), answer, end)


class Newest:
    """One work at a time: the newest takes the place of the one under way.

    Args:
        owner: Qt object that the works are for.
        long: Whether they take hours, see `Background`.
    """

    def __init__(self, owner: QObject, *, long: bool = False) -> None:
        self._owner, self._long = owner, long
        self._work: Background | None = None

    @property
    def busy(self) -> bool:
        """Whether a work is under way, its last step included, unless it was cancelled."""
        return self._work is not None and self._work.busy

    @property
    def stopping(self) -> bool:
        """Whether the newest work was asked to stop."""
        return self._work is not None and self._work.stopping

    def start(self, work: Work, show: Show, end: End = _raise) -> Background:
        """Start a work; the one under way is cancelled."""
        self.cancel()
        self._work = start(self._owner, work, show, end, long=self._long)
        return self._work

    def ask(self, question: Callable[[], Any], answer: Show, end: End = _raise) -> Background:
        """Answer a slow question; the work under way is cancelled."""
        return self.start(lambda: _once(question), answer, end)

    def stop(self) -> None:
        """Stop the work under way, if there is one."""
        if self._work is not None:
            self._work.stop()

    def cancel(self) -> None:
        """Cancel the work under way, if there is one."""
        if self._work is not None:
            self._work.cancel()


def alive(item: QObject) -> bool:
    """Whether Qt still has what a Python object stands for.

    Asked rather than noted at the signal `destroyed`, which also comes while Python takes the slots apart.
    """
    try:
        item.objectName()
    except RuntimeError:
        return False
    return True


class _ClosingWorker(GeneratorWorker):
    """Closes its generator when it was aborted, instead of leaving that to the garbage collector."""

    def work(self) -> Any:
        try:
            return super().work()
        finally:
            self._gen.close()


@thread_worker(worker_class=_ClosingWorker)
def _steps(work: Work, dropped: threading.Event, failed: list[Exception]) -> Iterator[Any]:
    """Yield what a work yields; an error is noted: napari takes a `RuntimeError` for a deleted window."""
    steps: Any = None
    try:
        steps = work()
        while not dropped.is_set():
            try:
                item = next(steps)
            except StopIteration:
                break
            yield item
    except Exception as error:  # shown to the user, whatever it is
        failed.append(error)
    finally:
        if hasattr(steps, "close"):
            steps.close()


def _once(question: Callable[[], Any]) -> Iterator[Any]:
    yield question()
