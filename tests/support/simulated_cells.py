"""Bright cells on dark ground, and a camera that takes them: what tests of fine-tuning learn from."""

from __future__ import annotations

import numpy as np
from scipy import ndimage


def cells(seed, shape=(176, 96), blur=2.0):
    """A scene without noise, counts from 100 to 3100 at a light of 1."""
    spots = (np.random.default_rng(seed).random(shape) > 0.985).astype(float)
    image = ndimage.gaussian_filter(spots, blur)
    return 3000 * image / image.max() + 100


def camera(scene, light, seed=0):
    """An exposure in uint16 counts: 4 per photo-electron, offset 100, read noise of 2 counts."""
    rng = np.random.default_rng(seed)
    counts = 100 + 4 * rng.poisson((scene - 100) * light) + rng.normal(0, 2, scene.shape)
    return np.round(counts).astype(np.uint16)
