"""How an image is followed that something is still writing, and Ctrl-C as its end. Imports no engine."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Self

from pydantic import BaseModel, Field, model_validator

from napari_rdpdenoise.jobs.job import Job
from napari_rdpdenoise.names import local
from napari_rdpdenoise.settings import RunSettings

__all__ = ["Follow", "followed_job", "interruptible"]


class Follow(BaseModel, frozen=True, extra="forbid"):
    """When time points of a growing image are complete, and when it has ended.

    Raises:
        pydantic.ValidationError: (a `ValueError`) naming each field that is not as described.
    """

    until: str = Field(
        default="finished",
        min_length=1,
        description="With --follow: name of what says that no more will come: a file among the frames or in "
        "the Zarr's folder, or an attribute of the Zarr that is true; or path of a file.",
    )
    idle: float = Field(
        default=600.0,
        gt=0.0,
        allow_inf_nan=False,
        description="With --follow: seconds without anything new after which it has ended.",
    )
    still: float = Field(
        default=5.0,
        ge=0.0,
        allow_inf_nan=False,
        description="With --follow: seconds for which a file, or the last chunks of a Zarr, must be as they "
        "are to be taken for complete.",
    )
    first_steps: int = Field(
        default=8,
        ge=1,
        description="With --follow: time points that are waited for, and on which noise and rate are "
        "measured; they are kept for all others.",
    )

    @model_validator(mode="after")
    def _wait_longer_than_still(self) -> Self:
        if self.idle <= self.still:
            raise ValueError(
                f"idle: expected more seconds than still ({self.still:g}), found {self.idle:g}; nothing "
                "would be complete before the end"
            )
        return self

    @property
    def every(self) -> float:
        """Seconds between two looks."""
        return min(1.0, max(0.02, self.still / 4))


def followed_job(inputs: Sequence[str], out: str, settings: RunSettings) -> Job:
    """The job of a command that follows an image; neither input nor result need be there.

    Raises:
        ValueError: If there are several inputs, or a format that cannot grow is asked for.
    """
    if len(inputs) != 1:
        raise ValueError(
            f"INPUTS: expected one image to follow, found {len(inputs)}; give the folder of a Zarr, or a "
            "quoted pattern of files with --stack T"
        )
    if settings.output_format == "ome-tiff":
        raise ValueError(
            "output_format: expected ome-zarr, which can grow, found ome-tiff; leave it out, and convert the "
            "finished result"
        )
    return Job(inputs[0], Path(local(out)), settings)


@contextmanager
def interruptible() -> Iterator[Callable[[], bool]]:
    """Let the first Ctrl-C ask for the end, and the second interrupt as ever.

    Yields:
        Function that tells whether the end was asked for. Outside the main thread, where no signal comes,
        it never is.
    """
    asked: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return

    def ask(number: int, _frame: FrameType | None) -> None:
        asked.append(number)
        signal.signal(signal.SIGINT, former)

    former: Any = signal.getsignal(signal.SIGINT) or signal.SIG_DFL
    signal.signal(signal.SIGINT, ask)
    try:
        yield lambda: bool(asked)
    finally:
        signal.signal(signal.SIGINT, former)
