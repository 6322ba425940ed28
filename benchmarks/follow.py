"""A soak of ``denoise --follow``: another process is the microscope; memory, files, threads are watched.

For half of the time it makes a Zarr longer, for the other half it writes a file for every time point. At the
end every plane of the result is compared with the one that was written: the codec keeps its mean.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import psutil
import tifffile
import zarr

from benchmarks.common import execute, load_codec, markdown, parser
from napari_rdpdenoise.io import ImageSource, open_image, open_stack

EDGE, EVERY = 384, 1.0  # px, and seconds between two planes
KINDS = ("zarr", "frames")
WARM = 0.2  # of the samples, that belong to the start
MIB = 2**20


def plane(step: int) -> np.ndarray:
    """One plane of moving spots with photon noise, whose brightness tells which one it is; uint16."""
    rng = np.random.default_rng(step)
    y, x = np.arange(EDGE)[:, None], np.arange(EDGE)[None]
    light = 20 + step % 50 + 60 * (np.sin((y + 3 * step) / 23) * np.cos(x / 17) > 0.5)
    return (100 + 2 * rng.poisson(light)).astype(np.uint16)


def image_of(kind: str, folder: Path) -> tuple[str, str | None]:
    """What is followed, and the axis through the files."""
    return (str(folder / "live.zarr"), None) if kind == "zarr" else (f"{folder}/frames/t*.tif", "T")


def microscope(kind: str, folder: Path, count: int) -> None:
    """Write so many planes, one at a time, and then the marker; in a process of its own."""
    frames = folder / "frames"
    if kind == "zarr":
        array = zarr.create_array(
            folder / "live.zarr", shape=(0, EDGE, EDGE), chunks=(1, EDGE // 2, EDGE // 2), dtype="uint16",
            dimension_names=("t", "y", "x"),
        )  # fmt: skip
    else:
        frames.mkdir()
    began = time.monotonic()
    for step in range(count):
        time.sleep(max(0.0, began + step * EVERY - time.monotonic()))
        if kind == "zarr":
            array.resize((step + 1, EDGE, EDGE))
            array[step] = plane(step)
        else:
            tifffile.imwrite(frames / f"t{step}.tif", plane(step), photometric="minisblack")
    if kind == "zarr":
        array.attrs["finished"] = True
    else:
        (frames / "finished").touch()


def soak(kind: str, count: int, options: argparse.Namespace) -> dict[str, Any]:
    """Follow so many planes of one kind: what the process took meanwhile, and how many planes are lost."""
    from napari_rdpdenoise.jobs.follow import Follow
    from napari_rdpdenoise.jobs.following import run_following
    from napari_rdpdenoise.jobs.job import Job, Opened
    from napari_rdpdenoise.settings import RunSettings

    codec, process = load_codec(options), psutil.Process()
    samples: list[tuple[int, int, int]] = []
    with TemporaryDirectory() as name:
        folder = Path(name)
        code = (sys.executable, "-W", "ignore", "-m", "benchmarks.follow")
        writer = subprocess.Popen([*code, "--microscope", kind, name, "--planes", str(count)])
        image, stack = image_of(kind, folder)
        job = Job(image, folder / "result.ome.zarr", RunSettings(device=options.device, stack=stack))
        began, told = time.monotonic(), 0.0
        for event in run_following(job, Follow(still=2.0, idle=60.0), codec=codec):
            now = time.monotonic()
            if isinstance(event, Opened) or event.message:
                print(f"{kind}: {'opened' if isinstance(event, Opened) else event.message}", flush=True)
            if now - told >= 1.0:
                told = now
                handles = process.num_fds() if hasattr(process, "num_fds") else process.num_handles()
                samples.append((process.memory_info().rss, handles, process.num_threads()))
        seconds = time.monotonic() - began
        if writer.wait():
            raise RuntimeError("the microscope failed")
        lost = lost_planes(open_stack(image, "T") if stack else open_image(image), job.target, count)
    warm = samples[int(WARM * len(samples)) :]
    half = len(warm) // 2
    thirds = {"first": warm[:half], "second": warm[half:]}
    found = {part: [max(column) for column in zip(*values, strict=True)] for part, values in thirds.items()}
    return {
        "kind": kind, "planes": count, "seconds": seconds, "lost": lost, "samples": len(samples),
        "first": found["first"], "second": found["second"],
    }  # fmt: skip


def lost_planes(source: ImageSource, target: Any, count: int) -> int:
    """Planes of the input that are not in the result, or stand elsewhere in it."""
    result = open_image(target)
    if result.shape[0] != count:
        return count - result.shape[0]
    whole = slice(0, EDGE), slice(0, EDGE)
    return sum(
        abs(float(source.read((step,), *whole).mean()) - float(result.read((step,), *whole).mean())) > 0.5
        for step in range(count)
    )


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Both kinds, each for half of the time."""
    count = 10 * options.limit if options.limit else round(60 * options.minutes / len(KINDS) / EVERY)
    return {"rows": [soak(kind, max(count, 10), options) for kind in KINDS]}


def table(record: dict[str, Any]) -> str:
    """The result in Markdown."""
    rows = []
    for row in record["result"]["rows"]:
        cells = [
            f"{a / MIB:.0f} / {b / MIB:.0f}" if number == 0 else f"{a} / {b}"
            for number, (a, b) in enumerate(zip(row["first"], row["second"], strict=True))
        ]
        rows.append((row["kind"], row["planes"], f"{row['seconds'] / 60:.1f}", row["lost"], *cells))
    head = ("written as", "planes", "minutes", "lost", "memory, MiB", "open files", "threads")
    return (
        markdown(head, rows)
        + f"\n\nPlanes of {EDGE} x {EDGE} px, one every {EVERY:g} s. Memory, files and threads: most in the "
        + "first and in the second half of the time, without the first fifth of it."
    )


def main() -> None:
    """Measure and keep the result."""
    options = parser(__doc__)
    options.add_argument("--minutes", type=float, default=120.0, help="how long the microscope writes")
    options.add_argument("--microscope", nargs=2, metavar=("KIND", "FOLDER"), help="be the microscope")
    options.add_argument("--planes", type=int, default=10, help="planes that the microscope writes")
    given = options.parse_args()
    if given.microscope:
        microscope(given.microscope[0], Path(given.microscope[1]), given.planes)
    else:
        execute("follow", measure, given)


if __name__ == "__main__":
    main()
