"""The thread between controller and dock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from napari.qt.threading import thread_worker

if TYPE_CHECKING:
    from .controller import Controller, Event
    from .jobs import Job

__all__ = ["look_up", "run_job"]


@thread_worker
def run_job(controller: Controller, job: Job) -> Iterator[Event]:
    """Yield the events of one run from a thread; closing the viewer stops it within a tile."""
    yield from controller.run(job)


@thread_worker
def look_up(question: Callable[[], str | None]) -> str | None:
    """Answer a slow question in a thread."""
    return question()
