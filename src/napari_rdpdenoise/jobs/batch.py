"""Many images: inputs and globs to jobs, checked before any work, and these one after the other."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from napari_rdpdenoise.files import is_zarr
from napari_rdpdenoise.jobs.job import Job, Opened, Outcome, short_name
from napari_rdpdenoise.names import check_given, check_length, check_name, exists, local, matching
from napari_rdpdenoise.places import place_of
from napari_rdpdenoise.settings import RunSettings

if TYPE_CHECKING:
    from napari_rdpdenoise.cache import LatentCache
    from napari_rdpdenoise.codec import Codec
    from napari_rdpdenoise.stream import Progress
    from napari_rdpdenoise.stream.report import ModelNamed, RunReport

Format = Literal["ome-zarr", "ome-tiff"]

_ENDINGS: dict[Format, str] = {"ome-zarr": ".ome.zarr", "ome-tiff": ".ome.tif"}
_ZARR = (".ome.zarr", ".zarr.zip", ".zarr", ".ozx")
_TIFF = (".ome.tiff", ".ome.tif", ".ome.btf", ".tiff", ".tif", ".btf", ".lsm")
_OTHER = (".npy", ".czi", ".nd2", ".lif")
IMAGE_ENDINGS = _ZARR + _TIFF + _OTHER
"""How names of files that can be read end, longer ones first; those of the `formats` extra included."""


@dataclass(frozen=True)
class Plan:
    """The jobs of a command; in a batch (``several``) one failure does not stop the rest."""

    jobs: tuple[Job, ...]
    several: bool


Step: TypeAlias = "Callable[[Job, Codec | None], Generator[Opened | Progress, None, Outcome]]"


@dataclass(frozen=True)
class Started:
    """A job of a batch begins: the job, its number in the batch from 1, and how many there are."""

    job: Job
    number: int
    total: int


@dataclass(frozen=True)
class Ended:
    """A job of a batch is over.

    There is no outcome where it failed, or an earlier batch had done the same; ``error`` is why it failed,
    ``earlier`` what that batch found, None where its record is gone.
    """

    job: Job
    outcome: Outcome | None = None
    error: Exception | None = None
    earlier: RunReport | None = None


def run_batch(
    jobs: Sequence[Job],
    *,
    codec: Codec | None = None,
    cache: LatentCache | None = None,
    step: Step | None = None,
) -> Generator[Started | Opened | Progress | Ended, None, tuple[Ended, ...]]:
    """Run jobs of the same settings one after the other; the failed ones are the return value.

    A failure ends its job only. A job that an earlier batch has finished with the same input, settings and
    model is not done again, unless its settings let it be replaced. Codec, cache and closing the generator
    are as in `runner.run`. ``step`` is what is done of each job, such as a part of it, with the codec or
    None, and loads the model itself then; None for all.

    Raises:
        FileNotFoundError: There is no such model.
        ValueError: The model cannot be used as the settings ask.
    """
    naming = _Naming()
    if codec is None and jobs:
        if step is None:
            from napari_rdpdenoise.jobs.models import codec_before, named

            codec = codec_before(jobs[0].settings)
            if codec is not None:
                yield naming.noted(named(codec))
        else:  # which loads the model itself, where it needs one
            from napari_rdpdenoise.codec.library import find

            find(jobs[0].settings.model)
    failed: list[Ended] = []
    for number, job in enumerate(jobs, start=1):
        yield Started(job, number, len(jobs))
        try:
            if step is None and _finished(job, codec):
                ended = Ended(job, earlier=_earlier(job))
            else:
                begun = _begun(job, codec, cache) if step is None else step(job, codec)
                ended = Ended(job, (yield from naming.of(begun)))
        except Exception as error:
            ended = Ended(job, error=error)
            failed.append(ended)
        yield ended
    return tuple(failed)


def _finished(job: Job, codec: Codec | None) -> bool:
    """Whether a job was done before, and is not to be done again."""
    from napari_rdpdenoise.jobs.runner import finished_before

    return not job.settings.overwrite and finished_before(job, codec)


def _earlier(job: Job) -> RunReport | None:
    """What the run found that a job's result is of; None where that cannot be read."""
    from napari_rdpdenoise.jobs.record import read_report, record_path

    if job.target is None:
        return None
    try:
        return read_report(record_path(job.target))
    except (OSError, ValueError):
        return None


def _begun(
    job: Job, codec: Codec | None, cache: LatentCache | None
) -> Generator[Opened | Progress, None, Outcome]:
    """All of a job, here."""
    from napari_rdpdenoise.jobs.runner import run

    return run(job, codec=codec, cache=cache)


class _Naming:
    """Passes the events of jobs on, but for a line that names the model that was named last."""

    def __init__(self) -> None:
        self._last: str | None = None

    def noted(self, event: ModelNamed) -> ModelNamed:
        """A line that names a model: the same is not passed on next."""
        self._last = event.message
        return event

    def of(
        self, running: Generator[Opened | Progress, None, Outcome]
    ) -> Generator[Opened | Progress, None, Outcome]:
        from napari_rdpdenoise.stream.report import ModelNamed

        with closing(running):
            while True:
                try:
                    event = next(running)
                except StopIteration as end:
                    return end.value
                if isinstance(event, ModelNamed):
                    if event.message == self._last:
                        continue
                    self.noted(event)
                yield event


