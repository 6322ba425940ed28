"""What a job reads: its image with the mask beside it, opened, watched for changes, and never written over.

Loads no torch.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_rdpdenoise.io import ImageSource, arrays, files_of_set, list_images, open_image, open_stack
from napari_rdpdenoise.io.file_states import files_state, one_look
from napari_rdpdenoise.io.masked import MaskedSource, open_mask
from napari_rdpdenoise.io.origin import file_identity, files_behind, refuse_inside_zarr, refuse_overwriting
from napari_rdpdenoise.jobs.job import Job
from napari_rdpdenoise.names import check_length, check_name, exists, local, matching
from napari_rdpdenoise.settings import RunSettings

__all__ = [
    "FilesRead",
    "array_identity",
    "as_given",
    "check_places",
    "is_array",
    "mask_file",
    "masked",
    "open_input",
    "opened_source",
    "opened_to_read",
]


@dataclass(frozen=True)
class FilesRead:
    """The files that a job reads while it runs, and how they were before.

    Attributes:
        name: Name of the image, for the refusal.
        files: Files and folders: of a set all, none of an array in memory.
        before: What `files_state` said of them.
    """

    name: str
    files: tuple[Path, ...]
    before: str

    @classmethod
    def of(cls, job: Job) -> FilesRead:
        """The files of a job as they are now."""
        lies = isinstance(job.input, str | os.PathLike)
        named = _input_files(job if lies else replace(job, path=None))
        files = [path for path in named if exists(str(path))]
        if lies:
            files += [file for path in files for file in files_of_set(path)]
        return cls(job.name, tuple(files), files_state(files))

    def check_unchanged(self) -> None:
        """Refuse a result of files that somebody has written to.

        Raises:
            ValueError: If somebody has.
        """
        if files_state(self.files) != self.before:
            raise ValueError(
                f"image: expected files that nobody writes to, found that {self.name} changed while it was "
                "read, so that the result may be of both; give the same again when it is finished, or "
                "--follow while a microscope writes it"
            )


@contextlib.contextmanager
def opened_to_read(job: Job) -> Iterator[tuple[ImageSource, FilesRead]]:
    """The input of a job and the state of its files, of one look at them; raises as `open_input` does."""
    with contextlib.ExitStack() as held:
        with one_look():
            files = FilesRead.of(job)
            source = held.enter_context(opened_source(job))
        yield source, files


@contextlib.contextmanager
def opened_source(job: Job) -> Iterator[ImageSource]:
    """The input of a job, closed at the end unless it came open; raises as `open_input` does."""
    if is_array(job.input):
        source: ImageSource = arrays.ArraySource(
            job.input, job.axes or None, job.metadata, array_identity(job), job.invalid
        )
    else:
        source = masked(open_input(job), job)
    try:
        yield source
    finally:
        if source is not job.input:
            source.close()


def open_input(job: Job) -> ImageSource:
    """The image that a job's input, a path, and its settings name; whoever asked closes it.

    Raises:
        FileNotFoundError: If there is no such image.
        TypeError: If it is of no known kind.
        ValueError: If there are several images and the settings ask for all of them in one.
    """
    settings = job.settings
    if settings.stack is not None:
        return open_stack(str(job.input), settings.stack, job.axes or None)
    series = settings.series
    if series == "all":
        if isinstance(job.input, ImageSource) or (count := len(list_images(job.input))) == 1:
            series = None
        else:
            raise ValueError(
                f"series: expected one of the {count} images of {job.input} for one result, found 'all'; "
                "give a number, or a folder for the results on the command line"
            )
    return open_image(job.input, job.axes or None, series)


def masked(source: ImageSource, job: Job) -> ImageSource:
    """A source with the mask that is given beside it, in hand or as a file; without one itself."""
    path = mask_file(job.settings)
    try:
        if job.invalid is not None:
            return MaskedSource(source, job.invalid)
        return source if path is None else MaskedSource(source, open_mask(path))
    except BaseException:
        if source is not job.input:
            source.close()
        raise


def mask_file(settings: RunSettings) -> str | None:
    """Path of the mask that settings name; None for none."""
    invalid = settings.invalid
    return local(invalid) if isinstance(invalid, str) and invalid not in ("auto", "none") else None


def check_places(job: Job) -> None:
    """Refuse a target whose name cannot be written, or over which the input is read.

    Raises:
        ValueError: If it is such.
    """
    if job.target is None:
        return
    check_name(str(job.target))
    check_length(str(job.target))
    refuse_overwriting(job.target, _input_files(job))
    refuse_inside_zarr(job.target)


def _input_files(job: Job) -> list[Path]:
    """Files and folders that a job reads, as far as they are known; of a set the one that was named."""
    stacked = matching(str(job.input)) if job.settings.stack else ()
    beside = [name for name in (mask_file(job.settings),) if name is not None]
    return [*files_behind(job.input, job.path), *map(Path, [*stacked, *beside])]


def is_array(data: Any) -> bool:
    """Whether an input is an array in hand: NumPy, dask, zarr or anything with dtype and slicing."""
    return hasattr(data, "dtype") and hasattr(data, "__getitem__")


def array_identity(job: Job) -> str | None:
    """What tells an array from another; None where all of it has to be read for that, or it is no array."""
    if job.target is None:
        return "in memory"  # never continued, so it need not be known again
    graph_name = getattr(job.input, "name", None) if hasattr(job.input, "dask") else None
    return graph_name or file_identity(job.input)


def as_given(array: np.ndarray, source: ImageSource, job: Job) -> np.ndarray:
    """A canonical array as a view in the order of axes of the job's array; as it is where it has none."""
    found = source.metadata.axes
    given = source.stored_axes if isinstance(source, arrays.ArraySource) and is_array(job.input) else found
    return array.transpose([found.index(axis) for axis in given])
