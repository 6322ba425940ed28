"""The threads between session and dock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from napari.qt.threading import GeneratorWorker, thread_worker
from qtpy.QtCore import QThreadPool

if TYPE_CHECKING:
    from napari_rdpdenoise.ui.finetune.events import Event as TuneEvent
    from napari_rdpdenoise.ui.finetune.events import Task
    from napari_rdpdenoise.ui.run.controller import Controller, Event
    from napari_rdpdenoise.ui.run.jobs import Job

__all__ = ["look_up", "run_job", "run_tuning", "start_long"]


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


@thread_worker(worker_class=_ClosingWorker)
def run_tuning(stream: Callable[[Task], Iterator[TuneEvent]], task: Task) -> Iterator[TuneEvent]:
    """Yield the events of one fine-tuning from a thread; closing the viewer stops it within a step."""
    yield from stream(task)


def start_long(worker: GeneratorWorker) -> None:
    """Start a worker that takes hours, beside the threads there are for everything else.

    Qt's pool has as many threads as the machine has cores: on a small one, runs would wait for a training.
    """
    pool = QThreadPool.globalInstance()
    pool.releaseThread()  # one that was never reserved: one more than there are
    worker.finished.connect(lambda: pool.reserveThread())
    worker.start()


@thread_worker
def look_up(question: Callable[[], Any]) -> Any:
    """Answer a slow question in a thread."""
    return question()
