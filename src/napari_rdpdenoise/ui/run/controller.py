"""Runs a denoising job for the dock and keeps its state; knows neither Qt nor napari.

`Controller.run` is a generator that a worker thread drains. It never raises: what happens comes out as
events, which the dock's own thread hands to `Controller.apply`, so one thread only touches the state.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from napari_rdpdenoise.jobs.job import Job, Opened
from napari_rdpdenoise.ui import state as transitions
from napari_rdpdenoise.ui.run.jobs import Finished
from napari_rdpdenoise.ui.state import DockState

if TYPE_CHECKING:
    from typing import TypeAlias

    from napari_rdpdenoise.settings import RunSettings
    from napari_rdpdenoise.stream import Progress

    Event: TypeAlias = "Opened | Progress | Finished | Failed | Cancelled"
    Stream: TypeAlias = Callable[[Job], Generator[Opened | Progress, None, Finished]]

__all__ = ["Cancelled", "Controller", "Failed"]


@dataclass(frozen=True)
class Failed:
    """The run stopped with an error."""

    error: Exception


@dataclass(frozen=True)
class Cancelled:
    """The run stopped because it was asked to.

    Attributes:
        data: what the run wrote into, its axes the job's, 0 where it did not come; None if that is a file, or
            nothing was written.
    """

    data: Any = None


class Controller:
    """Holds the dock's state, starts and cancels runs.

    Args:
        stream: Maker of a generator of progress from a job, which returns what was made; closing it stops the
            work.
        on_change: Taker of the new state after every change.
    """

    def __init__(self, stream: Stream, on_change: Callable[[DockState], None]) -> None:
        self.state = DockState()
        self._stream = stream
        self._on_change = on_change
        self._stop = threading.Event()

    def edit(self, **changes: Any) -> None:
        """Change fields of the state by name, and tell the dock if anything differs."""
        self._set(replace(self.state, **changes))

    def start(self) -> None:
        """Enter the running state; `run` does the work.

        Raises:
            RuntimeError: no image layer is chosen, or a run is under way.
        """
        if not self.state.can_start:
            raise RuntimeError(
                f"a run needs a chosen layer and no other run under way; found layer {self.state.layer!r}, "
                f"{self.state.phase.value}; choose a layer, or wait"
            )
        self._stop.clear()
        self._set(transitions.started(self.state))

    def take_settings(self, settings: RunSettings) -> None:
        """Set all controls that stand for run settings, as of a job file."""
        self._set(transitions.with_settings(self.state, settings))

    def cancel(self) -> None:
        """Ask the run to stop after the tile in work; without a run nothing happens."""
        if self.state.can_cancel:
            self._stop.set()
            self._set(transitions.cancelling(self.state))

    def run(self, job: Job) -> Iterator[Event]:
        """Yield progress and, last, exactly one of `Finished`, `Failed` or `Cancelled`.

        May run in another thread than the rest of the controller.
        """
        stream, data, tiles = None, None, 0
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
                if isinstance(progress, Opened):
                    data = progress.data
                else:
                    tiles = progress.done
                yield progress
            stream.close()
            yield Cancelled(data if tiles else None)
        except Exception as error:
            yield Failed(error)
        finally:
            if stream is not None:
                stream.close()

    def apply(self, event: Event) -> None:
        """Take one event of `run` into the state."""
        if isinstance(event, Finished):
            self._set(transitions.finished(self.state, event.report))
        elif isinstance(event, Failed):
            self._set(transitions.failed(self.state, event.error))
        elif isinstance(event, Cancelled):
            self._set(transitions.cancelled(self.state))
        elif not isinstance(event, Opened):
            self._set(transitions.progressed(self.state, event))

    def _set(self, state: DockState) -> None:
        if state != self.state:
            self.state = state
            self._on_change(state)
