"""Work in threads, in one way: a generator runs in a thread, what it yields arrives in the viewer's thread.

::

    start(owner, work, show, end) ──▶ Background: stop, cancel, pause, resume
    ask(owner, question, answer)  ──▶ Background of a single step
    Newest(owner).start(...)      ──▶ the newest work wins, an older one is cancelled

Nothing arrives any more once the owner was deleted. Each work has a thread of its own and ends after its step
in work, also when the viewer or Python is closed meanwhile, which a worker of Qt's pool does not survive.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any
from weakref import WeakMethod

import napari
from qtpy.QtCore import QObject, Qt, Signal

from napari_rdpdenoise.imports import short_turns
from napari_rdpdenoise.threads import start_soon

__all__ = ["Background", "Newest", "alive", "ask", "start"]

Work = Callable[[], Iterator[Any]]
Show = Callable[[Any], None]
End = Callable[[Exception | None], None]


def _raise(error: Exception | None) -> None:
    """For works that are not expected to fail: napari shows what is raised in its thread."""
    if error is not None:
        raise error


class _Bridge(QObject):
    """Takes calls from a thread into the viewer's."""

    said = Signal(object)
    paused = Signal()
    resumed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.said.connect(self._hear, Qt.ConnectionType.QueuedConnection)

    def _hear(self, call: Callable[[], None]) -> None:
        call()


class Background:
    """One piece of work in a thread. Methods belong to the viewer's thread and return at once.

    Args:
        owner: Qt object that the work is for.
        work: Maker of the generator, called in the thread.
        show: Taker of what it yields.
        end: Function called once when the thread is through, with the error if it failed; not if cancelled.
        task: Name of a work that the user started: napari then asks before it is closed.
    """

    def __init__(self, owner: QObject, work: Work, show: Show, end: End = _raise, *, task: str = "") -> None:
        self.busy = self.running = True  # running: also where it was cancelled, until its thread is through
        self.stopping = False
        self._owner, self._show, self._end = owner, show, end
        self._after: Callable[[], None] = lambda: None
        self._dropped, self._quit, self._may_go = threading.Event(), threading.Event(), threading.Event()
        self._may_go.set()
        self._bridge = _Bridge()
        self.paused, self.resumed = self._bridge.paused, self._bridge.resumed  # signals
        self._tell_napari = _task(task, self.stop)
        start_soon(lambda: self._run(work), self.cancel, f"dock: {task or 'question'}")

    def stop(self) -> None:
        """End it after the step in work; what that yields is shown still, and `end` is called."""
        self.stopping = True
        self._quit.set()
        self._may_go.set()

    def cancel(self) -> None:
        """End it after the step in work, and pass on nothing more of it."""
        self._dropped.set()
        self.busy = False
        self.stop()

    def then(self, after: Callable[[], None]) -> None:
        """Have a function called when its thread is through, however it ends; the last one that is given."""
        self._after = after

    def pause(self) -> None:
        """Hold it after the step in work; `paused` tells when."""
        if not self.stopping:
            self._may_go.clear()

    def resume(self) -> None:
        """Go on; `resumed` tells when."""
        self._may_go.set()

    # In the thread

    def _run(self, work: Work) -> None:
        steps: Any = None
        error: Exception | None = None
        try:
            steps = work()
            while not self._quit.is_set():
                self._wait()
                try:
                    with short_turns():
                        item = next(steps)
                except StopIteration:
                    break
                self._say(lambda item=item: self._deliver(item))  # type: ignore[misc]
        except Exception as raised:  # shown to the user, whatever it is
            error = raised
        finally:
            if hasattr(steps, "close"):
                steps.close()
            self._say(lambda: self._finish(error))

    def _wait(self) -> None:
        if not self._may_go.is_set():
            self._say(self.paused.emit)
            self._may_go.wait()
            self._say(self.resumed.emit)

    def _say(self, call: Callable[[], None]) -> None:
        try:
            self._bridge.said.emit(call)
        except RuntimeError:  # Qt is gone: nobody is left to be told
            self._quit.set()

    # In the viewer's thread

    def _deliver(self, item: Any) -> None:
        if self._dropped.is_set():
            return
        if alive(self._owner):
            self._show(item)
        else:
            self.cancel()

    def _finish(self, error: Exception | None) -> None:
        self.busy = self.running = False
        self._tell_napari()
        self._tell_napari = lambda: None  # it holds the viewer
        if not self._dropped.is_set() and alive(self._owner):
            self._end(error)
        if alive(self._owner):
            self._after()


start = Background
"""Start a work that runs to its end, whatever is started after it."""


def ask(owner: QObject, question: Callable[[], Any], answer: Show, end: End = _raise) -> Background:
    """Answer a slow question in a thread."""
    return start(owner, lambda: _once(question), answer, end)


class Newest:
    """One work at a time: the newest takes the place of the one under way.

    Args:
        owner: Qt object that the works are for.
        task: Name of works that the user starts, see `Background`.
    """

    def __init__(self, owner: QObject, *, task: str = "") -> None:
        self._owner, self._task = owner, task
        self._work: Background | None = None
        self._question: tuple[Callable[[], Any], Show, End] | None = None  # that waits for its turn

    @property
    def busy(self) -> bool:
        """Whether a work is under way, its last step included, unless it was cancelled."""
        return self._question is not None or (self._work is not None and self._work.busy)

    @property
    def stopping(self) -> bool:
        """Whether the newest work was asked to stop."""
        return self._work is not None and self._work.stopping

    def start(self, work: Work, show: Show, end: End = _raise) -> Background:
        """Start a work; the one under way is cancelled."""
        self.cancel()
        self._work = start(self._owner, work, show, end, task=self._task)
        return self._work

    def ask(self, question: Callable[[], Any], answer: Show, end: End = _raise) -> None:
        """Answer a slow question; the work under way is cancelled.

        It begins when the thread of that is through: cancelled questions are computed to their end all the
        same, and many at a time would take the processor from the window.
        """
        self.cancel()
        if self._work is not None and self._work.running:
            self._question = question, answer, end
            self._work.then(self._ask_next)
        else:
            self.start(lambda: _once(question), answer, end)

    def stop(self) -> None:
        """Stop the work under way, if there is one."""
        self._question = None
        if self._work is not None:
            self._work.stop()

    def cancel(self) -> None:
        """Cancel the work under way, if there is one."""
        self._question = None
        if self._work is not None:
            self._work.cancel()

    def _ask_next(self) -> None:
        if self._question is not None:
            self.ask(*self._question)


def alive(item: QObject) -> bool:
    """Whether Qt still has what a Python object stands for.

    Asked rather than noted at the signal `destroyed`, which also comes while Python takes the slots apart.
    """
    try:
        item.objectName()
    except RuntimeError:
        return False
    return True


def _task(name: str, stop: Callable[[], None]) -> Callable[[], None]:
    """Have napari ask before it is closed; returns what to call when the work has ended."""
    viewer = napari.current_viewer() if name else None
    register = getattr(getattr(viewer, "window", None), "_register_task_status", None)
    if viewer is None or register is None:  # no window, or napari < 0.6.5
        return lambda: None
    from napari.utils.task_status import Status

    held = WeakMethod(stop)  # napari keeps what it is given for ever

    def end() -> bool:
        call = held()
        if call is not None:
            call()
        return call is not None

    number = register("RDP Denoise", Status.BUSY, name, cancel_callback=end)
    return lambda: viewer.window._update_task_status(number, Status.COMPLETED, name) and None


def _once(question: Callable[[], Any]) -> Iterator[Any]:
    yield question()
