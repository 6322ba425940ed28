"""Parts: what two and four processes, one thread each, save against one, and whether the files are the same.

Efficiency is the time of one process over the number of processes times their time, planning and finishing
included. It means something only where each process has a core of its own. One process keeps more than one
core busy, as it reads, compresses and writes beside the network; so the useful share says how much of the
time of the cores goes into what one process does as well. Seconds of the processor say on a busy machine too
how much more work parts are, start of Python and one noise measured by all of them included.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.common import execute, markdown, parser

EDGE, PLANES = 2048, 32
COUNTS = (1, 2, 4)
CODE = "import sys; from napari_rdpdenoise.cli import main; sys.argv[0] = 'napari-rdpdenoise'; main()"


def write_stack(path: Path, planes: int, edge: int) -> None:
    """A series of moving spots with photon noise, uint16."""
    rng = np.random.default_rng(0)
    y, x = np.arange(edge)[:, None], np.arange(edge)[None]
    stack = np.lib.format.open_memmap(path, "w+", np.uint16, (planes, edge, edge))
    for t in range(planes):
        light = 5 + 60 * (np.sin((y + 3 * t) / 23) * np.cos(x / 17) > 0.5)
        stack[t] = 100 + 2 * rng.poisson(light)
    stack.flush()


def command(options: argparse.Namespace, image: Path, target: Path, *more: str) -> list[str]:
    """A command line that denoises the stack."""
    given = ("--model", options.model, "--device", options.device, "--axes", "TYX", "--no-cache")
    return [sys.executable, "-W", "ignore", "-c", CODE, "denoise", str(image), str(target), *given, *more]


def run_all(commands: list[list[str]]) -> tuple[float, float]:
    """Seconds of some processes at once, of one thread each, and those of the processor, all together."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    began, before = time.monotonic(), os.times()
    running = [subprocess.Popen(one, env=environment, stderr=subprocess.PIPE, text=True) for one in commands]
    told = [process.communicate()[1] for process in running]
    for process, words in zip(running, told, strict=True):
        if process.returncode:
            raise RuntimeError(words)
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return time.monotonic() - began, used


def files(folder: Path) -> dict[str, bytes]:
    """Content of all files below a folder."""
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Times of one run in one piece, and of as many parts as are measured."""
    planes, edge = (options.limit, 512) if options.limit else (PLANES, EDGE)
    rows = []
    with TemporaryDirectory() as name:
        image = Path(name) / "stack.npy"
        write_stack(image, planes, edge)
        whole = Path(name) / "whole" / "result.ome.zarr"
        alone, alone_used = run_all([command(options, image, whole)])
        for count in COUNTS:
            target = Path(name) / str(count) / "result.ome.zarr"
            numbers = [f"{k + 1}/{count}" for k in range(count)]
            parts, used = run_all([command(options, image, target, "--part", number) for number in numbers])
            finish, more = run_all([command(options, image, target, "--finish")])
            same = files(whole) == files(target)
            efficiency = alone / (count * (parts + finish))
            row = {"count": count, "parts": parts, "finish": finish, "efficiency": efficiency, "same": same}
            row["processor"] = used + more
            rows.append(row)
            print(row, flush=True)
    return {
        "megapixels": planes * edge**2 / 1e6,
        "alone": alone,
        "alone_processor": alone_used,
        "cores": len(os.sched_getaffinity(0)),
        "rows": rows,
    }


def table(record: dict[str, Any]) -> str:
    """The result in Markdown."""
    r = record["result"]
    rows: list[tuple[object, ...]] = [
        ("in one piece", f"{r['alone']:.1f}", "", f"{r['alone_processor']:.1f}", "", "", "")
    ]
    for row in r["rows"]:
        cells = tuple(f"{row[name]:.1f}" for name in ("parts", "finish", "processor"))
        took = min(row["count"], r["cores"]) * (row["parts"] + row["finish"])
        cells += (f"{row['efficiency']:.2f}", f"{r['alone_processor'] / took:.2f}")
        rows.append((f"{row['count']} parts", *cells, "yes" if row["same"] else "no"))
    return (
        markdown(
            (
                "processes of one thread",
                "seconds",
                "finish, seconds",
                "of the processor",
                "efficiency",
                "useful share of the cores",
                "same files",
            ),
            rows,
        )
        + f"\n\n{r['megapixels']:.0f} megapixels on {r['cores']} cores; start of Python and noise count."
    )


def main() -> None:
    """Measure and keep the result."""
    execute("parts", measure, parser(__doc__).parse_args())


if __name__ == "__main__":
    main()
