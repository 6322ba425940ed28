"""A run of a job in a thread, and its events in the viewer's thread, not more often than the eye can see."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QObject

from napari_rdpdenoise.jobs.job import Job, Opened
from napari_rdpdenoise.ui.qt.background import start
from napari_rdpdenoise.ui.qt.parts.paced import Paced
from napari_rdpdenoise.ui.run.jobs import Finished
from napari_rdpdenoise.ui.run.runs import Cancelled, Event, Failed
from napari_rdpdenoise.ui.session import Session

__all__ = ["RunEvents"]

_PROGRESS_MS = 100  # between two reports of a run: all that shows them is drawn anew each time


class RunEvents:
    """Hands the events of a session's runs to the session, and on.

    Args:
        owner: Qt object that it is for.
        session: Function that gives the session.
        happened: Function called with each event, after the session took it.
    """

    def __init__(
        self, owner: QObject, session: Callable[[], Session], happened: Callable[[Event], object]
    ) -> None:
        self._owner, self._session, self._happened = owner, session, happened
        self._progress = Paced(owner, _PROGRESS_MS, self._take)

    def start(self, job: Job) -> None:
        """Run a job in a thread."""
        runs = self._session().runs
        start(self._owner, lambda: runs.events(job), self._hear, task=f"Denoising {job.name}")

    def stop(self) -> None:
        """Report nothing more of what waits to be reported."""
        self._progress.stop()

    def _hear(self, event: Event) -> None:
        if self._session().closed:  # with the whole window: what would show the event is deleted
            return
        if isinstance(event, Opened | Finished | Failed | Cancelled):
            self._progress.drop()
            self._take(event)
        else:  # fast machines do many blocks a second
            self._progress.ask(event)

    def _take(self, event: Event) -> None:
        self._session().runs.take(event)
        self._happened(event)
