"""What `napari-rdpdenoise metrics` says of a result with the job file beside it: bits, model and settings."""

from __future__ import annotations

import math
from collections.abc import Generator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from napari_rdpdenoise.cli.console import CommandState, result, stderr, stdout
from napari_rdpdenoise.names import shown

if TYPE_CHECKING:
    import numpy as np

    from napari_rdpdenoise.codec.idempotence import Idempotence
    from napari_rdpdenoise.settings import RunSettings


@dataclass(frozen=True)
class Compared:
    """A result, beside the noisy image where it is given, and the clean one.

    Attributes:
        images: Images of one shape by their names "result" and "noisy", counts.
        clean: Clean image on their scale.
        top: Range of values, counts.
        axes: Axes of all of them.
    """

    images: dict[str, np.ndarray]
    clean: np.ndarray
    top: float
    axes: str


def show_bound(image: Path, loaded: Compared) -> None:
    """Measured errors in units of the noise, beside what an ideal codec of as many bits guarantees.

    Args:
        image: Path of the result, with its job file beside it.
        loaded: Result, noisy and clean image.

    Raises:
        FileNotFoundError: If there is no job file.
        ValueError: If the job file has no report, or other channels.
    """
    from napari_rdpdenoise.jobs.record import read_report
    from napari_rdpdenoise.metrics import noise_distance
    from napari_rdpdenoise.theory import beside_bound

    report = read_report(_record_of(image, "--bound"))
    if not math.isfinite(report.bpp):
        raise ValueError(
            "RESULT: expected the bits of the run in its job file, found none, because no tile was encoded: "
            "all came out as they went in, or were done before; denoise again with --overwrite if they were"
        )
    axis = loaded.axes.find("C")
    count = 1 if axis < 0 else loaded.clean.shape[axis]
    if count != len(report.channels):
        raise ValueError(
            f"RESULT: expected the {len(report.channels)} channels of its job file, found {count}; "
            "give the result as it was written"
        )
    table = Table("error, noise standard deviations", "result", "noisy", "ideal codec, at most")
    lines = []
    for number, channel in enumerate(report.channels):
        images = (loaded.images["result"], loaded.images["noisy"], loaded.clean)
        after, before, truth = (v if axis < 0 else v.take(number, axis) for v in images)
        error = noise_distance(after, truth, channel.noise)
        noise = noise_distance(before, truth, channel.noise, noisy=True)
        found = beside_bound(report.bpp, truth.size, error, noise)
        name = f"channel {channel.channel}: " if count > 1 else ""
        table.add_row(
            f"{name}{found.bpp:.3f} bits per pixel",
            *(f"{value:.3f}" for value in (error, noise, found.bound)),
        )
        lines.append(f"{name}{found.text}")
    stdout.print(table)
    for line in lines:
        result(line)


def show_idempotence(command: CommandState, image: Path, noisy: Path | None) -> None:
    """What changes when a result is encoded again, by channel.

    Args:
        command: State of the command, which works from the first tile on.
        image: Path of the result, with its job file beside it.
        noisy: Noisy image; None for that of the job file.

    Raises:
        FileNotFoundError: If there is no job file, image or model.
        ValueError: If no noisy image is known, or the images do not fit.
    """
    from napari_rdpdenoise.jobs.record import read_job

    job = read_job(_record_of(image, "--idempotence"))
    source = job.input if noisy is None else str(noisy)
    if source is None:
        raise ValueError("--input: expected the noisy image, found none here and none in the job file")
    found = _followed(command, _encode_again(image, source, job.settings))
    table = Table("encoded again", "symbols changed", "of those not 0", "decodes apart, noise sd")
    for number, seen in found.items():
        name = f"channel {number}" if len(found) > 1 else shown(image.name)
        shares = (f"{share:.2%}" for share in (seen.changed_share, seen.changed_share_of_occupied))
        table.add_row(Text(name), *shares, f"{seen.distance:.3f}")
    stdout.print(table)


def _encode_again(
    image: Path, source: str, settings: RunSettings
) -> Generator[str, None, dict[int, Idempotence]]:
    from napari_rdpdenoise.cache import LatentCache
    from napari_rdpdenoise.io import open_image
    from napari_rdpdenoise.jobs.inputs import open_input
    from napari_rdpdenoise.jobs.job import Job
    from napari_rdpdenoise.jobs.models import load_codec
    from napari_rdpdenoise.stream.idempotence import encode_result_again

    with ExitStack() as open_files:
        noisy = open_files.enter_context(closing(open_input(Job(source, None, settings))))
        denoised = open_files.enter_context(closing(open_image(image)))
        codec = load_codec(settings)
        return (yield from encode_result_again(noisy, denoised, settings, codec, LatentCache()))


def _followed(
    command: CommandState, running: Generator[str, None, dict[int, Idempotence]]
) -> dict[int, Idempotence]:
    """Run to the end with the last line on the terminal."""
    with closing(running), stderr.status("") as status:
        while True:
            try:
                status.update(Text(next(running)))
                command.working = True
            except StopIteration as end:
                found: dict[int, Idempotence] = end.value
                return found


def _record_of(image: Path, option: str) -> Path:
    from napari_rdpdenoise.jobs.record import record_path

    path = record_path(image)
    if not path.is_file():
        raise FileNotFoundError(
            f"{option}: expected the job file that `denoise` writes beside a result, found none at {path}; "
            "keep it beside the result, or denoise again"
        )
    return path
