"""One image, from a layer to a result in memory or on disk. No Qt here."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .lazy_layers import lazy_source

if TYPE_CHECKING:
    from ..cache import LatentCache
    from ..io import OutputSpec, Sink
    from ..settings import RunSettings
    from ..stream import Progress, RunReport

__all__ = ["Finished", "Job", "JobStream", "Opened", "model_names", "realism_note"]

_FREE_SHARE = 0.8  # of the free memory that a result may take


@dataclass(frozen=True)
class Job:
    """One image to denoise.

    Attributes:
        data: NumPy, dask or zarr array, or any other kind that `open_image` takes.
        axes: one upper-case letter per axis of `data`, e.g. "TYX" or "YXS".
        settings: how to denoise it.
        target: file of the result (.ome.zarr or .ome.tif); None for memory.
        path: file of the input where it is known, for the record beside the result.
        scale, units: of the axes in `data`'s order, for the file's metadata; empty where they are not known.
        name: of the image.
    """

    data: Any
    axes: str
    settings: RunSettings
    target: Path | None = None
    path: str | None = None
    scale: tuple[float, ...] = ()
    units: tuple[str, ...] = ()
    name: str = ""


@dataclass(frozen=True)
class Opened:
    """The output is ready: `data` is what the run writes into, in the axes of the job; None for files."""

    data: Any


@dataclass(frozen=True)
class Finished:
    """The run is complete: `data` has the axes of the job's, in memory or read from disk when looked at.

    Attributes:
        data: NumPy array or, of a file, dask array.
        report: of the run.
        path: of the file; None for memory.
    """

    data: Any
    report: RunReport
    path: Path | None = None


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
            ValueError: the image or a setting is refused.
        """
        from ..codec.shared import shared_codec
        from ..stream import denoise_stream, output_spec

        settings = job.settings
        codec = shared_codec(settings.model, settings.device)
        source = _open_source(job)
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
            return Finished(data, report)
        from ..stream.record import write_record

        write_record(
            job.target, source=job.path or job.name, codec=codec, settings=settings, spec=spec, report=report
        )
        return Finished(_read_back(job.target, job.axes), report, job.target)


def _read_back(path: Path, axes: str) -> Any:
    """A written file as a dask array of these axes, whatever order its format keeps."""
    from ..io import open_image

    source = open_image(path)
    found, data = source.metadata.axes, lazy_source(source, f"{path}-{source.fingerprint()}")
    if "S" in axes and "S" not in found:
        found = found.replace("C", "S")  # colours are kept as channels
    for letter in axes:
        if letter not in found:  # a TIFF does not keep axes of length 1
            found, data = letter + found, data[None]
    return data.transpose([found.index(letter) for letter in axes])


def _open_source(job: Job) -> Any:
    from ..io import ImageMetadata, open_image
    from ..io.arrays import ArraySource

    if not hasattr(job.data, "__getitem__") or not (job.scale or job.units or job.name):
        return open_image(job.data, axes=job.axes)
    axes = job.axes.removesuffix("S")
    return ArraySource(
        job.data,
        job.axes,
        ImageMetadata(
            axes=job.axes,
            scale=dict(zip(axes, job.scale, strict=False)),
            units={axis: unit for axis, unit in zip(axes, job.units, strict=False) if unit},
            name=job.name,
        ),
    )


def _memory_sink(spec: OutputSpec) -> Any:
    import numpy as np

    from ..io import ArraySink

    _check_memory(int(np.prod(spec.shape, dtype=np.int64)) * spec.dtype.itemsize)
    return ArraySink(spec)


def _file_sink(target: Path, spec: OutputSpec, overwrite: bool) -> Sink:
    from ..io import open_sink

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
            f"{free / 2**30:.1f} GiB are free; write it to a file "
            "instead (Save to)"
        )


def model_names() -> tuple[str, ...]:
    """Names of the shipped models. Imports torch: slow at first."""
    from ..codec import list_models

    return tuple(card.name for card in list_models())


def realism_note(model: str = "default") -> str | None:
    """Return why a model offers no realism, or None if it does. Loads the model: slow at first."""
    try:
        from ..codec.shared import shared_codec

        offered = shared_codec(model, "auto").has_realism
    except (ImportError, OSError, ValueError) as error:
        return f"The model could not be loaded: {error}"
    return None if offered else "This model has no realism decoder: it gives the result of lowest error."
