"""Peak memory while streaming a Zarr of 100 GB that exists only as numbers, into a real OME-Zarr."""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import psutil
import zarr
from zarr.storage import MemoryStore

from benchmarks.common import execute, load_codec, markdown, parser

EDGE, CHUNK, PLANES = 2048, 512, 12_000  # uint16: 100.7 GB
TILES, WARM = 200, 20
FINISHED_PLANES = 5
MIB = 2**20


class VirtualStore(MemoryStore):
    """A store that makes its chunks when they are read: photon noise over smooth spots, 32 patterns."""

    def __init__(self, chunk: int = CHUNK) -> None:
        super().__init__()
        self.chunks_read, self._chunk = 0, chunk
        rng = np.random.default_rng(0)
        row = np.arange(chunk) / chunk
        self._patterns = []
        for _ in range(32):
            y, x = (np.exp(-np.square(row - rng.random((30, 1))) / 0.002) for _ in range(2))
            light = y.T @ x
            self._patterns.append((100 + 2 * rng.poisson(5 + 60 * light)).astype("<u2").tobytes())

    async def get(self, key: str, prototype: Any, byte_range: Any = None) -> Any:
        """Metadata as kept, chunks as made."""
        if not key.startswith("c/"):
            return await super().get(key, prototype, byte_range)
        self.chunks_read += 1
        number = sum(p * int(n) for p, n in zip((7, 5, 3), key.split("/")[1:], strict=True))
        return prototype.buffer.from_bytes(self._patterns[number % len(self._patterns)])

    def array(self, shape: tuple[int, int, int]) -> zarr.Array:
        """Its array of uint16, of a number of planes, of chunks of one plane."""
        return zarr.create_array(
            self,
            shape=shape,
            chunks=(1, self._chunk, self._chunk),
            dtype="uint16",
            compressors=None,
            dimension_names=("t", "y", "x"),
        )


class Watch:
    """Resident memory of this process, sampled in a thread every 20 ms; bytes."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self.peak = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def take(self) -> int:
        """Peak since the last call."""
        peak, self.peak = max(self.peak, self.now()), 0
        return peak

    def now(self) -> int:
        """Resident memory at this moment."""
        return int(self._process.memory_info().rss)

    def _sample(self) -> None:
        while not self._stop.wait(0.02):
            self.peak = max(self.peak, self.now())

    @contextmanager
    def running(self) -> Iterator[Watch]:
        """Sample inside the block."""
        self._thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            self._thread.join()


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Peaks of planning, of the first tiles of the whole job, and of a finished part."""
    tiles = 10 * options.limit if options.limit else TILES
    store = VirtualStore()
    array = store.array((PLANES, EDGE, EDGE))
    with Watch().running() as watch, TemporaryDirectory() as folder:
        start = watch.now()
        began = time.monotonic()
        result = _stream_some(array, Path(folder), options, watch, tiles)
        result["seconds_streaming"] = round(time.monotonic() - began, 1)
        watch.take()
        _finish_part(array, Path(folder), options)
        result["peak_finished_mib"] = (watch.take() - start) / MIB
    for name in ("loaded_mib", "peak_planning_mib", "peak_mib", "first_half_mib", "second_half_mib"):
        result[name] -= start / MIB
    return {
        "gigabytes": array.nbytes / 1e9,
        "start_mib": start / MIB,
        "chunks_read": store.chunks_read,
    } | result


def _stream_some(
    array: zarr.Array, folder: Path, options: argparse.Namespace, watch: Watch, tiles: int
) -> dict[str, Any]:
    from napari_rdpdenoise import RunSettings, denoise_stream
    from napari_rdpdenoise.io import open_sink
    from napari_rdpdenoise.io.arrays import ArraySource
    from napari_rdpdenoise.stream import output_spec

    settings = RunSettings(device=options.device)
    codec = load_codec(options)
    loaded = watch.take() / MIB
    source = ArraySource(array, "TYX", identity="virtual")
    sink = open_sink(folder / "all.ome.zarr", output_spec(source, settings))
    run = denoise_stream(source, sink, settings, codec=codec)
    series, planning = [], 0.0
    for step in run:
        peak = watch.take() / MIB
        if step.done == 0:
            planning = max(planning, peak)
            continue
        series.append((step.done, peak))
        if step.done % 10 == 0:
            print(f"{step.done} of {step.total} tiles, {peak:.0f} MiB, {step.mpps:.2f} MP/s", flush=True)
        if step.done >= tiles:
            total = step.total
            break
    run.close()
    sink.discard()
    settled = [peak for done, peak in series if done > min(WARM, tiles // 2)]
    half = len(settled) // 2
    return {
        "tiles_planned": total,
        "tiles_done": series[-1][0],
        "loaded_mib": loaded,
        "peak_planning_mib": planning,
        "peak_mib": max(planning, *(peak for _, peak in series)),
        "first_half_mib": max(settled[:half]),
        "second_half_mib": max(settled[half:]),
    }


def _finish_part(array: zarr.Array, folder: Path, options: argparse.Namespace) -> None:
    """Some planes to the end, pyramid included."""
    from napari_rdpdenoise import RunSettings, denoise_stream
    from napari_rdpdenoise.io import open_sink
    from napari_rdpdenoise.io.arrays import ArraySource
    from napari_rdpdenoise.stream import output_spec

    settings = RunSettings(device=options.device, time=(0, 1 if options.limit else FINISHED_PLANES))
    source = ArraySource(array, "TYX", identity="virtual")
    sink = open_sink(folder / "part.ome.zarr", output_spec(source, settings))
    codec = load_codec(options)
    for _ in denoise_stream(source, sink, settings, codec=codec):
        pass


def table(record: dict[str, Any]) -> str:
    """The result in Markdown."""
    r = record["result"]
    rows = [
        ("start: Python, NumPy, zarr and the virtual array", f"{r['start_mib']:.0f} in all"),
        ("model loaded (PyTorch included)", f"+{r['loaded_mib']:.0f}"),
        (
            f"peak while planning {r['tiles_planned']} tiles, noise and rate included",
            f"+{r['peak_planning_mib']:.0f}",
        ),
        (f"peak of everything up to tile {r['tiles_done']}", f"+{r['peak_mib']:.0f}"),
        ("peak in the first half of the tiles", f"+{r['first_half_mib']:.0f}"),
        ("peak in the second half of the tiles", f"+{r['second_half_mib']:.0f}"),
        ("peak of a finished part, pyramid included", f"+{r['peak_finished_mib']:.0f}"),
    ]
    return (
        markdown(("resident memory, MiB above the start", ""), rows)
        + f"\n\nA Zarr of {r['gigabytes']:.1f} GB ({PLANES} x {EDGE} x {EDGE} uint16) whose chunks are made "
        + "when they are read, streamed into an OME-Zarr on disk; sampled every 20 ms."
    )


def main() -> None:
    """Measure and keep the result."""
    execute("memory", measure, parser(__doc__).parse_args())


if __name__ == "__main__":
    main()
