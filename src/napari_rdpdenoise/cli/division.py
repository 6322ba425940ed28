"""Which part of the work a command does: options of all commands that make results in parts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pydantic import BaseModel, Field

from napari_rdpdenoise.jobs.batch import Step

if TYPE_CHECKING:
    from napari_rdpdenoise.cache import LatentCache

__all__ = ["Division", "divided"]


class Division(BaseModel, frozen=True):
    """Which part of the work a command does."""

    part: str | None = Field(
        default=None,
        description="Do the I-th of N parts only: each in a process of its own, here or on another machine "
        "with the same files. Any part may be given twice, or again after it was stopped.",
    )
    finish: bool = Field(
        default=False,
        description="Put the parts together, all of them done: the result appears.",
    )
    scheduler: str | None = Field(
        default=None,
        description="Do all parts on the workers of dask.distributed, which see the same files, or on N "
        "processes of this machine (extra cluster).",
    )


@contextmanager
def divided(division: Division, cache: LatentCache | None, *others: str) -> Iterator[Step | None]:
    """What is done of every job; None for all, here.

    Args:
        division: Which part.
        cache: Cache of encoded tiles; None for none.
        *others: Options that were given and that go with none of a division.

    Raises:
        ValueError: If more than one was given, or there is no such part.
    """
    names = [*(f"--{name}" for name in division.model_dump(exclude_defaults=True)), *others]
    if len(names) > 1:
        raise ValueError(f"{', '.join(names)}: expected one of them, found {len(names)}; give each by itself")
    if division.scheduler is not None:
        from napari_rdpdenoise.jobs.cluster import connected, run_on

        with connected(division.scheduler) as client:
            yield lambda job, codec: run_on(job, client, codec=codec, cache=cache)
    elif division.finish:
        from napari_rdpdenoise.jobs.finish import finish_parts

        yield lambda job, codec: finish_parts(job, codec=codec)
    elif division.part is not None:
        from napari_rdpdenoise.jobs.parts import Part, run_part

        part = Part.parse(division.part)
        yield lambda job, codec: run_part(job, part, codec=codec, cache=cache)
    else:
        yield None
