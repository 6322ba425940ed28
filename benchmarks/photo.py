"""Photographs: Kodak's 24 with Gaussian noise, by the protocols of the published tables.

Noise of standard deviation 25 is added to the colours, unclipped, from one generator (seed 101) through the
set; methods are told how much it is. "PSNR" is that of the unclipped result, as in the tables of
GanDeCompress and OTDenoising; "8 bits" that of the result clipped and rounded, as in those of the
self-supervised methods (Neighbor2Neighbor, Blind2Unblind), which repeat it ten times. SSIM (mean over the
colours) and LPIPS (AlexNet, colours together) are of the 8-bit result.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import napari_rdpdenoise as rdp
from benchmarks.common import RESULTS, data_folder, execute, load, load_codec, markdown, parser
from benchmarks.quality import backbones
from napari_rdpdenoise.cache import LatentCache
from napari_rdpdenoise.codec import Codec
from napari_rdpdenoise.metrics import MetricUnavailable, psnr, ssim
from napari_rdpdenoise.metrics.perceptual import load_lpips

BM3D = "BM3D (colour, told the noise)"
JPEG_2000 = "JPEG 2000 (colour, at its best rate, which is told)"
PEERS = (BM3D, JPEG_2000)
ERRORS = (1.0, 1.05, 1.1, 1.15, 1.2, 1.3)  # of JPEG 2000, in standard deviations of the noise
SIGMA = 25.0
SEED = 101

Picture = NDArray[np.float32]  # (rows, columns, 3), 0 to 255
Method = Callable[
    [Picture, Picture], Picture
]  # noisy and clean picture to the denoised one; clean for oracles

OURS: dict[str, dict[str, Any]] = {
    "ours, each colour alone": {"neighbours": "none"},
    "ours": {},
    "ours, ensemble of 4": {"ensemble": 4},
    "ours, realism 1": {"realism": 1.0},
    "ours, flow, rho 0": {"decoder": "flow", "rho": 0.0},
    "ours, flow, rho 0.9": {"decoder": "flow", "rho": 0.9},
}


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Scores by method and picture, and seconds."""
    codec, cache = load_codec(options), LatentCache(folder=None)
    methods: dict[str, Method] = {"noisy": lambda noisy, _: noisy}
    kept = load(RESULTS / "photo.json") if options.ours_only else None
    if not options.ours_only:
        methods |= {BM3D: _bm3d, JPEG_2000: _jpeg_2000}
    for name, changes in () if options.peers_only else OURS.items():
        if {"realism": "realism", "decoder": "flow"}.get(
            next(iter(changes), ""), "fidelity"
        ) in codec.decoders:
            methods[name] = partial(_ours, codec, cache, changes)
    result: dict[str, Any] = {name: {} for name in methods}
    for name, clean, noisy in pictures(options.limit):
        for method, denoise in methods.items():
            began = time.process_time()
            image = denoise(noisy, clean)
            result[method][name] = judge(image, clean) | {"cpu_seconds": time.process_time() - began}
        print(name, {m: round(rows[name]["psnr"], 2) for m, rows in result.items()}, flush=True)
    peers = {name: rows for name, rows in (kept["result"] if kept else {}).items() if name in PEERS}
    scores = {
        peer: {name: row for name, row in rows.items() if name in result["noisy"]}
        for peer, rows in peers.items()
    }
    return {"noisy": result.pop("noisy"), **scores, **result}


def pictures(limit: int | None = None) -> Iterator[tuple[str, Picture, Picture]]:
    """Name, clean and noisy picture, one after the other; always with the same noise."""
    from skimage.io import imread

    folder = data_folder()
    if folder is None:
        raise FileNotFoundError(
            "images: expected data/photo in the folder that RDPDENOISE_DATA names, found none; set it"
        )
    rng = np.random.default_rng(SEED)
    for path in sorted((folder / "data" / "photo" / "kodak24").glob("*.png"))[:limit]:
        clean = imread(path)[..., :3].astype(np.float32)
        yield path.name, clean, (clean + rng.normal(0, SIGMA, clean.shape)).astype(np.float32)


def _ours(codec: Codec, cache: LatentCache, changes: dict[str, Any], noisy: Picture, _: Picture) -> Picture:
    given = {"camera": (0.0, 0.0, SIGMA), "axes": "YXS", **changes}
    return rdp.denoise(noisy, model=codec, cache=cache, **given)


def _bm3d(noisy: Picture, _: Picture) -> Picture:
    from bm3d import bm3d_rgb

    return np.asarray(bm3d_rgb(noisy.astype(np.float64) / 255, SIGMA / 255) * 255, dtype=np.float32)


def _jpeg_2000(noisy: Picture, clean: Picture) -> Picture:
    """The decode of least error among several rates: what compression alone can reach."""
    from imagecodecs import jpeg2k_decode, jpeg2k_encode

    low, span = float(noisy.min()), float(np.ptp(noisy))
    whole = np.round((noisy - low) / span * 65535).astype(np.uint16)
    decodes = []
    for error in ERRORS:
        level = 20 * np.log10(span / (error * SIGMA))
        coded = jpeg2k_encode(whole, level=level, codecformat="j2k", reversible=False, mct=True)
        decodes.append((jpeg2k_decode(coded) / 65535 * span + low).astype(np.float32))
    return max(decodes, key=lambda image: psnr(image, clean, 255.0))


def judge(image: Picture, clean: Picture) -> dict[str, float]:
    """All scores of one picture; LPIPS is left out where its network is not on this machine."""
    shown = np.round(np.clip(image, 0, 255))
    found = {
        "psnr": psnr(image, clean, 255.0),
        "psnr_8_bit": psnr(shown, clean, 255.0),
        "ssim": float(np.mean([ssim(shown[..., k], clean[..., k], 255.0) for k in range(3)])),
    }
    with suppress(MetricUnavailable):
        network = load_lpips(folder=backbones())
        first, second = (
            torch.from_numpy(np.moveaxis(i, -1, 0)[None] / np.float32(255)) for i in (shown, clean)
        )
        with torch.inference_mode():
            found["lpips"] = float(network(first, second))
    return found


def table(record: dict[str, Any]) -> str:
    """The result in Markdown."""
    rows = []
    for method, scores in record["result"].items():
        values = list(scores.values())
        numbers = [
            f"{np.mean([v[key] for v in values]):.{digits}f}"
            if all(key in v for v in values)
            else "unavailable"
            for key, digits in (("psnr", 2), ("psnr_8_bit", 2), ("ssim", 4), ("lpips", 3), ("cpu_seconds", 1))
        ]
        rows.append((method, str(len(values)), *numbers))
    header = ("Kodak, sigma 25", "pictures", "PSNR dB", "8 bits dB", "SSIM", "LPIPS", "CPU s")
    return markdown(header, rows)


if __name__ == "__main__":
    options = parser(__doc__.splitlines()[0])
    options.add_argument(
        "--ours-only", action="store_true", help="take the others' from the results that are kept"
    )
    options.add_argument(
        "--peers-only", action="store_true", help="noisy pictures and the other methods alone"
    )
    execute("photo", measure, options.parse_args())
