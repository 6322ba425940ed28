"""Runs of denoising jobs for the dock; knows neither Qt nor napari.

`Runs.events` is a generator that a worker thread drains. It never raises: what happens comes out as events,
which the dock's own thread hands to `Runs.take`, so one thread only touches the state.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from napari_rdpdenoise.jobs.job import Job, Opened
from napari_rdpdenoise.stream import Progress
from napari_rdpdenoise.ui import state as transitions
from napari_rdpdenoise.ui.run.jobs import Finished
from napari_rdpdenoise.ui.state import StateStore

__all__ = ["Cancelled", "Event", "Failed", "Runs", "Stream"]


@dataclass(frozen=True)
class Failed:
    """The run stopped with an error."""

    error: Exception


@dataclass(frozen=True)
class Cancelled:
    """The run stopped because it was asked to."""


Event: TypeAlias = Opened | Progress | Finished | Failed | Cancelled
Stream: TypeAlias = Callable[[Job], Generator[Opened | Progress, None, Finished]]


class Runs:
    """Starts and cancels runs, one at a time, and keeps the state up to date.

    Args:
        store: Holder of the state.
        stream: Function that turns a job into a generator of progress that returns what was made; closing it
            stops the work.

    Attributes:
        job: Job of the last run; None before the first.
    """

    def __init__(self, store: StateStore, stream: Stream) -> None:
        self.job: Job | None = None
        self._store, self._stream = store, stream
        self._stop = threading.Event()

    def start(self, make: Callable[[], Job]) -> Job:
        """Enter the running state, and make the job once the run may start; `events` does the work.

        Raises:
            RuntimeError: If no image layer is chosen, or a run is under way.
        """
        state = self._store.state
        if not state.can_start:
            raise RuntimeError(
                f"a run needs a chosen layer and no other run under way; found layer {state.layer!r}, "
                f"{state.phase.value}; choose a layer, or wait"
            )
        self._stop.clear()
        self._store.state = transitions.started(state)
        self.job = make()
        return self.job

    def cancel(self) -> None:
        """Ask the run to stop after the tile in work; without a run nothing happens."""
        if self._store.state.can_cancel:
            self._stop.set()
            self._store.state = transitions.cancelling(self._store.state)

    def events(self, job: Job) -> Iterator[Event]:
        """Yield progress and, last, exactly one of `Finished`, `Failed` or `Cancelled`.

        May run in another thread than the rest.
        """
        stream = None
        try:
            # An error is an event, not an exception: the thread worker turns a RuntimeError of its generator,
            # which is what torch raises, into a warning that nobody sees.
            stream = self._stream(job)
            while not self._stop.is_set():
                try:
                    progress = next(stream)
                except StopIteration as end:
                    yield end.value
                    return
                yield progress
            stream.close()
            yield Cancelled()
        except Exception as error:
            yield Failed(error)
        finally:
            if stream is not None:
                stream.close()

    def take(self, event: Event) -> None:
        """Take one event into the state."""
        store = self._store
        if isinstance(event, Finished):
            store.state = transitions.finished(store.state, event.report)
            if event.path is not None:
                stored = self.job is not None and self.job.residual is not None
                words = " It is read at realism 0 unless another is chosen." if stored else ""
                if stored and store.state.settings().ensemble > 1:
                    words += " It holds each block once: its image is no average over mirror images."
                first, *notes = store.state.status.split("\n")
                # what the run found may be long, and the place is what is looked for
                store.edit(status="\n".join([first, f"Saved as {event.path}.{words}", *notes]))
        elif isinstance(event, Failed):
            store.state = transitions.failed(store.state, event.error)
        elif isinstance(event, Cancelled):
            store.state = transitions.cancelled(store.state)
            target = None if self.job is None else self.job.target
            kept = "What was computed is in the cache: the same run again is faster."
            if target is not None:
                kept = f"What is done is kept: start the same run again, to {target.name}, to go on."
            store.edit(status=f"{store.state.status} {kept}")
        elif not isinstance(event, Opened):
            store.state = transitions.progressed(store.state, event)
