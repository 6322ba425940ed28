"""``napari-rdpdenoise denoise``: files to files."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Table

from napari_rdpdenoise.cli.batch import Job, plan_jobs
from napari_rdpdenoise.cli.console import FAILED, guarded, message_of, result, say, show_error, stderr
from napari_rdpdenoise.cli.options import make_settings, with_settings


@with_settings()
def denoise(
    given: dict[str, Any],
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="INPUTS", help="TIFF, OME-TIFF, OME-Zarr, zarr or .npy, or a quoted glob."),
    ],
    out: Annotated[
        str,
        typer.Argument(
            metavar="OUT", help="Result (.ome.zarr or .ome.tif), or a folder: a.tif gives OUT/a.ome.tif."
        ),
    ],
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Neither use nor fill the cache of encoded tiles.")
    ] = False,
) -> None:
    """Denoise images into OME-Zarr or OME-TIFF.

    A result appears when it is complete. An interrupted run goes on where it was when the same command is
    given again. RESULT.job.json beside each result holds all settings.
    """
    from napari_rdpdenoise.cli.runner import Runner

    with guarded() as stage:
        plan = plan_jobs(inputs, out, make_settings(given).output_format)
        runner = Runner(make_settings(given), use_cache=not no_cache)
        if plan.several:
            _ = runner.codec  # a model that cannot be loaded is wrong use, not a failure of every job
            stage.working = True
            _run_batch(runner.denoise_once, plan.jobs)
        else:
            opened = runner.open(plan.jobs[0])
            stage.working = True
            runner.denoise(opened)
            result(str(plan.jobs[0].target))


def _run_batch(run: Any, jobs: tuple[Job, ...]) -> None:
    """Do all jobs; those that fail are told in a table at the end."""
    failures: list[tuple[Job, str]] = []
    for number, job in enumerate(jobs, start=1):
        say(f"[{number}/{len(jobs)}] {job.name}")
        try:
            run(job)
            result(str(job.target))
        except Exception as error:
            show_error(error, f"{job.name}: ")
            failures.append((job, message_of(error)))
    if not failures:
        return
    table = Table(
        "input", "what happened", title=f"{len(failures)} of {len(jobs)} failed", title_justify="left"
    )
    for job, message in failures:
        table.add_row(*(_plain(text) for text in (job.source, message)))
    stderr.print(table)
    raise typer.Exit(FAILED)


def _plain(text: str) -> Any:
    from rich.text import Text

    return Text(text, overflow="fold")
