"""Long steps that can be given up in the middle: done in a thread, while the caller's is told to wait.

::

    caller: next ──▶ None (every fifth of a second) ──▶ ... ──▶ what came of it
    close  ──▶ the thread reads nothing more, and ends where it next asks
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_rdpdenoise.io import ImageSource, Index
from napari_rdpdenoise.threads import start_thread

__all__ = ["aside"]

_TELL_S = 0.2  # between two times that the caller may give up
_PATIENCE_S = 0.2  # for which the step in work is waited for after that

Answer = TypeVar("Answer")


class _GivenUp(Exception):
    """Nobody waits for it any more."""


def aside(
    source: ImageSource, work: Callable[[ImageSource, Callable[[], None]], Answer]
) -> Generator[None, None, Answer]:
    """Do a long step, yielding None now and then; its answer is the return value.

    Closing the generator gives the step up: it reads no more of the image, and ends where it next calls what
    it was given. In the main thread, where nobody can close what is under way, it is done without another
    thread, so that Ctrl-C ends it at once.

    Args:
        source: Image that the step reads.
        work: Function that does it, given the image to read, and a function that it calls now and then, which
            raises when it was given up.
    """
    if threading.current_thread() is threading.main_thread():
        return work(source, lambda: None)
    step = _Step(source, work)
    thread = start_thread(step.run, step.give_up, "planning")
    try:
        while not step.done.wait(_TELL_S):
            yield None
    finally:
        step.give_up()
        thread.join(_PATIENCE_S)
    return step.answer()


class _Step(Generic[Answer]):
    """A step in a thread, and what comes of it.

    Attributes:
        done: Event that is set when it is over.
    """

    def __init__(
        self, source: ImageSource, work: Callable[[ImageSource, Callable[[], None]], Answer]
    ) -> None:
        self.done = threading.Event()
        self._source, self._work = _UntilGivenUp(source), work
        self._answer: list[Answer] = []
        self._error: BaseException | None = None

    def run(self) -> None:
        """In the thread."""
        try:
            self._answer.append(self._work(self._source, self._source.check))
        except BaseException as error:  # raised again in the thread that waits
            self._error = error
        finally:
            self.done.set()

    def give_up(self) -> None:
        """Read nothing more; returns when what is being read is there."""
        self._source.give_up()

    def answer(self) -> Answer:
        """What the step gave; raises what it raised."""
        if self._error is not None:
            raise self._error
        return self._answer[0]


class _UntilGivenUp:
    """A source that may be closed while somebody wants to read it: it is not read any more then."""

    def __init__(self, source: ImageSource) -> None:
        self._source, self._reading, self._over = source, threading.Lock(), False
        self.shape, self.dtype, self.metadata = source.shape, source.dtype, source.metadata

    def check(self) -> None:
        if self._over:
            raise _GivenUp

    def give_up(self) -> None:
        self._over = True
        with self._reading:
            pass

    def read(self, index: Index, y: slice, x: slice) -> NDArray[np.generic]:
        with self._reading:
            self.check()
            return self._source.read(index, y, x)

    def read_invalid(self, index: Index, y: slice, x: slice) -> NDArray[np.bool_] | None:
        read = getattr(self._source, "read_invalid", None)
        if read is None:
            return None
        with self._reading:
            self.check()
            found: NDArray[np.bool_] | None = read(index, y, x)
            return found

    def close(self) -> None:
        self._source.close()

    def fingerprint(self) -> str:
        return self._source.fingerprint()
