"""One image, from a layer to a result in memory or on disk. No Qt here."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_rdpdenoise.io.lazy import lazy_source, open_levels
from napari_rdpdenoise.io.places import check_target, identity_of, places_of
from napari_rdpdenoise.ui.layers.metadata import layer_metadata

if TYPE_CHECKING:
    from napari_rdpdenoise.cache import LatentCache
    from napari_rdpdenoise.io import OutputSpec, Sink
    from napari_rdpdenoise.settings import RunSettings
    from napari_rdpdenoise.stream import Progress, RunReport

__all__ = ["Finished", "Job", "JobStream", "Opened", "limits_of", "realism_note"]

_FREE_SHARE = 0.8  # of the free memory that a result may take
_SAMPLED = 262_144  # pixels of a plane from which contrast limits are taken
_SAMPLED_CHANNELS = 8


@dataclass(frozen=True)
class Job:
    """One image to denoise.

    Attributes:
        data: NumPy, dask or zarr array, or any other kind that `open_image` takes.
        axes: one upper-case letter per axis of `data`, e.g. "TYX" or "YXS".
        settings: how to denoise it.
        target: file of the result (.ome.zarr or .ome.tif); None for memory.
        path: file of the input where it is known, for the record beside the result; never written over.
        scale, units: of the axes in `data`'s order, for the file's metadata; empty where they are not known.
        name: of the image.
        channel_names: one per channel of `data`, or empty.
    """

    data: Any
    axes: str
    settings: RunSettings
    target: Path | None = None
    path: str | None = None
    scale: tuple[float, ...] = ()
    units: tuple[str, ...] = ()
    name: str = ""
    channel_names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Opened:
    """The output is ready: `data` is what the run writes into, in the axes of the job; None for files."""

    data: Any


@dataclass(frozen=True)
class Finished:
    """The run is complete: `data` has the axes of the job's, in memory or read from disk when looked at.

    Attributes:
        data: NumPy array or, of a file, dask array; of a file of several resolutions a list, finest first.
        report: of the run.
        path: of the file; None for memory.
        limits: contrast limits in counts, see `limits_of`.
    """

    data: Any
    report: RunReport
    path: Path | None = None
    limits: tuple[float, float] | None = None


class JobStream:
    """Turns a job into a generator of progress that returns what was made; closing it stops the work.

    Args:
        cache: of latents, shared with the preview; None for none.
    """

    def __init__(self, cache: LatentCache | None = None) -> None:
        self._cache = cache

    def __call__(self, job: Job) -> Generator[Opened | Progress, None, Finished]:
        """Denoise a job.

        Raises:
            MemoryError: the result would not fit into the free memory.
            FileExistsError: there is a finished result at the target, and it is not to be replaced.
            ValueError: the image, a setting or the target is refused.
        """
        from napari_rdpdenoise.codec.device import shared_codec
        from napari_rdpdenoise.stream import denoise_stream, output_spec

        settings = job.settings
        if job.target is not None:
            check_target(job.target, places_of(job.data, job.path))
        codec = shared_codec(settings.model, settings.device)
        identity = _identity(job)
        source = _open_source(job, identity)
        if identity is None and _is_array(job.data):
            yield _said("Reading the image once, so that this run can be continued if it is interrupted.")
        spec = output_spec(source, settings, codec)
        order = [spec.axes.index(axis) for axis in job.axes]  # sources present Y and X last
        sink: Any
        if job.target is None:
            sink = _memory_sink(spec)
            data = sink.array.transpose(order)
        else:
            sink, data = _file_sink(job.target, spec, settings.overwrite), None
        yield Opened(data)
        report = yield from denoise_stream(source, sink, settings, codec=codec, cache=self._cache)
        if job.target is None:
            return Finished(data, report, None, limits_of(data, job.axes))
        from napari_rdpdenoise.jobs.record import write_record

        write_record(job.target, source=job.path, codec=codec, settings=settings, spec=spec, report=report)
        data = _read_back(job.target, job.axes)
        return Finished(data, report, job.target, limits_of(data, job.axes))


def limits_of(data: Any, axes: str) -> tuple[float, float] | None:
    """Contrast limits of a result, from its middle plane: noise no longer stretches them.

    Args:
        data: array of these axes, or a list of them, finest resolution first; little of it is read.
        axes: one letter per axis.

    Returns:
        Least and greatest in counts, but for the outermost 0.1 %; None for colours and for nothing to see.
    """
    import numpy as np

    if "S" in axes:
        return None
    coarse = data[-1] if isinstance(data, list) else data
    size = dict(zip(axes, coarse.shape, strict=True))
    step = max(1, int(np.sqrt(size["Y"] * size["X"] / _SAMPLED)))
    part = {"Y": slice(None, None, step), "X": slice(None, None, step), "C": slice(_SAMPLED_CHANNELS)}
    values = np.asarray(coarse[tuple(part.get(axis, size[axis] // 2) for axis in axes)], dtype=np.float64)
    values = values[np.isfinite(values)]
    if values.size == 0:
        return None
    low, high = (float(limit) for limit in np.percentile(values, [0.1, 99.9]))
    return (low, high) if low < high else None


def _said(message: str) -> Progress:
    from napari_rdpdenoise.stream import Progress

    return Progress(0, 0, 0.0, float("nan"), float("nan"), 0, 0, message)


def _read_back(path: Path, axes: str) -> Any:
    """A written file as a dask array of these axes, whatever order its format keeps; a list of several."""
    levels = open_levels(str(path))
    name = f"{path}-{levels[0].fingerprint()}"
    arrays = [
        _in_order(lazy_source(level, f"{name}-{number}"), level.metadata.axes, axes)
        for number, level in enumerate(levels)
    ]
    return arrays if len(arrays) > 1 else arrays[0]


def _in_order(data: Any, found: str, axes: str) -> Any:
    if "S" in axes and "S" not in found:
        found = found.replace("C", "S")  # colours are kept as channels
    for letter in axes:
        if letter not in found:  # a TIFF does not keep axes of length 1
            found, data = letter + found, data[None]
    return data.transpose([found.index(letter) for letter in axes])


def _is_array(data: Any) -> bool:
    return hasattr(data, "dtype") and hasattr(data, "__getitem__")


def _identity(job: Job) -> str | None:
    """What tells the image from another; None where all of it has to be read for that."""
    if job.target is None:
        return "in memory"  # never continued, so it need not be known again
    graph_name = getattr(job.data, "name", None) if hasattr(job.data, "dask") else None
    return graph_name or identity_of(job.data)


def _open_source(job: Job, identity: str | None) -> Any:
    from napari_rdpdenoise.io import open_image
    from napari_rdpdenoise.io.arrays import ArraySource

    if not _is_array(job.data):
        return open_image(job.data, axes=job.axes)
    known = layer_metadata(job.axes, job.scale, job.units, job.name, job.channel_names)
    return ArraySource(job.data, job.axes, known, identity)


def _memory_sink(spec: OutputSpec) -> Any:
    import numpy as np

    from napari_rdpdenoise.io import ArraySink

    _check_memory(int(np.prod(spec.shape, dtype=np.int64)) * spec.dtype.itemsize)
    return ArraySink(spec)


def _file_sink(target: Path, spec: OutputSpec, overwrite: bool) -> Sink:
    from napari_rdpdenoise.io import open_sink

    if not target.parent.is_dir():
        raise FileNotFoundError(
            f"target: expected an existing folder, found none at {target.parent}; choose another place"
        )
    return open_sink(target, spec, overwrite=overwrite)


def _check_memory(needed: int) -> None:
    import psutil

    free = psutil.virtual_memory().available
    if needed > _FREE_SHARE * free:
        raise MemoryError(
            f"the denoised layer must fit into memory: it needs {needed / 2**30:.1f} GiB, "
            f"{free / 2**30:.1f} GiB are free; write it to a file instead (Save to)"
        )


def realism_note(model: str = "default") -> str | None:
    """Return why a model offers no realism, or None if it does. Loads the model: slow at first."""
    try:
        from napari_rdpdenoise.codec.device import shared_codec

        # on the CPU: a question must not take a GPU's memory, nor fail where the chosen device does
        offered = shared_codec(model, "cpu").has_realism
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        return f"The model could not be loaded: {error}"
    return None if offered else "This model has no realism decoder: it gives the result of lowest error."
