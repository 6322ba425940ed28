"""The classical methods beside ours. All take raw counts and give raw counts (float)."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import RESULTS, load, save
from benchmarks.images import TestSet
from napari_rdpdenoise import noise as noise_module
from napari_rdpdenoise.metrics import affine_match, psnr
from napari_rdpdenoise.noise import NoiseModel, estimate_noise, stabilize, unstabilize

Plane = NDArray[np.generic]
Scores = dict[str, dict[str, float]]  # of images by name
Judge = Callable[[Plane, Plane, Plane], dict[str, float]]  # of (image, clean, noisy)


@dataclass(frozen=True)
class Peer:
    """One method.

    Attributes:
        name: as in the tables.
        denoise: of (noisy, clean, threads), gives the plane, or the plane and further numbers to keep; only a
            method that is told the truth looks at the clean image.
        few: whether only some images are done, because it is slow.
        version: other text, other results: kept ones are not used.
        every: of those images, only every so many: it takes minutes for each.
        sets: test sets it is run on; empty for all.
    """

    name: str
    denoise: Callable[[Plane, Plane, int], Plane | tuple[Plane, dict[str, float]]]
    few: bool
    version: str
    every: int = 1
    sets: tuple[str, ...] = ()


def _gaussian(sigma: float) -> Callable[[Plane, Plane, int], Plane]:
    def denoise(noisy: Plane, _clean: Plane, _threads: int) -> Plane:
        from scipy.ndimage import gaussian_filter

        return gaussian_filter(noisy.astype(np.float64), sigma)

    return denoise


def _nlm(noisy: Plane, _clean: Plane, _threads: int) -> Plane:
    """Non-local means where our estimate makes the noise's sigma 1; h = 0.8 sigma as skimage advises."""
    from skimage.restoration import denoise_nl_means

    model = estimate_noise([noisy])
    t = stabilize(noisy, model).astype(np.float64)
    smooth = denoise_nl_means(t, patch_size=5, patch_distance=6, h=0.8, sigma=1.0, fast_mode=True)
    return unstabilize(smooth, model)


def _bm3d_blind(noisy: Plane, _clean: Plane, threads: int) -> Plane:
    model = estimate_noise([noisy])
    return unstabilize(_bm3d(stabilize(noisy, model).astype(np.float64), threads), model)


def _bm3d_told(noisy: Plane, clean: Plane, threads: int) -> Plane:
    """The noise line is fitted from the pair itself, which nobody has in practice."""
    model = true_line(noisy.astype(np.float64), affine_match(clean, noisy))
    # the asymptotic inverse: the exact one needs a read noise, which a fitted line need not have
    a, t = model[0], _bm3d(_stabilize_line(noisy.astype(np.float64), model), threads)
    return ((a * t / 2) ** 2 - 0.375 * a * a - model[1]) / a + a / 4


def true_line(noisy: NDArray[np.float64], clean: NDArray[np.float64]) -> tuple[float, float]:
    """Slope and intercept of the variance over the clean value, in 40 bins of equal filling, counts."""
    edges = np.quantile(clean, np.linspace(0, 1, 41))
    means, variances = [], []
    for low, high in pairwise(edges):
        inside = (clean >= low) & (clean <= high)
        if inside.sum() > 500:
            means.append(clean[inside].mean())
            variances.append(((noisy - clean)[inside] ** 2).mean())
    slope, intercept = np.polyfit(means, variances, 1, w=1 / np.sqrt(np.array(variances) + 1e-9))
    return max(float(slope), 1e-3), float(intercept)


def _stabilize_line(noisy: NDArray[np.float64], line: tuple[float, float]) -> NDArray[np.float64]:
    a, b = line
    return 2 / a * np.sqrt(np.maximum(a * noisy + 0.375 * a * a + b, 0))


def _bm3d(t: NDArray[np.float64], threads: int) -> NDArray[np.float64]:
    """BM3D of an image whose noise has variance 1."""
    from bm3d import BM3DProfile, bm3d

    profile = BM3DProfile()
    profile.num_threads = threads
    low, span = t.min(), np.ptp(t) + 1e-9
    return np.asarray(bm3d((t - low) / span, 1 / span, profile)) * span + low


