"""Processor time and memory over size: one plane of 1 to 144 megapixels, series of 10 to 10,000 small frames.

Each case runs in a process of its own, whose seconds of the processor are counted: noise estimate, choice of
rate, tiles, pyramid, all of it, but for the start of Python and the loading of the model. Memory is the peak
above what the process held when the model was loaded.
"""

from __future__ import annotations

import argparse
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.common import execute, kept, load_codec, markdown, parser
from benchmarks.memory import MIB, VirtualStore, Watch

EDGES = (1024, 2048, 4096, 8192, 12_000)  # px, of the one plane
FRAMES = (10, 100, 1000, 10_000)
FRAME = 128  # px
FIGURE = "scaling.png"
_FIRST_S = 2.0  # seconds of the processor at which the line of proportion begins


def run_case(options: argparse.Namespace, shape: tuple[int, int, int], chunk: int) -> dict[str, float]:
    """Denoise one virtual stack (planes, height, width) of uint16 into an OME-Zarr, in this process."""
    from napari_rdpdenoise import RunSettings, denoise_stream
    from napari_rdpdenoise.io import open_sink
    from napari_rdpdenoise.io.arrays import ArraySource
    from napari_rdpdenoise.stream import output_spec

    codec, settings = load_codec(options), RunSettings(device=options.device)
    source = ArraySource(VirtualStore(chunk).array(shape), "TYX", identity="virtual")
    with Watch().running() as watch, TemporaryDirectory() as folder:
        start, began, before = watch.now(), time.monotonic(), time.process_time()
        sink = open_sink(Path(folder) / "result.ome.zarr", output_spec(source, settings))
        for _ in denoise_stream(source, sink, settings, codec=codec):
            pass
        processor, wall = time.process_time() - before, time.monotonic() - began
        return {
            "megapixels": float(np.prod(shape, dtype=np.int64)) / 1e6,
            "processor": processor,
            "wall": wall,
            "peak_mib": (watch.take() - start) / MIB,
        }


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All cases, smallest first; a limit is how many of each kind."""
    from benchmarks import scaling  # by its name, so that the other process finds it

    rows: dict[str, list[dict[str, float]]] = {"planes": [], "frames": []}
    cases = [("planes", (1, edge, edge), 512) for edge in EDGES[: options.limit]]
    cases += [("frames", (count, FRAME, FRAME), FRAME) for count in FRAMES[: options.limit]]
    for kind, shape, chunk in cases:
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            row = pool.submit(scaling.run_case, options, shape, chunk).result()
        row |= {"edge": shape[-1], "count": shape[0]}
        rows[kind].append(row)
        print(kind, row, flush=True)
    draw(rows, options.out / FIGURE)
    return rows


def slope(rows: list[dict[str, float]]) -> float:
    """Exponent of pixels with which the processor's seconds grow, by the larger half; NaN of one case."""
    if len(rows) < 2:
        return float("nan")
    late = rows[len(rows) // 2 :] if len(rows) > 2 else rows
    x, y = (np.log([row[name] for row in late]) for name in ("megapixels", "processor"))
    return float(np.polyfit(x, y, 1)[0])


def draw(rows: dict[str, list[dict[str, float]]], file: Path) -> None:
    """Write the figure: seconds of the processor and peak of memory over megapixels."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
    names = {"planes": "one plane, larger and larger", "frames": f"more and more frames of {FRAME} px"}
    for kind, found in rows.items():
        pixels = [row["megapixels"] for row in found]
        left.loglog(pixels, [row["processor"] for row in found], "o-", label=names[kind])
        right.semilogx(pixels, [row["peak_mib"] for row in found], "o-", label=names[kind])
    whole = rows["planes"][-1]
    line = np.array([whole["megapixels"] * _FIRST_S / whole["processor"], whole["megapixels"]])
    left.loglog(
        line, whole["processor"] / whole["megapixels"] * line, ":", color="0.6", label="in proportion"
    )
    left.set_ylabel("seconds of the processor")
    right.set_ylabel("peak memory above the model, MiB")
    right.set_ylim(bottom=0)
    left.legend(frameon=False, fontsize=8)
    for axes in (left, right):
        axes.set_xlabel("megapixels")
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=120)
    pyplot.close(figure)


def table(record: dict[str, Any]) -> str:
    """The result in Markdown."""
    found = record["result"]
    rows = [
        (
            f"{row['count']} x {row['edge']} x {row['edge']}",
            f"{row['megapixels']:.1f}",
            f"{row['processor']:.1f}",
            f"{row['processor'] / row['megapixels']:.2f}",
            f"{row['peak_mib']:.0f}",
        )
        for kind in ("planes", "frames")
        for row in found[kind]
    ]
    head = ("planes x height x width", "MP", "processor, s", "s per MP", "peak memory, MiB above the model")
    return (
        markdown(head, rows)
        + f"\n\nThe time grows with the power {slope(found['planes']):.2f} of the pixels of one plane, with "
        + f"{slope(found['frames']):.2f} of the number of frames (the larger cases); [figure]({FIGURE})."
    )


def main() -> None:
    """Measure and keep the result; ``--draw`` draws the kept one again."""
    options = parser(__doc__)
    options.add_argument("--draw", action="store_true", help="draw the kept result again")
    given = options.parse_args()
    if given.draw:
        draw(kept("scaling", given)["result"], given.out / FIGURE)
    else:
        execute("scaling", measure, given)


if __name__ == "__main__":
    main()