def plan_jobs(inputs: Sequence[str], out: str, settings: RunSettings | None = None) -> Plan:
    """Pair every image of the inputs with its result: ``out``, or a file of its stem in that folder.

    An input is a path, URL or glob. Files of one set, such as a multi-file OME-TIFF, are one image; a file of
    several images is one job, of the image that the settings' ``series`` chooses, or a job for each. With
    ``stack`` all files that match an input are one image. Where the settings have no format of the results,
    it is that of the ending of ``out``, or of the family of each input.

    Raises:
        FileNotFoundError: If an input or a glob's match does not exist.
        ValueError: If a name cannot be written in UTF-8, the result's name is not understood, two inputs
            would give one result, or a result would replace an input.
    """
    settings = settings or RunSettings()
    chosen = settings.output_format
    check_given(out, "OUT")
    sources = _sources(inputs, settings)
    several = len(inputs) > 1 or len(sources) > 1 or not (exists(inputs[0]) or settings.stack)
    target = Path(local(out))
    if not several and is_file_name(out):
        if chosen is not None and _family(target.name) != chosen:
            raise ValueError(
                f"--format: expected a result named *{_ENDINGS[chosen]} for {chosen}, found {target.name}; "
                "leave --format out or change the ending"
            )
        results = [target]
    else:
        _check_folder(target, several)
        results = [target / (source.stem + ending_of(source.path, chosen)) for source in sources]
    for text in (*(source.path for source in sources), *map(str, results)):
        check_name(text)
    for result in results:
        check_length(str(result))
    _check_targets([(source.path, result) for source, result in zip(sources, results, strict=True)])
    jobs = [
        Job(source.path, result, settings.replace(series=source.series))
        for source, result in zip(sources, results, strict=True)
    ]
    return Plan(tuple(jobs), several)


@dataclass(frozen=True)
class _Source:
    """One image: its path, URL or pattern, its number in that file, and the stem of its result."""

    path: str
    series: int | None
    stem: str


def _sources(inputs: Sequence[str], settings: RunSettings) -> list[_Source]:
    """Images of the inputs: files of one set are one image, a file may hold several (``series`` all)."""
    if settings.stack is not None:
        found = [(text, matching(text)) for text in inputs]
        return [_Source(text, None, _stem_of_stack(text, paths)) for text, paths in found]
    paths = [path for text in inputs for path in matching(text)]
    if len(paths) > 1:
        paths = _without_siblings(paths)
    if settings.series != "all":
        return [_Source(path, settings.series, stem(path)) for path in paths]
    from napari_rdpdenoise.io import list_images

    sources = []
    for path in paths:
        count = len(list_images(path))
        numbers = range(count)
        sources += [_Source(path, k, stem(path) + (f"_s{k}" if count > 1 else "")) for k in numbers]
    return sources


def _without_siblings(paths: Sequence[str]) -> list[str]:
    """Paths without those that belong to the image of one before them."""
    from napari_rdpdenoise.io import files_of_set

    kept, taken = [], set[Path]()
    for path in paths:
        if "://" not in path and Path(path).resolve() in taken:
            continue
        kept.append(path)
        taken |= files_of_set(path)
    return kept


def _stem_of_stack(pattern: str, paths: Sequence[str]) -> str:
    """What the names of a stack's files begin with, else the name of their folder."""
    first, *_, last = sorted(short_name(path) for path in (paths[0], *paths))
    if len(paths) == 1:
        return stem(first)
    same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    common = "".join(letter for letter, _ in same)
    return common.rstrip("0123456789 _-.[(") or Path(pattern).resolve().parent.name or "stack"


def stem(path: str) -> str:
    """Name of an image without folder and ending: ``"x/a.ome.tif"`` gives ``"a"``."""
    name = short_name(path)
    ending = next((e for e in IMAGE_ENDINGS if name.lower().endswith(e)), "")
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


def _check_folder(folder: Path, several: bool) -> None:
    if folder.is_file() or is_file_name(str(folder)):
        raise ValueError(f"OUT: expected a folder for the results of several inputs, found the file {folder}")
    if not several and folder.suffix and not folder.is_dir():
        raise ValueError(
            f"OUT: expected a name that ends with .ome.zarr or .ome.tif, or a folder, found {folder.name!r}; "
            "make the folder first if it is meant to be one"
        )


def _words_of_clash(one: str, other: str, target: Path) -> str:
    """Why two inputs cannot have one result, and what to do."""
    if place_of(one) == place_of(other):
        return f"INPUTS: expected every image once, found {other} twice; leave one of them out"
    for result, source in ((one, other), (other, one)):
        if place_of(result) == place_of(target):
            return (
                f"INPUTS: expected images without their results, found {result} beside {source}, whose "
                "result has that name; give a pattern that leaves it out, or another folder for the results"
            )
    return (
        f"INPUTS: expected different names, found {one} and {other}, which both give {target}; denoise them "
        "into different folders"
    )


def _check_targets(pairs: Sequence[tuple[str, Path]]) -> None:
    taken: dict[str, tuple[str, Path]] = {}
    for source, target in pairs:
        place = place_of(target)
        if place in taken:
            raise ValueError(_words_of_clash(taken[place][0], source, target))
        taken[place] = source, target
    inputs = {place_of(path): path for path, _ in pairs}
    zarrs = {place: path for place, path in inputs.items() if is_zarr(Path(path))}
    above = {parent: path for path, _ in pairs for parent in Path(path).resolve().parents}
    held = {place_of(parent): path for parent, path in above.items()}
    for place, (_, target) in taken.items():
        beside = inputs.get(place) or held.get(place)
        around = map(place_of, target.resolve().parents) if zarrs else ()
        beside = beside or next((zarrs[parent] for parent in around if parent in zarrs), None)
        if beside is not None:
            raise ValueError(
                f"OUT: expected a result beside the inputs, found that {target} holds or lies in "
                f"the input {beside}; give another name or folder"
            )