def _jpeg2000(noisy: Plane, clean: Plane, _threads: int) -> tuple[Plane, dict[str, float]]:
    """Lossy JPEG 2000 of the stabilised image, at the error that comes closest to the clean image.

    Compression as denoising (Natarajan 1995). The error asked of the coder is in noise standard deviations,
    searched among ``_ERRORS`` and then between the best one's neighbours.
    """
    model, reference = estimate_noise([noisy]), affine_match(clean, noisy)
    t = stabilize(noisy, model).astype(np.float64)
    tried: dict[float, tuple[float, Plane, float]] = {}

    def attempt(error: float) -> None:
        coded, bpp = _through_jpeg2000(t, error)
        image = unstabilize(coded, model)
        tried[error] = (psnr(image, reference, 255.0), image, bpp)

    for error in _ERRORS:
        attempt(error)
    for _ in range(2):
        errors = sorted(tried)
        place = int(np.argmax([tried[e][0] for e in errors]))
        for a, b in pairwise(errors[max(place - 1, 0) : place + 2]):
            attempt((a + b) / 2)
    best = max(tried, key=lambda e: tried[e][0])
    return tried[best][1], {"bpp": tried[best][2], "error_in_noise_sd": best}


def _through_jpeg2000(t: NDArray[np.float64], error: float) -> tuple[NDArray[np.float64], float]:
    """There and back with a root mean square error of about ``error``; and bits per pixel."""
    from imagecodecs import jpeg2k_decode, jpeg2k_encode

    low, span = float(t.min()), float(np.ptp(t)) + 1e-9
    whole = np.round((t - low) / span * 65535).astype(np.uint16)
    coded = jpeg2k_encode(whole, level=20 * np.log10(span / error), codecformat="j2k", reversible=False)
    return jpeg2k_decode(coded) / 65535 * span + low, 8 * len(coded) / t.size


def peer_scores(
    peer: Peer,
    images: TestSet,
    names: list[str],
    options: argparse.Namespace,
    judge: Judge,
    needed: frozenset[str] = frozenset(),
) -> Scores:
    """Scores of a peer; those kept in ``peers.json`` are not computed again unless some ``needed`` lack."""
    file = options.out / "peers.json"
    kept = load(file) or load(RESULTS / "peers.json") or {}
    found = kept.setdefault(images.name, {}).setdefault(peer.name, {})
    if found.get("version") != peer.version:
        found = kept[images.name][peer.name] = {"version": peer.version, "images": {}}
    known = found["images"]
    for name, noisy, clean in images.pairs([n for n in names if n not in known or needed - set(known[n])]):
        began = time.monotonic()
        made = peer.denoise(noisy, clean, options.threads)
        seconds = time.monotonic() - began
        image, more = made if isinstance(made, tuple) else (made, {})
        row = known[name] = {"seconds": seconds} | more | judge(image, clean, noisy)
        print(images.name, peer.name, name, f"{row['psnr']:.2f} dB, {seconds:.1f} s", flush=True)
        if not options.limit:
            save(file, kept)
    return {name: known[name] for name in names}


def model_line(model: NoiseModel) -> tuple[float, float]:
    """Slope and intercept of a noise model's variance line."""
    return model.gain, model.read_noise**2 - model.gain * model.offset


_SOURCES = sorted(Path(noise_module.__file__).parent.glob("*.py"))
ESTIMATE_VERSION = blake2b(b"".join(path.read_bytes() for path in _SOURCES), digest_size=4).hexdigest()
_ERRORS = (0.5, 0.7, 0.85, 0.95, 1.0, 1.05, 1.2)  # noise standard deviations
PEERS = (
    Peer("noisy", lambda noisy, _clean, _threads: noisy.astype(np.float64), False, "1"),
    Peer("Gaussian, sigma 1", _gaussian(1), False, "1"),
    Peer("Gaussian, sigma 2", _gaussian(2), False, "1"),
    Peer("NLM, our noise estimate", _nlm, True, f"1 {ESTIMATE_VERSION}"),
    Peer("VST+BM3D, our noise estimate", _bm3d_blind, True, f"1 {ESTIMATE_VERSION}"),
    Peer("VST+BM3D, told the true noise line", _bm3d_told, True, "1"),
)
JPEG2000 = Peer("VST+JPEG 2000, rate chosen with the clean image", _jpeg2000, True, f"1 {ESTIMATE_VERSION}")
