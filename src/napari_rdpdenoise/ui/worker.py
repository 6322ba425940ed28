"""The threads between session and dock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from napari.qt.threading import GeneratorWorker, thread_worker

if TYPE_CHECKING:
    from .controller import Controller, Event
    from .jobs import Job

__all__ = ["look_up", "run_job"]


class _ClosingWorker(GeneratorWorker):
    """Closes its generator when it was aborted, instead of leaving that to the garbage collector."""

    def work(self) -> Any:
        try:
            return super().work()
        finally:
            self._gen.close()


@thread_worker(worker_class=_ClosingWorker)
def run_job(controller: Controller, job: Job) -> Iterator[Event]:
    """Yield the events of one run from a thread; closing the viewer stops it within a tile."""
    yield from controller.run(job)


@thread_worker
def look_up(question: Callable[[], Any]) -> Any:
    """Answer a slow question in a thread."""
    return question()
