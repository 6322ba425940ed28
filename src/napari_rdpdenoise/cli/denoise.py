"""``napari-rdpdenoise denoise``: files to files."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import BaseModel, Field
from rich.table import Table
from rich.text import Text

from napari_rdpdenoise.cli.console import FAILED, guarded, message_of, result, stderr
from napari_rdpdenoise.cli.division import Division, divided
from napari_rdpdenoise.cli.options import make_settings, validated, with_fields, written
from napari_rdpdenoise.cli.progress import follow as show
from napari_rdpdenoise.fields import flag_of
from napari_rdpdenoise.jobs.batch import Ended, Plan, Step, is_file_name, plan_jobs, run_batch
from napari_rdpdenoise.jobs.follow import Follow, followed_job, interruptible
from napari_rdpdenoise.jobs.record import JobFile, read_job
from napari_rdpdenoise.settings import RunSettings

if TYPE_CHECKING:
    from napari_rdpdenoise.cache import LatentCache
    from napari_rdpdenoise.jobs.job import Job, Opened, Outcome
    from napari_rdpdenoise.stream.report import Progress


class Following(BaseModel, frozen=True):
    """Whether the image is still being written."""

    follow: bool = Field(
        default=False,
        description="Denoise an image that is still being written, a Zarr that grows along T, a TIFF or "
        "NDTiff that is appended to, or files that arrive (a quoted pattern with --stack T), until it ends "
        "or Ctrl-C asks for the end.",
    )


@with_fields(RunSettings, also=(Division, Following, Follow))
def denoise(
    given: dict[str, Any],
    context: typer.Context,
    inputs: Annotated[
        list[str] | None,
        typer.Argument(metavar="INPUTS", help="TIFF, OME-TIFF, OME-Zarr, zarr or .npy, or a quoted glob."),
    ] = None,
    out: Annotated[
        str | None,
        typer.Argument(
            metavar="OUT", help="Result (.ome.zarr or .ome.tif), or a folder: a.tif gives OUT/a.ome.tif."
        ),
    ] = None,
    job: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Take the settings from a job file, RESULT.job.json or one saved in napari; options given "
            "beside it come first. Without INPUTS and OUT, those of the job. Replacing a result always "
            "needs --overwrite here.",
        ),
    ] = None,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Neither use nor fill the cache of encoded tiles.")
    ] = False,
) -> None:
    """Denoise images into OME-Zarr or OME-TIFF.

    A result appears when it is complete. An interrupted run goes on where it was when the same command is
    given again. RESULT.job.json beside each result holds all settings; `--job` takes them from there.
    With `--part 1/8` to `--part 8/8` and then `--finish` many machines make one result.
    With `--follow` a microscope may still be writing the image.
    """
    with guarded() as command:
        division = Division(**{name: given.pop(name) for name in Division.model_fields})
        follows = given.pop("follow")
        following = {name: given.pop(name) for name in Follow.model_fields}
        by_hand = written(context)
        named = {name: given[name] for name in by_hand & set(given)}
        order = _order(inputs or [], out, job, named)
        follow = _followed(follows, following, by_hand)
        plan = plan_jobs(*order) if follow is None else Plan((followed_job(*order),), several=False)
        from napari_rdpdenoise.cache import LatentCache

        cache = None if no_cache else LatentCache()
        with _step(division, follow, cache) as step:
            if plan.several:
                running = run_batch(plan.jobs, cache=cache, step=step)
                _tell_failures(show(running, command=command), len(plan.jobs))
                return
            (only,) = plan.jobs
            outcome = show(_begun(only, step, cache), only.name, command)
        if outcome.path is not None:
            result(str(only.target))


def _begun(
    job: Job, step: Step | None, cache: LatentCache | None
) -> Generator[Opened | Progress, None, Outcome]:
    """What is done of the one job: all, here, or the step that was asked for."""
    if step is not None:
        return step(job, None)
    from napari_rdpdenoise.jobs.runner import run

    return run(job, cache=cache)


def _followed(follows: bool, given: dict[str, Any], by_hand: set[str]) -> Follow | None:
    """How the image is followed; None where it is not."""
    if follows:
        return validated(Follow, given)
    if names := [name for name in Follow.model_fields if name in by_hand]:
        flag = flag_of(Follow, names[0])
        raise ValueError(f"{flag}: expected --follow beside it, found none; give both, or neither")
    return None


@contextmanager
def _step(division: Division, follow: Follow | None, cache: LatentCache | None) -> Iterator[Step | None]:
    """What is done of every job; None for all, here."""
    with divided(division, cache, *([] if follow is None else ["--follow"])) as step:
        if follow is None:
            yield step
            return
        from napari_rdpdenoise.jobs.following import run_following

        with interruptible() as stop:
            yield lambda job, codec: run_following(job, follow, codec=codec, cache=cache, stop=stop)


def _order(
    inputs: list[str], out: str | None, job: Path | None, given: dict[str, Any]
) -> tuple[list[str], str, RunSettings]:
    """Command line and job file together, for `plan_jobs`; the parser takes a single argument for ``out``."""
    if job is None:
        if not inputs or out is None:
            raise ValueError("INPUTS, OUT: expected at least one input and where its result goes")
        return inputs, out, make_settings(given)
    file = read_job(job, given.get("model"))
    # the permission to replace one result is not one to replace others
    settings = make_settings({"overwrite": False, **given}, file.settings)
    if out is None:
        return *_places_of(file, job), settings
    if not inputs:
        raise ValueError(f"INPUTS, OUT: expected both or, with --job, neither, found {out!r} alone")
    if "output_format" not in given and is_file_name(out):
        settings = settings.replace(output_format=None)  # the ending of a result that is named here decides
    return inputs, out, settings


def _places_of(file: JobFile, job: Path) -> tuple[list[str], str]:
    if file.input is None or file.result is None:
        missing = "input" if file.input is None else "result"
        raise ValueError(
            f"INPUTS, OUT: expected them here or in the job file, found no {missing} in {job}; "
            "give both on the command line"
        )
    return [file.input], str(file.result)


def _tell_failures(failed: tuple[Ended, ...], total: int) -> None:
    """Tell in a table which jobs of a batch failed, and end with the exit code for it."""
    if not failed:
        return
    title = f"{len(failed)} of {total} failed"
    table = Table("input", "what happened", title=title, title_justify="left")
    for ended in failed:
        told = "" if ended.error is None else message_of(ended.error)
        table.add_row(*(Text(text, overflow="fold") for text in (str(ended.job.input), told)))
    stderr.print(table)
    raise typer.Exit(FAILED)
