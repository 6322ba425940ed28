"""Stores for tests: how they are made, and quickly."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any


def make_store(
    folder: Path, image: Any, residual: str = "1", name: str = "a.ome.zarr", **options: Any
) -> Path:
    from napari_rdpdenoise.jobs.job import Job

    axes, invalid = options.pop("axes", None), options.pop("mask", None)
    job = Job(image, folder / name, quick(axes=axes, **options), residual=residual, invalid=invalid)
    last(steps(job))
    return folder / name


def quick(**options: Any) -> Any:
    from napari_rdpdenoise.settings import RunSettings

    return RunSettings(**{"device": "cpu", "rate": 0.5, "tile": 2048, "precision": "float32", **options})


def steps(job: Any, **given: Any) -> Iterator[Any]:
    from napari_rdpdenoise.jobs.runner import run

    return run(job, **given)


def last(running: Iterator[Any]) -> Any:
    """Run to the end; what came of it."""
    while True:
        try:
            next(running)
        except StopIteration as end:
            return end.value
