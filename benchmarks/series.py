"""What neighbouring planes are worth: series with them against one plane, and what auto chooses.

Real series that no model was trained on (``data/series``) become simulated exposures: a plane's 99.9th
percentile of all planes is the bright end in photo-electrons, the camera that of ``general``. *Alike* is the
correlation of the fine structure of one clean plane with the next (difference of Gaussians, sigma 0.8 and
3 px). The expected error is what the run says, the true one that of the same planes: both in decibels below
the noise, in the domain where the noise has variance 1.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.common import data_folder, execute, load_codec, markdown, parser
from benchmarks.general import ordinary
from benchmarks.quality import denoise_one
from napari_rdpdenoise.codec import Codec
from napari_rdpdenoise.io import open_image
from napari_rdpdenoise.metrics import psnr
from napari_rdpdenoise.noise import NoiseModel, expected_stabilized

HELD_OUT = (
    "calcium_cells", "stpt_neurons", "lattice_erythrocyte", "nuclei_mitocheck", "phase_scratch", "em_vnc",
)  # fmt: skip
PHOTONS = (10, 50, 500)
PLANES = 5
ALIKE, UNLIKE = 0.6, 0.35
Row = dict[str, Any]


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """PSNR of every series, light and choice of neighbours; ``--limit`` takes that many series."""
    codec = load_codec(options)
    return {"rows": list(_rows(codec, options.limit))}


def _rows(codec: Codec, limit: int | None) -> Iterator[Row]:
    folder = data_folder()
    if folder is None:
        raise FileNotFoundError(
            "series: expected data/series in the folder that RDPDENOISE_DATA names; set it"
        )
    for name in HELD_OUT[:limit]:
        (path,) = (folder / "data" / "series").glob(f"{name}_*.ome.tif")
        source = open_image(path)
        axis, count = source.metadata.axes[0], source.shape[0]
        first = max(0, count // 2 - PLANES // 2)
        whole = slice(None), slice(None)
        planes = np.stack([source.read((i,), *whole) for i in range(first, min(count, first + PLANES))])
        for photons in PHOTONS:
            yield _shown(
                {"series": name, "axis": axis, "alike": _alike(planes)} | _row(codec, planes, axis, photons)
            )


def _row(codec: Codec, planes: NDArray[Any], axis: str, photons: int) -> Row:
    low, high = np.percentile(planes, [0.5, 99.9])
    light = photons * np.clip((planes - low) / (high - low), 0, 1.5)
    counts, clean = ordinary(light, np.random.default_rng(photons))
    noisy = np.clip(np.round(counts), 0, 65535).astype(np.uint16)
    span = float(np.percentile(clean, 99.9) - clean.min())
    row: Row = {"photons": photons, "noisy": psnr(noisy.astype(float), clean, span)}
    for name, asked in (("one", "none"), ("beside", axis), ("auto", "auto")):
        image, report = denoise_one(codec, noisy, f"{axis}YX", neighbours=asked)
        row[name] = float(np.mean([psnr(a, b, span) for a, b in zip(image, clean, strict=True)]))
        if name == "auto":
            (channel,) = report.channels
            row |= {"taken": channel.neighbours, "rate": channel.rate, "expected": decibels(channel.error)}
            row["true"] = decibels(error(image, clean, NoiseModel(2.0, 100.0, 3.0)))
    return row


def error(image: NDArray[Any], clean: NDArray[Any], noise: NoiseModel) -> float:
    """Mean squared error in noise variances, where the noise has variance 1."""
    return float(np.mean(np.square(expected_stabilized(image, noise) - expected_stabilized(clean, noise))))


def decibels(error: float | None) -> float | None:
    """How far below the noise an error is, dB; None where it is not known."""
    return None if error is None or error <= 0 else float(-10 * np.log10(error))


def _alike(planes: NDArray[Any]) -> float:
    blurred = (
        [ndimage.gaussian_filter(plane.astype(float), sigma) for plane in planes] for sigma in (0.8, 3.0)
    )
    fine = [(narrow - wide).ravel() for narrow, wide in zip(*blurred, strict=True)]
    return float(np.mean([np.corrcoef(a, b)[0, 1] for a, b in pairwise(fine)]))


def _shown(row: Row) -> Row:
    print({k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()}, flush=True)
    return row


def table(record: dict[str, Any]) -> str:
    """The result in Markdown."""
    rows = record["result"]["rows"]
    head = ("series", "alike", "photo-electrons", "noisy", "one plane", "neighbours", "auto", "taken",
            "auto - one", "expected", "true")  # fmt: skip
    lines = [
        (
            row["series"], f"{row['alike']:.2f}", row["photons"],
            *(f"{row[key]:.2f}" for key in ("noisy", "one", "beside", "auto")),
            row["taken"] or "none", f"{row['auto'] - row['one']:+.2f}",
            *("" if row[key] is None else f"{row[key]:.1f}" for key in ("expected", "true")),
        )
        for row in rows
    ]  # fmt: skip
    foot = "Means of PSNR over the planes, dB; rate auto, realism 0. Errors in dB below the noise."
    return "\n\n".join([markdown(head, lines), *(summary(rows, photons) for photons in PHOTONS), foot])


def summary(rows: list[Row], photons: int) -> str:
    """What neighbours are worth at one light, in a sentence.

    Args:
        rows: Rows of ``measure``.
        photons: One of `PHOTONS`.
    """
    found = [row for row in rows if row["photons"] == photons]
    alike = [row["beside"] - row["one"] for row in found if row["alike"] >= ALIKE]
    unlike = [row["auto"] - row["one"] for row in found if row["alike"] < UNLIKE]
    gained, worst = np.mean(alike) if alike else float("nan"), min(unlike, default=float("nan"))
    return (
        f"At {photons} photo-electrons: where neighbours are alike (r >= {ALIKE}), with them against one "
        f"plane, mean of {len(alike)} series {gained:+.2f} dB; where they are not (r < {UNLIKE}), auto, "
        f"worst of {len(unlike)} {worst:+.2f} dB."
    )


def main() -> None:
    """Measure and keep the result."""
    execute("series", measure, parser(__doc__).parse_args())


if __name__ == "__main__":
    main()
