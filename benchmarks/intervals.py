"""Intervals that hold the truth in 90 % of the pixels: made good on held-out images, tried on others.

*Fit*: real pairs and simulated exposures (a camera as in ``light``) of images that the model was not trained
on give the table for the model's card. *Tried*: published test images, and simulated exposures of their
truths; the share of pixels whose truth lies within, over all, by brightness and by structure (thirds of the
truth, and of its gradient). A published truth is a mean of exposures and has noise of its own, which the
intervals do not tell of: *with the truth's noise* widens them by it. Central crops, rate auto, realism 0, the
noise as a run measures it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.io import imread

from benchmarks.common import execute, load_codec, markdown, parser
from benchmarks.images import SETS, folder_of
from benchmarks.light import CROP, expose
from benchmarks.quality import denoise_one
from napari_rdpdenoise.codec import Codec
from napari_rdpdenoise.codec.interval import IntervalTable, error_in_counts, fit_intervals
from napari_rdpdenoise.codec.structure import returned
from napari_rdpdenoise.metrics import affine_match
from napari_rdpdenoise.nn.decoder_names import FLOW
from napari_rdpdenoise.noise import expected_stabilized

PHOTONS = (10, 50, 500, 5000)
COVERAGE = 0.9
# Folder below the training data, pattern of files that were held out, and every how many of them.
HELD_OUT = (("w2s/clean", "07[26]_?.png", 1), ("w2s/clean", "080_?.png", 1), ("dsb2018", "0[01]*.png", 6))
PAIRS = ("07[26]_?.png", "080_?.png")
Plane = NDArray[Any]
Case = tuple[str, Plane, Plane]
_IN_90 = 1.645  # standard deviations of a Gaussian


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Table of factors and coverage; ``--limit`` takes that many images of each kind."""
    codec = load_codec(options)
    codec.check((FLOW,))
    cases = [_judged(codec, noisy, clean) for _, noisy, clean in _held_out(options.limit)]
    fitted = fit_intervals(
        *zip(*((case["expected"], case["error"]) for case in cases), strict=True), COVERAGE
    )
    truths = {images.name: images.truth_noise for images in SETS}
    rows = [
        {"kind": kind} | _covered(codec, noisy, clean, fitted, truths.get(kind, 0.0))
        for kind, noisy, clean in _tried(options.limit)
    ]
    return {"table": fitted.model_dump(mode="json"), "rows": rows, "fitted_on": len(cases)}


def _held_out(limit: int | None) -> Iterator[Case]:
    data = folder_of("train")
    for pattern in PAIRS:
        for path in sorted((data / "w2s" / "noisy").glob(pattern))[:limit]:
            noisy, clean = imread(path), imread(data / "w2s" / "clean" / path.name)
            yield "pairs", _cropped(noisy), _cropped(affine_match(clean, noisy))
    for folder, pattern, every in HELD_OUT:
        for path in sorted((data / folder).glob(pattern))[::every][:limit]:
            yield from _exposed(folder, imread(path))


def _tried(limit: int | None) -> Iterator[Case]:
    for images in SETS:
        names = images.few() if limit is None else images.names(limit)
        for _, noisy, clean in images.pairs(names):
            yield images.name, _cropped(noisy), _cropped(affine_match(clean, noisy))
    for name, folder, every in (("FMD truth", "fmd/gt", 8), ("W2S truth", "w2s/clean", 8)):
        for path in sorted((folder_of("test") / folder).glob("*.png"))[::every][:limit]:
            yield from _exposed(name, imread(path))


def _exposed(name: str, scene: Plane) -> Iterator[Case]:
    for photons in PHOTONS:
        noisy, clean = expose(_cropped(scene), photons)
        yield f"{name}, {photons} photo-electrons", noisy, clean


def _cropped(image: Plane) -> Plane:
    top, left = (max(0, (n - CROP) // 2) for n in image.shape)
    return image[top : top + CROP, left : left + CROP]


def _judged(codec: Codec, noisy: Plane, clean: Plane) -> dict[str, Any]:
    """Expected and true error of the decode alone, noise standard deviations, and what a run measured."""
    image, report = denoise_one(codec, noisy)
    channel = report.channels[0]
    (latents,) = codec.encode([noisy], codec.fit([noisy], channel.noise), report.rate)
    (decoded,), (expected,) = codec.decode([latents]), codec.expected_error([latents])
    apart = expected_stabilized(decoded.first, channel.noise) - expected_stabilized(clean, channel.noise)
    share = returned(noisy, decoded.first, channel.noise).noise_share if channel.structure else None
    return {
        "image": image, "expected": expected, "error": apart, "share": share, "noise": channel.noise,
    }  # fmt: skip


def _covered(
    codec: Codec, noisy: Plane, clean: Plane, fitted: IntervalTable, truth: float
) -> dict[str, float]:
    found = _judged(codec, noisy, clean)
    width = error_in_counts(
        found["image"], fitted.half_width(found["expected"]), found["noise"], found["share"]
    )
    apart, noise = np.abs(found["image"] - clean), np.sqrt(found["noise"].variance(clean))
    within = apart <= width
    structure = ndimage.gaussian_gradient_magnitude(np.asarray(clean, float), 1.0)
    row = {
        "all": float(within.mean()),
        "with the truth's noise": float(np.mean(apart <= np.hypot(width, _IN_90 * np.sqrt(truth) * noise))),
        "width": float(np.mean(width / noise)),
    }
    for name, order in (("brightness", clean), ("structure", structure)):
        for third, part in enumerate(np.array_split(np.argsort(order, axis=None), 3)):
            row[f"{name} {third}"] = float(within.ravel()[part].mean())
    return row


def table(record: dict[str, Any]) -> str:
    """The result in Markdown."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in record["result"]["rows"]:
        groups.setdefault(row["kind"], []).append(row)
    keys = [key for key in record["result"]["rows"][0] if key not in ("kind", "width")]
    lines = [
        (
            kind,
            str(len(rows)),
            *(f"{100 * np.mean([row[key] for row in rows]):.1f}" for key in keys),
            f"{np.mean([row['width'] for row in rows]):.2f}",
        )
        for kind, rows in groups.items()
    ]
    head = ("% of pixels within", "images", *keys, "mean half width, noise sd")
    return markdown(head, lines)


def main() -> None:
    """Measure and keep the result."""
    execute("intervals", measure, parser(__doc__).parse_args())


if __name__ == "__main__":
    main()
