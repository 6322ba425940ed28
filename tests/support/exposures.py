"""Simulated exposures for tests of what is not image: a camera of known gain, offset and read noise."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

GAIN, OFFSET, READ = 2.0, 100.0, 3.0  # counts per photo-electron, counts, counts rms


def light(shape=(160, 160), seed=0, peak=80.0):
    """Photo-electrons of blurred blobs over a dim background."""
    rng = np.random.default_rng([seed, 7])
    field = ndimage.gaussian_filter(rng.random(shape), 8)
    field = np.clip((field - np.quantile(field, 0.7)) / np.ptp(field) * 3, 0, 1)
    return 4 + peak * field


def exposure(seed=0, shape=(160, 160), peak=80.0):
    """Counts, float64, not rounded, and their noise standard deviation."""
    rng, photons = np.random.default_rng(seed), light(shape, seed, peak)
    counts = OFFSET + GAIN * rng.poisson(photons) + rng.normal(0, READ, shape)
    return counts, np.sqrt(READ**2 + GAIN**2 * photons)


def corrected(last=0.2, count=8, shape=(160, 160), dtype="u2"):
    """A series whose light falls to a share of itself, and was made good: noise grows from plane to plane."""
    rng, frames = np.random.default_rng(3), []
    for share in last ** (np.arange(count) / (count - 1)):
        photons = light(shape) * share
        counts = GAIN * rng.poisson(photons) + rng.normal(0, READ, photons.shape)
        frames.append(stored(counts / share + OFFSET, dtype))
    return np.stack(frames)


def stored(counts, dtype):
    """Counts as a file holds them."""
    if np.dtype(dtype).kind == "f":
        return counts.astype(dtype)
    limits = np.iinfo(dtype)
    return np.clip(np.rint(counts), limits.min, limits.max).astype(dtype)
