"""Fluorescent nuclei with Gaussian noise: what stands in for the "mouse nuclei" of the published tables.

Those images are not at hand. Taken are the nuclei among the test images of FMD (means of 50 exposures by
three microscopes), 8 bits, with noise of standard deviation 10 and 20 added unclipped from one generator
through the set. Methods are told how much it is. PSNR is of the unclipped result, range 255; SSIM and LPIPS
(AlexNet, the plane as three equal colours) of the result clipped and rounded.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

import napari_rdpdenoise as rdp
from benchmarks.common import execute, load_codec, markdown, parser
from benchmarks.images import folder_of
from benchmarks.photo import judge
from napari_rdpdenoise.cache import LatentCache
from napari_rdpdenoise.codec import Codec

SIGMAS = (10.0, 20.0)
SEED = 101
NAMES = "*BPAE_B*.png"  # the nuclei of bovine cells, by confocal, two-photon and wide-field microscopes
PUBLISHED = {10.0: (33.03, 0.8052, 0.044), 20.0: (30.59, 0.8028, 0.073)}  # GanDeCompress, mouse nuclei

Plane = NDArray[np.float32]
OURS: dict[str, dict[str, Any]] = {
    "ours": {},
    "ours, realism 1": {"realism": 1.0},
    "ours, flow, rho 0.9": {"decoder": "flow", "rho": 0.9},
}


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Mean scores by noise, method and image."""
    codec, cache = load_codec(options), LatentCache(folder=None)
    methods: dict[str, Callable[[Plane, float], Plane]] = {"noisy": lambda noisy, _: noisy, "BM3D": _bm3d}
    methods |= {name: partial(_ours, codec, cache, changes) for name, changes in OURS.items()}
    result: dict[str, Any] = {}
    for sigma in SIGMAS:
        rows: dict[str, Any] = {name: {} for name in methods}
        for name, clean, noisy in planes(sigma, options.limit):
            for method, denoise in methods.items():
                rows[method][name] = judge(_in_colour(denoise(noisy, sigma)), _in_colour(clean))
            print(sigma, name, {m: round(row[name]["psnr"], 2) for m, row in rows.items()}, flush=True)
        result[f"{sigma:g}"] = rows
    return result


def planes(sigma: float, limit: int | None = None) -> Iterator[tuple[str, Plane, Plane]]:
    """Name, clean and noisy plane, one after the other; always with the same noise."""
    from skimage.io import imread

    rng = np.random.default_rng(SEED)
    for path in sorted((folder_of("test") / "fmd" / "gt").glob(NAMES))[:limit]:
        clean = imread(path).astype(np.float32)
        yield path.name, clean, (clean + rng.normal(0, sigma, clean.shape)).astype(np.float32)


def _ours(codec: Codec, cache: LatentCache, changes: dict[str, Any], noisy: Plane, sigma: float) -> Plane:
    return rdp.denoise(noisy, model=codec, cache=cache, camera=(0.0, 0.0, sigma), axes="YX", **changes)


def _bm3d(noisy: Plane, sigma: float) -> Plane:
    from bm3d import bm3d

    return np.asarray(bm3d(noisy.astype(np.float64) / 255, sigma / 255) * 255, dtype=np.float32)


def _in_colour(plane: Plane) -> Plane:
    return np.stack([plane] * 3, axis=-1)


def table(record: dict[str, Any]) -> str:
    """The result in Markdown."""
    rows = []
    for sigma, methods in record["result"].items():
        for method, scores in methods.items():
            values = list(scores.values())
            numbers = [
                f"{np.mean([v[key] for v in values]):.{digits}f}"
                if all(key in v for v in values)
                else "unavailable"
                for key, digits in (("psnr", 2), ("ssim", 4), ("lpips", 3))
            ]
            rows.append((sigma, method, str(len(values)), *numbers))
        psnr_there, ssim_there, lpips_there = PUBLISHED[float(sigma)]
        there = f"{psnr_there:.2f}", f"{ssim_there:.4f}", f"{lpips_there:.3f}"
        rows.append((sigma, "GanDeCompress as published, mouse nuclei", "-", *there))
    return markdown(("sigma", "method", "images", "PSNR dB", "SSIM", "LPIPS"), rows)


if __name__ == "__main__":
    execute("nuclei", measure, parser(__doc__.splitlines()[0]).parse_args())
