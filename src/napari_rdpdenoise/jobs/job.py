"""A job: one image, where its result goes, and how it is denoised. Imports no engine."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_rdpdenoise.names import local, shown

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_rdpdenoise.io import ImageMetadata, OutputSpec
    from napari_rdpdenoise.settings import RunSettings
    from napari_rdpdenoise.store.tile.terms import Residual
    from napari_rdpdenoise.stream import RunReport


@dataclass(frozen=True)
class Job:
    """One image to denoise.

    Attributes:
        input: Path or URL, or what is in hand: an ImageSource, or a NumPy, dask or zarr array (or anything
            with shape, dtype and slicing) of raw counts.
        target: File of the result (.ome.zarr or .ome.tif); None for memory.
        settings: How to denoise.
        metadata: Axes of an array as it is, and what else is known of it; None where nothing is known, or a
            file tells it. Axes among the settings come first.
        invalid: Mask of pixels that are not image: of the shape of an array, or of a file in canonical order
            of axes, or of that of its last axes; None for none, or where the settings name its file.
        residual: How much of the original a store keeps, "1" or "0.5" (steps, in noise standard deviations),
            "lossless" or "none"; None for a result that is no store.
        path: Path or URL of the input where it is known, for the record; never written over. That of an
            input that is a path is taken from it.
        embed_model: Whether a store holds its model; None where the image is ten times as large as that.
    """

    input: Any
    target: Path | None
    settings: RunSettings
    metadata: ImageMetadata | None = None
    path: str | None = None
    invalid: Any = None
    residual: Residual | None = None
    embed_model: bool | None = None

    def __post_init__(self) -> None:
        if isinstance(self.input, str | os.PathLike):
            where = local(os.fspath(self.input))
            object.__setattr__(self, "path", where)
            if isinstance(self.input, str):
                object.__setattr__(self, "input", where)

    @property
    def name(self) -> str:
        """Short name of the image, for messages, on one line."""
        if self.metadata is not None and self.metadata.name:
            return shown(self.metadata.name)
        return shown(short_name(self.path or "image"))

    @property
    def axes(self) -> str:
        """One letter per axis of the input as it is; empty where only the input knows."""
        return self.settings.axes or (self.metadata.axes if self.metadata is not None else "")


@dataclass(frozen=True)
class Opened:
    """Input and output of a job are open, and the first tile comes next.

    ``data`` is the array that the run fills in, in the order of axes of the job's array, 0 where nothing came
    yet; None where the result is a file.
    """

    data: NDArray[Any] | None


@dataclass(frozen=True)
class Outcome:
    """What came of a job.

    Attributes:
        report: What the run found, and how fast it was.
        spec: Shape, axes, dtype and metadata of the result as it is written (canonical axes).
        path: File of the result; None for memory.
        record: Job file beside the result; None for memory.
        data: Result in memory: raw counts in the order of axes of the job's array, canonical where it had a
            path or a source; None for a file.
    """

    report: RunReport
    spec: OutputSpec
    path: Path | None = None
    record: Path | None = None
    data: NDArray[Any] | None = None


def short_name(path: str) -> str:
    """Last part of a path or URL: ``"x/a.tif"`` gives ``"a.tif"``."""
    return path.rstrip("/\\").replace("\\", "/").rsplit("/", 1)[-1]
