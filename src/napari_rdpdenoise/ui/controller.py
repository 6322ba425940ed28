"""Runs a denoising job for the dock and keeps its state; knows neither Qt nor napari.

`Controller.run` is a generator that a worker thread drains. It never raises: what happens comes out as
events, which the dock's own thread hands to `Controller.apply`, so one thread only touches the state.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..io.source import DEFAULT_AXES
from . import state as transitions
from .state import DockState

if TYPE_CHECKING:
    from typing import TypeAlias

    import numpy as np

    from ..settings import RunSettings
    from ..stream import Progress, RunReport

    Event: TypeAlias = "Progress | Finished | Failed | Cancelled"
    Stream: TypeAlias = Callable[["Job"], Generator[Progress, None, "Finished"]]

__all__ = [
    "Cancelled",
    "Controller",
    "Failed",
    "Finished",
    "Job",
    "axes_note",
    "denoise_job",
    "layer_axes",
    "realism_note",
]

_AXES_OF_LABEL = {"time": "T", "channel": "C", "z": "Z", "y": "Y", "x": "X", "t": "T", "c": "C"}


@dataclass(frozen=True)
class Job:
    """One image to denoise.

    Attributes:
        data: NumPy, dask or zarr array, or any other kind that `open_image` takes.
        axes: one upper-case letter per axis of `data`, e.g. "TYX" or "YXS".
        settings: how to denoise it.
    """

    data: Any
    axes: str
    settings: RunSettings


@dataclass(frozen=True)
class Finished:
    """The run is complete: `data` has the axes and shape of the job's, in memory."""

    data: np.ndarray
    report: RunReport


@dataclass(frozen=True)
class Failed:
    """The run stopped with an error."""

    error: Exception


@dataclass(frozen=True)
class Cancelled:
    """The run stopped because it was asked to."""


class Controller:
    """Holds the dock's state, starts and cancels runs.

    Args:
        stream: turns a job into a generator of progress that returns what was made; closing it stops the
            work.
        on_change: called with the new state after every change.
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

    def cancel(self) -> None:
        """Ask the run to stop after the tile in work; without a run nothing happens."""
        if self.state.can_cancel:
            self._stop.set()
            self._set(transitions.cancelling(self.state))

    def run(self, job: Job) -> Iterator[Event]:
        """Yield progress and, last, exactly one of `Finished`, `Failed` or `Cancelled`.

        May run in another thread than the rest of the controller.
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

    def apply(self, event: Event) -> None:
        """Take one event of `run` into the state."""
        if isinstance(event, Finished):
            self._set(transitions.finished(self.state, event.report))
        elif isinstance(event, Failed):
            self._set(transitions.failed(self.state, event.error))
        elif isinstance(event, Cancelled):
            self._set(transitions.cancelled(self.state))
        else:
            self._set(transitions.progressed(self.state, event))

    def _set(self, state: DockState) -> None:
        if state != self.state:
            self.state = state
            self._on_change(state)


def layer_axes(ndim: int, labels: Sequence[str], *, rgb: bool) -> str:
    """Return the axes of a layer's array, one letter per axis.

    Labels that name all axes are believed (napari's own defaults, like "-1", name none); otherwise the
    usual order for that many axes is taken, time before depth.

    Args:
        ndim: number of axes without the colour axis.
        labels: the layer's axis labels, one per axis without the colour axis.
        rgb: whether a last axis holds colours.

    Raises:
        ValueError: more axes than the usual orders cover, and the labels do not name them.
    """
    named = _named_axes(ndim, labels)
    if named is None and ndim not in DEFAULT_AXES:
        raise ValueError(
            f"axis_labels must name the axes of a layer with {ndim} axes, found {tuple(labels)}; "
            "set the layer's axis labels to letters such as t, c, z, y, x"
        )
    return (named or DEFAULT_AXES[ndim]) + ("S" if rgb else "")


def axes_note(ndim: int, labels: Sequence[str]) -> str | None:
    """Return what to tell of axes that had to be assumed where a wrong guess mixes channels; else None."""
    if ndim < 4 or ndim not in DEFAULT_AXES or _named_axes(ndim, labels) is not None:
        return None
    return (
        f"The layer does not name its axes; they are taken as {DEFAULT_AXES[ndim]}. Noise and rate are found "
        "per channel (C), so if that is wrong, set the layer's axis labels, such as t, z, c, y, x."
    )


def _named_axes(ndim: int, labels: Sequence[str]) -> str | None:
    letters = "".join(_AXES_OF_LABEL.get(label.lower(), "?") for label in labels)
    named = len(letters) == ndim == len(set(letters)) and "?" not in letters and {"Y", "X"} <= set(letters)
    return letters if named else None


def denoise_job(job: Job) -> Generator[Progress, None, Finished]:
    """Denoise a job into memory; the stream that the dock uses.

    Raises:
        MemoryError: the result would not fit into the free memory.
        ValueError: the image or a setting is refused.
    """
    import numpy as np

    from ..cache import LatentCache
    from ..io import ArraySink, OutputSpec, open_image
    from ..stream import denoise_stream

    source = open_image(job.data, axes=job.axes)
    dtype = np.dtype(np.float32) if job.settings.dtype == "float32" else source.dtype
    _check_memory(int(np.prod(source.shape, dtype=np.int64)) * dtype.itemsize)
    axes = source.metadata.axes
    sink = ArraySink(OutputSpec(source.shape, axes, dtype, source.metadata, job.settings.tile))
    report = yield from denoise_stream(source, sink, job.settings, cache=LatentCache())
    # Sources present Y and X last; the layer has its axes in its own order.
    order = [axes.index(axis) for axis in job.axes]
    return Finished(np.transpose(sink.array, order), report)


def _check_memory(needed: int) -> None:
    import psutil

    free = psutil.virtual_memory().available
    if needed > 0.8 * free:
        raise MemoryError(
            f"the denoised layer must fit into memory: it needs {needed / 2**30:.1f} GiB, "
            f"{free / 2**30:.1f} GiB are free; denoise the file to disk with "
            "`napari-rdpdenoise denoise IN OUT` and open the result"
        )


def realism_note() -> str | None:
    """Return why the default model offers no realism, or None if it does. Loads the model: slow at first."""
    try:
        from ..codec import load_model

        offered = load_model("default", device="cpu").card.realism
    except (ImportError, OSError, ValueError) as error:
        return f"The model could not be loaded: {error}"
    return None if offered else "This model has no realism decoder: it gives the result of lowest error."
