"""Where results go: the choice of an output by its file ending."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar
from xml.etree import ElementTree

import numpy as np

from napari_rdpdenoise.files import InUseError, is_zarr, locked
from napari_rdpdenoise.io.output.publishing import settle
from napari_rdpdenoise.io.output.spec import OutputSpec, Sink
from napari_rdpdenoise.io.output.staging import Staging, partial_folder

Blocks = TypeVar("Blocks", bound=Staging)

_ZARR_ENDINGS = (".zarr",)
_TIFF_ENDINGS = (".tif", ".tiff", ".btf")
PLAN = "plan.json"
"""Name of the plan of an output in parts, in its partial folder."""


@dataclass(frozen=True)
class Output:
    """An output that is to be made, of whatever kind.

    Attributes:
        target: Path of the result.
        identity: Text that tells what it is to become from all else, while it is unfinished.
        blocks: Function that opens its blocks in a folder below the partial folder of the target, those of an
            earlier attempt where there are such; None for that folder itself.
    """

    target: Path
    identity: str
    blocks: Callable[[Path | None], Staging]


def output_of(target: Path, spec: OutputSpec) -> Output:
    """An output of pixels, whose format the ending of its path chooses.

    Args:
        target: Path of the result.
        spec: What it has to hold.

    Raises:
        ValueError: If the ending is not known.
    """
    check_ending(target)
    return Output(target, spec.identity, lambda folder: new_sink(target, spec, folder))


def open_sink(path: str | os.PathLike[str], spec: OutputSpec, *, overwrite: bool = False) -> Sink:
    """Open an output by the ending of its path: ``.zarr`` for OME-Zarr 0.5, ``.tif``/``.tiff`` for OME-TIFF.

    The result grows in ``<path>.partial`` and appears at ``path`` only when it is complete. If a partial
    result of the same job lies there, it is continued. Nobody else can open it until the sink is finished,
    aborted or discarded, or its process ends.

    Raises:
        InUseError: If another run, of this or another process, is writing to it, or it is made in parts.
        FileExistsError: If there is a finished output and ``overwrite`` is false, or something at the path
            that is no image and is not removed.
        ValueError: If the ending is not known or the format cannot hold the dtype.
    """
    target = Path(path)
    check_ending(target)
    return claim(target, overwrite, lambda: new_sink(target, spec))


def claim(target: Path, overwrite: bool, make: Callable[[], Blocks]) -> Blocks:
    """Make an output at a place that nobody else writes to until it is finished, aborted or discarded.

    Args:
        target: Path of the result.
        overwrite: Whether a finished output there may be replaced.
        make: Function that makes the output, once the place is free.

    Raises:
        InUseError: If another run, of this or another process, is writing to it, or it is made in parts.
        FileExistsError: As `check_free` does.
    """
    with ExitStack() as held:
        held.enter_context(locked(target, "output"))
        settle(target)
        check_free(target, overwrite)  # only now: whoever had it until then may have finished it
        _refuse_parts(target)
        sink = make()
        sink.held = held.pop_all()
    return sink


def check_ending(target: Path) -> None:
    """Refuse a path whose ending names no format.

    Raises:
        ValueError: If it does not.
    """
    if target.suffix.lower() not in _ZARR_ENDINGS + _TIFF_ENDINGS:
        raise ValueError(
            f"output: expected a path that ends with .ome.zarr or .ome.tif, found {target.name!r}; "
            "the ending chooses the format"
        )


def new_sink(target: Path, spec: OutputSpec, folder: Path | None = None) -> Staging:
    """Open the blocks of an output, those of an earlier run of the same job where there are such.

    Args:
        target: Path of the result; its ending chooses the format.
        spec: What the output holds.
        folder: Folder of the blocks, below the partial folder of the target; None for that one itself.
    """
    check_ending(target)
    if target.suffix.lower() in _ZARR_ENDINGS:
        from napari_rdpdenoise.io.output.zarr_writer import ZarrSink

        return ZarrSink(target, spec, folder)
    from napari_rdpdenoise.io.output.tiff_writer import TiffSink

    return TiffSink(target, spec, folder)


def held(target: Path, spec: OutputSpec) -> OutputSpec:
    """What an output at a path holds of a spec: OME-TIFF has no numbers of 16 bits with fractions, so 32."""
    if target.suffix.lower() in _TIFF_ENDINGS and spec.dtype == np.float16:
        return replace(spec, dtype=np.dtype(np.float32))
    return spec


def is_in_parts(target: Path) -> bool:
    """Whether an unfinished output at a path is one that is made in parts (`parts`)."""
    folder = partial_folder(target)
    return (folder / PLAN).exists() and (folder / "job.json").exists()


def _refuse_parts(target: Path) -> None:
    if is_in_parts(target):
        raise InUseError(
            f"output: expected a place that nobody else writes to, found a job that is done in parts, in "
            f"{partial_folder(target)}; give its command with --part and --finish to complete it, or remove "
            "that folder"
        )


def finished_unseen(target: Path) -> bool:
    """Whether a process was killed just after its result had appeared; what it left there goes.

    A place that another run is writing to is left alone.
    """
    if not partial_folder(target).is_dir():
        return False
    try:
        with locked(target, "output"):
            return settle(target)
    except InUseError:
        return False


def job_inside(target: Path) -> str | None:
    """The job (`OutputSpec.job`) that a result names in its own metadata; None where it names none."""
    try:
        if target.is_dir():
            content = json.loads((target / "zarr.json").read_text(encoding="utf-8"))
            job = content["attributes"]["napari_rdpdenoise"]["job"]
            return job if isinstance(job, str) else json.dumps(job)
        import tifffile

        with tifffile.TiffFile(target) as tif:
            found = ElementTree.fromstring(tif.ome_metadata or "").find("{*}Image/{*}Description")
    except (OSError, ValueError, KeyError, TypeError, ElementTree.ParseError):  # not one of ours
        return None
    return None if found is None else found.text


def check_free(target: Path, overwrite: bool) -> None:
    """Refuse a place of an output where there is something that is not to be replaced.

    Raises:
        FileExistsError: If there is a finished output and ``overwrite`` is false, or a folder of other files.
    """
    if not target.exists() and not target.is_symlink():
        return
    if not overwrite:
        raise FileExistsError(
            f"output: expected no file, found a finished one at {target}; "
            "choose another path or allow replacing it with overwrite (--overwrite)"
        )
    if target.is_dir() and not is_zarr(target) and any(target.iterdir()):
        raise FileExistsError(
            f"output: expected a zarr to replace, found another folder with files at {target}; "
            "choose another path or remove it yourself"
        )
