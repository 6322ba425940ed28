"""Samples of the flow decoder: the plane of its two constraints, its steps, and the other decoders beside it.

All images are decoded from the same latents (rate auto) of central crops of published test images. *Changed*
is the share of the symbols that are not 0 which differ when the result is encoded again; *features* the
Fréchet distance between AlexNet's features (second layer, every place a sample) of results and clean images,
a distance of its own that no published table has. *Seconds*: CPU seconds over those of one fidelity decode.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from benchmarks.common import execute, load_codec, markdown, parser
from benchmarks.images import SETS, TestSet
from benchmarks.light import CROP
from benchmarks.quality import backbones, denoise_one
from napari_rdpdenoise.codec import Codec, Latents
from napari_rdpdenoise.codec.idempotence import encode_again
from napari_rdpdenoise.metrics import affine_match, lpips, psnr
from napari_rdpdenoise.metrics.perceptual import load_lpips
from napari_rdpdenoise.nn.decoder_names import FIDELITY, FLOW, REALISM
from napari_rdpdenoise.nn.decoders.place import Place
from napari_rdpdenoise.nn.decoders.sampling import Sampling

STRENGTHS = (0.0, 0.5, 1.0)  # of the two constraints
WAYS: dict[str, tuple[str, Sampling]] = {
    "fidelity": (FIDELITY, Sampling()),
    "realism": (REALISM, Sampling()),
    **{f"sample, {n} steps, rho 0.9": (FLOW, Sampling(n)) for n in (1, 2, 3, 8)},
    "sample, 3 steps, rho 0": (FLOW, Sampling(3, rho=0.0)),
    "mean of 8 samples, rho 0": (FLOW, Sampling(3, rho=0.0, samples=8)),
    **{
        f"kd {kd:g}, kp {kp:g}": (FLOW, Sampling(3, kd, kp))
        for kd in STRENGTHS
        for kp in STRENGTHS
        if kd or kp
    },
    "kd 0, kp 1, true gradient": (FLOW, Sampling(3, 0.0, 1.0, exact=True)),
}
Plane = NDArray[Any]
Row = dict[str, float]


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Scores of every way of decoding and set; ``--limit`` takes that many images of each."""
    codec = load_codec(options)
    codec.check((FLOW,))
    return {images.name: _set(codec, images, options.limit) for images in SETS}


def _set(codec: Codec, images: TestSet, limit: int | None) -> dict[str, Row]:
    names = images.few() if limit is None else images.names(limit)
    rows: dict[str, list[Row]] = {way: [] for way in WAYS}
    features: dict[str, list[Plane]] = {way: [] for way in WAYS}
    truths: list[Plane] = []
    for name, noisy, clean in images.pairs(names):
        noisy, clean = (_cropped(part) for part in (noisy, affine_match(clean, noisy)))
        latents = _encoded(codec, noisy)
        truths.append(_features(clean, clean))
        for way, (decoder, sampling) in WAYS.items():
            row, image = _row(codec, latents, decoder, sampling, clean)
            rows[way].append(row)
            features[way].append(_features(image, clean))
        print(images.name, name, {w: round(r[-1]["psnr"], 2) for w, r in rows.items()}, flush=True)
    means = {
        way: {key: float(np.mean([r[key] for r in found])) for key in found[0]} for way, found in rows.items()
    }
    for way, row in means.items():
        row["features"] = _frechet(np.concatenate(features[way]), np.concatenate(truths))
        row["seconds"] /= means["fidelity"]["seconds"] if way != "fidelity" else 1.0
    means["fidelity"]["seconds"] = 1.0
    return means


def _encoded(codec: Codec, noisy: Plane) -> Latents:
    """Latents at the rate and noise that a run chooses, without neighbours."""
    _, report = denoise_one(codec, noisy)
    (latents,) = codec.encode([noisy], codec.fit([noisy], report.channels[0].noise), report.rate)
    return latents


def _row(codec: Codec, latents: Latents, decoder: str, sampling: Sampling, clean: Plane) -> tuple[Row, Plane]:
    start = time.process_time()
    (decoded,) = codec.decode([latents], (decoder,), [Place(1)], sampling)
    seconds = time.process_time() - start
    image = decoded.first
    again = encode_again(codec, latents, image)
    row = {
        "psnr": psnr(image, clean, 255.0),
        "lpips": lpips(image, clean, folder=backbones()),
        "changed": again.changed_share_of_occupied,
        "seconds": seconds,
    }
    return row, image


def _cropped(image: Plane) -> Plane:
    top, left = (max(0, (n - CROP) // 2) for n in image.shape)
    return image[top : top + CROP, left : left + CROP]


def _features(image: Plane, clean: Plane) -> Plane:
    """Features (places, channels) of an image, displayed as LPIPS is given it."""
    import torch

    top = float(np.percentile(clean, 99.9))
    shown = torch.from_numpy(np.clip(image / top, 0, 1).astype(np.float32))[None, None]
    with torch.no_grad():
        _, second, *_ = load_lpips("alex", backbones()).features(shown)
    return np.asarray(second[0].flatten(1).T, dtype=np.float64)


def _frechet(left: Plane, right: Plane) -> float:
    """Squared Fréchet distance of the Gaussians of two sets (samples, dimensions)."""
    a, b = np.cov(left.T), np.cov(right.T)
    root = linalg.sqrtm(a @ b)
    apart = left.mean(0) - right.mean(0)
    return float(apart @ apart + np.trace(a + b - 2 * np.real(root)))


def table(record: dict[str, Any]) -> str:
    """The result in Markdown."""
    parts = []
    for name, rows in record["result"].items():
        lines = [
            (
                way,
                f"{row['psnr']:.2f}",
                f"{row['lpips']:.3f}",
                f"{row['features']:.3f}",
                f"{100 * row['changed']:.1f} %",
                f"{row['seconds']:.1f}",
            )
            for way, row in rows.items()
        ]
        parts.append(markdown((name, "PSNR, dB", "LPIPS", "features", "changed", "seconds"), lines))
    return "\n\n".join(parts)


def main() -> None:
    """Measure and keep the result."""
    execute("samples", measure, parser(__doc__).parse_args())


if __name__ == "__main__":
    main()
