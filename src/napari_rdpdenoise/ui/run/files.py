"""Many files with the settings of the dock: which, the command that does the same, and rows of words."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_rdpdenoise.cache import LatentCache
from napari_rdpdenoise.files import is_zarr
from napari_rdpdenoise.jobs.batch import IMAGE_ENDINGS, Ended, Started, plan_jobs, run_batch
from napari_rdpdenoise.settings import RunSettings
from napari_rdpdenoise.stream.report import error_words
from napari_rdpdenoise.ui.run.as_text import command_of

if TYPE_CHECKING:
    from napari_rdpdenoise.stream import RunReport

__all__ = ["batch", "batch_command", "images_in", "left_out", "row_words"]


def images_in(paths: Iterable[str | Path]) -> list[str]:
    """Image files among paths; of a folder that is no Zarr those directly in it, sorted by name."""
    found: list[str] = []
    for path in map(Path, paths):
        if path.is_dir() and not is_zarr(path):
            found += [str(inside) for inside in sorted(path.iterdir()) if _is_image(inside)]
        elif _is_image(path) or (path.is_dir() and is_zarr(path)):
            found.append(str(path))
    return found


def left_out(paths: Iterable[str | Path]) -> list[str]:
    """Names of the paths among these that hold no image that is read, such as PNG files and empty folders."""
    return [Path(path).name for path in paths if not images_in([path])]


def batch(
    inputs: Sequence[str], out: str, settings: RunSettings, cache: LatentCache | None
) -> Generator[Any, None, tuple[Ended, ...]]:
    """Denoise files into a folder, which is made; yields and returns what `run_batch` does.

    What an earlier batch has finished with the same settings is not done again, what it left half done goes
    on there.

    Raises:
        OSError: If the folder cannot be made. All else as `plan_jobs` and `run_batch`.
    """
    Path(out).mkdir(parents=True, exist_ok=True)
    return (yield from run_batch(plan_jobs(inputs, out, settings).jobs, cache=cache))


def batch_command(inputs: Sequence[str], out: str, settings: RunSettings) -> str:
    """A command for the system's shell that does what `batch` does."""
    return command_of([*inputs, out], settings)


def row_words(event: Started | Ended) -> tuple[bool | None, str, str]:
    """What to say of one file.

    Returns:
        Whether it went well, None while it is under way; a line; and more for who asks.
    """
    if isinstance(event, Started):
        return None, "Denoising…", ""
    if event.error is not None:
        return False, f"Failed: {event.error}", str(event.error)
    report = event.earlier if event.outcome is None else event.outcome.report
    kept = "Done before with the same settings, kept" if event.outcome is None else ""
    if report is None:
        return True, f"{kept}.", str(event.job.target)
    words = f"{kept}: {_report_words(report)}" if kept else _report_words(report)
    return not report.messages, words, "\n".join([str(event.job.target), *report.messages])


def _report_words(report: RunReport) -> str:
    parts = ["no noise to remove" if report.blank else f"rate {report.rate:.2f}"]
    errors = [channel.error for channel in report.channels if channel.error is not None]
    if errors and (expected := error_words(max(errors), structure=False)):
        parts.append(expected.removeprefix("expected "))  # it fits beside the sign and the rate then
    if report.messages:
        count = len(report.messages)
        parts.append("1 note" if count == 1 else f"{count} notes")
    return ", ".join(parts)


def _is_image(path: Path) -> bool:
    return path.name.lower().endswith(IMAGE_ENDINGS) and not path.name.startswith(".")
