"""How far does one bright thing reach? Discs of light in simulated exposures, and what changes elsewhere.

A disc with soft edges, which is light and stays in the image, is put into the middle of an exposure. The same
exposure without it is denoised as well; the table says how much the two results differ around the disc, in
standard deviations of the noise there, as root mean square and as maximum of all pixels that are so far from
its edge. Noise is told, the rate is given, so that nothing but the way through the codec differs. For
comparison single pixels are changed by one standard deviation of their own noise, at eight places: what
roundings of latents that turn over come to, which no filling can avoid, since nobody knows what noise a
filled pixel had.

    python benchmarks/reach.py [--limit 1]
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.common import execute, load_codec, markdown, parser
from napari_rdpdenoise.codec import Codec

SIZE = 384  # px
GAIN, OFFSET, READ = 2.0, 100.0, 3.0  # counts per photo-electron, counts, counts rms
STRENGTHS = (10, 100, 1000, 10_000)  # noise standard deviations of the background
RADII = (1, 2, 5, 10)  # px
DISTANCES = (8, 16, 32, 64)  # px from the edge of the disc, up to the next
RATE = 0.6
PLACES = 8  # of single pixels that are changed
Image = NDArray[Any]


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Changes by seed, strength and radius."""
    codec = load_codec(options)
    return {"rows": [row for seed in range(options.limit or 2) for row in _rows(codec, seed)]}


def _rows(codec: Codec, seed: int) -> Iterator[dict[str, Any]]:
    light = _light(seed)
    rng = np.random.default_rng(seed)
    counts = OFFSET + GAIN * rng.poisson(light) + rng.normal(0, READ, light.shape)
    sigma = np.sqrt(READ**2 + GAIN**2 * light)
    expected = denoised(codec, counts)
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE // 2 - 7.0)
    away = np.hypot(y, x)
    for row, column in rng.integers(64, SIZE - 64, (PLACES, 2)):
        there = np.hypot(*(np.mgrid[:SIZE, :SIZE] - np.array([row, column])[:, None, None]))
        pixel = counts + (there == 0) * sigma
        yield {"strength": 1, "radius": 0} | _changes(denoised(codec, pixel) - expected, sigma, there)
    for radius in RADII:
        disc = ndimage.gaussian_filter((away <= radius).astype(float), 1.0)
        for strength in STRENGTHS:
            added = disc / disc.max() * strength * float(sigma.min())
            bright = counts + GAIN * rng.poisson(added / GAIN)
            change = denoised(codec, bright) - expected
            yield {"strength": strength, "radius": radius} | _changes(change, sigma, away - radius)


def _light(seed: int) -> Image:
    """Photo-electrons of blurred blobs over a dim background."""
    field = ndimage.gaussian_filter(np.random.default_rng([seed, 7]).random((SIZE, SIZE)), 8)
    field = np.clip((field - np.quantile(field, 0.7)) / np.ptp(field) * 3, 0, 1)
    return np.asarray(4 + 80 * field)


def denoised(codec: Codec, counts: Image) -> Image:
    """Result in float32 of an image whose noise is told."""
    from napari_rdpdenoise import denoise

    image = np.clip(np.rint(counts), 0, 65535).astype(np.uint16)
    camera = (GAIN, OFFSET, READ)
    return denoise(image, model=codec, rate=RATE, camera=camera, neighbours="none", dtype="float32")


def _changes(change: Image, sigma: Image, away: Image) -> dict[str, list[float]]:
    parts = [
        np.abs(change / sigma)[(away >= low) & (away < high)]
        for low, high in zip(DISTANCES, (*DISTANCES[1:], np.inf), strict=True)
    ]
    return {
        "rms": [float(np.sqrt(np.mean(part**2))) for part in parts],
        "most": [float(part.max()) for part in parts],
    }


def table(record: dict[str, Any]) -> str:
    """Root mean square and maximum by strength and radius, over the seeds."""
    rows = record["result"]["rows"]
    kinds = sorted({(row["radius"], row["strength"]) for row in rows})
    lines = []
    for radius, strength in kinds:
        same = [row for row in rows if (row["radius"], row["strength"]) == (radius, strength)]
        rms = np.sqrt(np.mean(np.square([row["rms"] for row in same]), axis=0))
        most = np.max([row["most"] for row in same], axis=0)
        name = f"{radius} px, {strength} noise sd" if radius else f"one pixel, {strength} noise sd"
        lines.append((name, *(f"{a:.3f} / {b:.2f}" for a, b in zip(rms, most, strict=True))))
    names = [f"{low} to {high} px" for low, high in itertools.pairwise(DISTANCES)]
    head = ("disc: radius, strength", *names, f"from {DISTANCES[-1]} px on")
    return "rms / maximum of the change, in noise standard deviations\n\n" + markdown(head, lines)


def main() -> None:
    """Measure and keep the result."""
    execute("reach", measure, parser(__doc__).parse_args())


if __name__ == "__main__":
    main()
