"""Many images: inputs and globs to jobs, checked before any work, and these one after the other."""

from __future__ import annotations

import glob
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from napari_rdpdenoise.files import LOCK_SUFFIX, PARTIAL_SUFFIX, UNFINISHED_SUFFIX, is_zarr
from napari_rdpdenoise.jobs.job import Job, Opened, Outcome, short_name
from napari_rdpdenoise.settings import RunSettings

if TYPE_CHECKING:
    from napari_rdpdenoise.cache import LatentCache
    from napari_rdpdenoise.codec import Codec
    from napari_rdpdenoise.stream import Progress

Format = Literal["ome-zarr", "ome-tiff"]

_ENDINGS: dict[Format, str] = {"ome-zarr": ".ome.zarr", "ome-tiff": ".ome.tif"}
_ZARR = (".ome.zarr", ".zarr.zip", ".zarr", ".ozx")
_TIFF = (".ome.tiff", ".ome.tif", ".ome.btf", ".tiff", ".tif", ".btf", ".lsm")
_OTHER = (".npy",)
# Beside results; a glob over a folder of results must not take them.
_OURS = (PARTIAL_SUFFIX, LOCK_SUFFIX, UNFINISHED_SUFFIX, ".job.json")


@dataclass(frozen=True)
class Plan:
    """The jobs of a command; in a batch (``several``) one failure does not stop the rest."""

    jobs: tuple[Job, ...]
    several: bool


@dataclass(frozen=True)
class Started:
    """A job of a batch begins: the job, its number in the batch from 1, and how many there are."""

    job: Job
    number: int
    total: int


@dataclass(frozen=True)
class Ended:
    """A job of a batch is over.

    There is no outcome where it failed, or an earlier batch had done the same; ``error`` is why it failed.
    """

    job: Job
    outcome: Outcome | None = None
    error: Exception | None = None


def run_batch(
    jobs: Sequence[Job], *, codec: Codec | None = None, cache: LatentCache | None = None
) -> Generator[Started | Opened | Progress | Ended, None, tuple[Ended, ...]]:
    """Run jobs of one model and device one after the other; the failed ones are the return value.

    A failure ends its job only. A job that an earlier batch has finished with the same input, settings and
    model is not done again, unless its settings let it be replaced. Codec, cache and closing the generator
    are as in `runner.run`.

    Raises:
        FileNotFoundError: There is no such model.
        ValueError: The model cannot be used as the settings ask.
    """
    from napari_rdpdenoise.jobs.runner import finished_before, load_codec, model_line, run, said

    if codec is None and jobs:
        codec = load_codec(jobs[0].settings)
        yield said(model_line(codec))
    failed: list[Ended] = []
    for number, job in enumerate(jobs, start=1):
        yield Started(job, number, len(jobs))
        try:
            kept = codec is not None and not job.settings.overwrite and finished_before(job, codec)
            ended = Ended(job, None if kept else (yield from run(job, codec=codec, cache=cache)))
        except Exception as error:
            ended = Ended(job, error=error)
            failed.append(ended)
        yield ended
    return tuple(failed)


def plan_jobs(inputs: Sequence[str], out: str, settings: RunSettings | None = None) -> Plan:
    """Pair every input (path, URL or glob) with its result: ``out``, or a file of its stem in that folder.

    Where the settings have no format of the results, it is that of the ending of ``out``, or of the family of
    each input.

    Raises:
        FileNotFoundError: If an input or a glob's match does not exist.
        ValueError: If the result's name is not understood, two inputs would give one result, or a result
            would replace an input.
    """
    settings = settings or RunSettings()
    chosen = settings.output_format
    sources = [path for text in inputs for path in _expand(text)]
    several = len(inputs) > 1 or len(sources) > 1 or not _exists(inputs[0])
    target = Path(out)
    if not several and is_file_name(out):
        if chosen is not None and _family(target.name) != chosen:
            raise ValueError(
                f"--format: expected a result named *{_ENDINGS[chosen]} for {chosen}, found {target.name}; "
                "leave --format out or change the ending"
            )
        results = [target]
    else:
        _check_folder(target, several)
        results = [target / (stem(path) + ending_of(path, chosen)) for path in sources]
    pairs = list(zip(sources, results, strict=True))
    _check_targets(pairs)
    return Plan(tuple(Job(source, result, settings) for source, result in pairs), several)


def stem(path: str) -> str:
    """Name of an image without folder and ending: ``"x/a.ome.tif"`` gives ``"a"``."""
    name = short_name(path)
    ending = next((e for e in _ZARR + _TIFF + _OTHER if name.lower().endswith(e)), "")
    return name[: len(name) - len(ending)] or name


def ending_of(path: str, chosen: Format | None = None) -> str:
    """Ending of an image's result: that of the chosen format, else of the family of the image's own name."""
    return _ENDINGS[chosen or _family(path)]


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


def _check_targets(pairs: Sequence[tuple[str, Path]]) -> None:
    taken: dict[Path, tuple[str, Path]] = {}
    for source, target in pairs:
        place = target.resolve()
        if place in taken:
            raise ValueError(
                f"INPUTS: expected different names, found {taken[place][0]} and {source}, which both "
                f"give {target}; denoise them into different folders"
            )
        taken[place] = source, target
    for source, _ in pairs:
        found = Path(source).resolve()
        for place, (_, target) in taken.items():
            if place == found or place in found.parents or (found in place.parents and is_zarr(found)):
                raise ValueError(
                    f"OUT: expected a result beside the inputs, found that {target} holds or lies in "
                    f"the input {source}; give another name or folder"
                )
