"""Memory of a stack of 100 GB on two workers of dask.distributed, and how many tasks that is.

The stack is a Zarr of 12,000 planes of 2048 px, uint16, whose chunks are links to 32 files: photon noise over
spots. What ``denoise --scheduler local:2`` does is followed for some hundred tiles, then stopped; resident
memory of each worker, and of the process that asks, is sampled every 100 ms.
"""

from __future__ import annotations

import argparse
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import psutil

from benchmarks.common import execute, markdown, parser

PLANES, EDGE, PATTERNS = 12_000, 2048, 32  # uint16: 100.7 GB
TILES, WORKERS = 200, 2
MIB = 2**20


def write_linked(path: Path, planes: int) -> None:
    """A Zarr of so many planes, of which few are there: the others are links to them."""
    import zarr

    from benchmarks.store_reading import plane

    array = zarr.create_array(
        path,
        shape=(planes, EDGE, EDGE),
        chunks=(1, EDGE, EDGE),
        dtype="uint16",
        compressors=None,
        dimension_names=("t", "y", "x"),
    )
    pixels = plane(EDGE)
    for number in range(min(PATTERNS, planes)):
        array[number] = np.roll(pixels, 61 * number, axis=(0, 1))
    for number in range(PATTERNS, planes):
        place = path / "c" / str(number) / "0"
        place.mkdir(parents=True)
        (place / "0").hardlink_to(path / "c" / str(number % PATTERNS) / "0" / "0")


class Watch:
    """Resident memory of some processes, sampled in a thread; MiB.

    Attributes:
        series: Seconds since the start, and the peak of each process, by its name, in the second after.
    """

    def __init__(self, processes: dict[str, int]) -> None:
        self._processes = {name: psutil.Process(pid) for name, pid in processes.items()}
        self.series: list[tuple[float, dict[str, float]]] = []
        self._stop = threading.Event()

    @contextmanager
    def running(self) -> Iterator[Watch]:
        """Sample inside the block."""
        thread = threading.Thread(target=self._sample, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            thread.join()

    def _sample(self) -> None:
        began = time.monotonic()
        while not self._stop.wait(0.1):
            found = {name: one.memory_info().rss / MIB for name, one in self._processes.items()}
            when = time.monotonic() - began
            if self.series and when - self.series[-1][0] < 1:  # else the samples were what grows
                kept = self.series[-1][1]
                kept.update({name: max(size, kept[name]) for name, size in found.items()})
            else:
                self.series.append((when, found))

    def peaks(self, first: float, last: float) -> dict[str, float]:
        """Largest memory of each process between two times, seconds since the start."""
        chosen = [found for when, found in self.series if first <= when <= last]
        return {name: max(found[name] for found in chosen) for name in self._processes}


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Peaks of the halves of a run that is stopped, and the tasks that the scheduler knew."""
    from napari_rdpdenoise.jobs.cluster import connected, run_on
    from napari_rdpdenoise.jobs.job import Job, Opened
    from napari_rdpdenoise.settings import RunSettings

    tiles = 10 * options.limit if options.limit else TILES
    settings = RunSettings(model=options.model, device=options.device, axes="TYX")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with TemporaryDirectory() as name, connected(f"local:{WORKERS}") as client:
        write_linked(Path(name) / "stack.zarr", PLANES)
        job = Job(str(Path(name) / "stack.zarr"), Path(name) / "out" / "r.ome.zarr", settings)
        pids = {f"worker {k + 1}": pid for k, pid in enumerate(client.run(os.getpid).values())}
        watch, done, tasks, total, warm = Watch({"client": os.getpid(), **pids}), 0, 0, 0, 0.0
        with watch.running():
            began = time.monotonic()
            running = run_on(job, client)
            for event in running:
                if isinstance(event, Opened):
                    continue
                tasks = max(tasks, client.run_on_scheduler(_tasks))
                if event.done > done:
                    done, total = event.done, event.total
                    if done <= tiles // 10:
                        warm = time.monotonic() - began
                    if done % 10 < 2:
                        print(f"{done} of {total} tiles, {watch.series[-1]}", flush=True)
                if done >= tiles:
                    break
            ended = time.monotonic() - began
            running.close()
        middle = (warm + ended) / 2
        return {
            "gigabytes": PLANES * EDGE**2 * 2 / 1e9,
            "tiles_planned": total,
            "tiles_done": done,
            "seconds": ended,
            "tasks": tasks,
            "first_half_mib": watch.peaks(warm, middle),
            "second_half_mib": watch.peaks(middle, ended),
            "peak_mib": watch.peaks(0, ended),
        }


def _tasks(dask_scheduler: Any) -> int:
    return len(dask_scheduler.tasks)


def table(record: dict[str, Any]) -> str:
    """The result in Markdown."""
    r = record["result"]
    rows = [
        (name, *(f"{r[part][name]:.0f}" for part in ("first_half_mib", "second_half_mib", "peak_mib")))
        for name in r["peak_mib"]
    ]
    return (
        markdown(("resident memory, MiB", "first half", "second half", "peak of all"), rows)
        + f"\n\nA Zarr of {r['gigabytes']:.1f} GB in {r['tiles_planned']} tiles, stopped after "
        f"{r['tiles_done']} of them, {r['seconds']:.0f} s: {r['tasks']} tasks. "
        "The client holds the scheduler."
    )


def main() -> None:
    """Measure and keep the result."""
    execute("cluster", measure, parser(__doc__).parse_args())


if __name__ == "__main__":
    main()
