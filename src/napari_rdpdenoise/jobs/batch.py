"""Which files become which: inputs and globs to jobs, checked before any work. Nothing is opened."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from napari_rdpdenoise.files import LOCK_SUFFIX, PARTIAL_SUFFIX, UNFINISHED_SUFFIX

Format = Literal["ome-zarr", "ome-tiff"]

_ENDINGS: dict[Format, str] = {"ome-zarr": ".ome.zarr", "ome-tiff": ".ome.tif"}
_ZARR = (".ome.zarr", ".zarr.zip", ".zarr", ".ozx")
_TIFF = (".ome.tiff", ".ome.tif", ".ome.btf", ".tiff", ".tif", ".btf", ".lsm")
_OTHER = (".npy",)
# Beside results; a glob over a folder of results must not take them.
_OURS = (PARTIAL_SUFFIX, LOCK_SUFFIX, UNFINISHED_SUFFIX, ".job.json")


@dataclass(frozen=True)
class Job:
    """One image and where its result goes."""

    source: str
    target: Path

    @property
    def name(self) -> str:
        """Short name for messages."""
        return self.source.rstrip("/\\").replace("\\", "/").rsplit("/", 1)[-1]


@dataclass(frozen=True)
class Plan:
    """The jobs of a command; in a batch (``several``) one failure does not stop the rest."""

    jobs: tuple[Job, ...]
    several: bool


def plan_jobs(inputs: Sequence[str], out: str, chosen: Format | None = None) -> Plan:
    """Pair every input with its result.

    Args:
        inputs: paths, URLs or globs.
        out: file of the result, or a folder for results named after the inputs' stems.
        chosen: format of the results, None to follow the ending of ``out`` or the family of each input.

    Raises:
        FileNotFoundError: if an input or a glob's match does not exist.
        ValueError: if the result's name is not understood, two inputs would give one result, or a result
            would replace an input.
    """
    sources = [path for text in inputs for path in _expand(text)]
    several = len(inputs) > 1 or len(sources) > 1 or not _exists(inputs[0])
    target = Path(out)
    if not several and is_file_name(out):
        if chosen is not None and _family(target.name) != chosen:
            raise ValueError(
                f"--format: expected a result named *{_ENDINGS[chosen]} for {chosen}, found {target.name}; "
                "leave --format out or change the ending"
            )
        jobs = [Job(sources[0], target)]
    else:
        _check_folder(target, several)
        jobs = [Job(path, target / (stem(path) + _ENDINGS[chosen or _family(path)])) for path in sources]
    _check_targets(jobs)
    return Plan(tuple(jobs), several)


def stem(path: str) -> str:
    """Name of an image without folder and ending: ``"x/a.ome.tif"`` gives ``"a"``."""
    name = Job(path, Path()).name
    ending = next((e for e in _ZARR + _TIFF + _OTHER if name.lower().endswith(e)), "")
    return name[: len(name) - len(ending)] or name


def _family(path: str) -> Format:
    return "ome-tiff" if path.lower().endswith(_TIFF) else "ome-zarr"


def is_file_name(out: str) -> bool:
    """Whether OUT names a file rather than a folder of results."""
    if out.lower().rstrip("/\\").endswith(_ZARR):
        return True
    return out.lower().endswith(_TIFF) and not Path(out).is_dir()


def _expand(text: str) -> list[str]:
    if _exists(text):
        return [text]
    if not any(letter in text for letter in "*?["):
        raise FileNotFoundError(f"INPUTS: expected a file or folder, found nothing at {text}; check the path")
    # pathlib globs below a folder only, this pattern is the user's, absolute or not
    found = sorted(path for path in glob.glob(text, recursive=True) if not path.endswith(_OURS))  # noqa: PTH207
    if not found:
        raise FileNotFoundError(f"INPUTS: expected files that match {text!r}, found none; check the pattern")
    return found


def _exists(text: str) -> bool:
    return "://" in text or Path(text).exists()


def _check_folder(folder: Path, several: bool) -> None:
    if folder.is_file() or is_file_name(str(folder)):
        raise ValueError(f"OUT: expected a folder for the results of several inputs, found the file {folder}")
    if not several and folder.suffix and not folder.is_dir():
        raise ValueError(
            f"OUT: expected a name that ends with .ome.zarr or .ome.tif, or a folder, found {folder.name!r}; "
            "make the folder first if it is meant to be one"
        )


def _check_targets(jobs: Sequence[Job]) -> None:
    taken: dict[Path, Job] = {}
    for job in jobs:
        place = job.target.resolve()
        if place in taken:
            raise ValueError(
                f"INPUTS: expected different names, found {taken[place].source} and {job.source}, which both "
                f"give {job.target}; denoise them into different folders"
            )
        taken[place] = job
    for job in jobs:
        source = Path(job.source).resolve()
        for place, other in taken.items():
            if place == source or place in source.parents or (source in place.parents and _is_image(source)):
                raise ValueError(
                    f"OUT: expected a result beside the inputs, found that {other.target} holds or lies in "
                    f"the input {job.source}; give another name or folder"
                )


def _is_image(folder: Path) -> bool:
    return any((folder / name).exists() for name in ("zarr.json", ".zgroup", ".zarray"))
