"""What the dock adds to a job: its result as the data of a layer. No Qt here."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_rdpdenoise.axes import channels_as_colours
from napari_rdpdenoise.cache import LatentCache
from napari_rdpdenoise.codec.library import DEFAULT, find
from napari_rdpdenoise.io.lazy import lazy_source, open_levels
from napari_rdpdenoise.jobs.job import Job, Opened
from napari_rdpdenoise.nn.decoder_names import REALISM, lacks
from napari_rdpdenoise.settings import RunSettings
from napari_rdpdenoise.stream import Progress, RunReport

__all__ = ["Finished", "channel_names", "denoise_job", "planes_of", "realism_note"]


@dataclass(frozen=True)
class Finished:
    """The run is complete.

    Attributes:
        data: NumPy array or, of a file, dask array with the axes of the job's; of a file of several
            resolutions a list, finest first.
        report: Report of the run.
        path: Path of the file; None for memory.
    """

    data: Any
    report: RunReport
    path: Path | None = None


def denoise_job(job: Job, cache: LatentCache | None = None) -> Generator[Opened | Progress, None, Finished]:
    """Denoise the image of a layer, with the model that its preview shares; closing it stops the work.

    Args:
        job: Job of the layer.
        cache: Cache of encoded tiles, shared with the preview; None for none.

    Raises:
        FileNotFoundError: If there is no folder for the result. All else as `runner.run`.
    """
    from napari_rdpdenoise.codec.device import shared_codec
    from napari_rdpdenoise.jobs.runner import run

    if job.target is not None and not job.target.parent.is_dir():
        raise FileNotFoundError(
            f"target: expected an existing folder, found none at {job.target.parent}; choose another place"
        )
    codec = shared_codec(job.settings.model, job.settings.device)
    outcome = yield from run(job, codec=codec, cache=cache)
    data = outcome.data if outcome.path is None else _read_back(outcome.path, job.axes)
    return Finished(data, outcome.report, outcome.path)


def _read_back(path: Path, axes: str) -> Any:
    """A written file as a dask array of these axes, whatever order its format keeps; a list of several."""
    levels = open_levels(str(path))
    name = f"{path}-{levels[0].fingerprint()}"
    arrays = [
        _in_order(lazy_source(level, f"{name}-{number}"), level.metadata.axes, axes)
        for number, level in enumerate(levels)
    ]
    # dask imports what it reads by when it reads for the first time: here, and not in the window's thread
    np.asarray(arrays[-1][(0,) * arrays[-1].ndim])
    return arrays if len(arrays) > 1 else arrays[0]


def _in_order(data: Any, found: str, axes: str) -> Any:
    found = channels_as_colours(found, axes)
    for letter in axes:
        if letter not in found:  # a TIFF does not keep axes of length 1
            found, data = letter + found, data[None]
    return data.transpose([found.index(letter) for letter in axes])


def realism_note(model: str = DEFAULT) -> str | None:
    """Return why a model offers no realism, or None if it does. Reads its card, and loads no weights."""
    try:
        offered = REALISM in find(model).card.network.decoders
    except (OSError, ValueError) as error:
        return f"The model cannot be used: {error}"
    return None if offered else f"{lacks(REALISM).capitalize()}: it gives the result of lowest error."


def planes_of(shape: tuple[int, ...], axes: str, settings: RunSettings) -> int:
    """Number of planes of an array of these axes that a run with these settings denoises."""
    count = 1
    for axis, size in zip(axes, shape, strict=True):
        if axis == "C" and settings.channels is not None:
            size = len(settings.channels)
        elif axis == "T" and settings.time is not None:
            size = max(0, min(size, settings.time[1]) - settings.time[0])
        count *= 1 if axis in "YXS" else size
    return count


def channel_names(job: Job) -> tuple[str, ...]:
    """Names of the channels that were denoised; empty where they are not known."""
    names = () if job.metadata is None else job.metadata.channel_names
    chosen = job.settings.channels
    if "C" not in job.axes or len(names) != job.input.shape[job.axes.index("C")]:
        return ()
    return names if chosen is None else tuple(names[number] for number in chosen)
