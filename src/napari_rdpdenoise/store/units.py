"""Counts <-> noise standard deviations, exactly invertible: the scale in which residuals are quantised.

``t = 2 sqrt(p + 3/8 + s**2)`` as in `noise`, for ``p`` photo-electrons and read noise ``s``. Below the
offset, ``p < 0``, where the square root ends, it goes on as a straight line of the same slope: dark pixels,
half of which are below the offset, keep their values too.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_rdpdenoise.noise import NoiseModel


def to_units(z: NDArray[Any], noise: NoiseModel) -> NDArray[np.float64]:
    """Counts in noise standard deviations, of the same shape; rising strictly."""
    counts = np.asarray(z, np.float64) - noise.offset
    if noise.gain == 0:
        return counts / noise.read_noise
    p, dark = counts / noise.gain, _dark(noise)
    return np.where(p < 0, 2 * np.sqrt(dark) + p / np.sqrt(dark), 2 * np.sqrt(np.maximum(p, 0) + dark))


def to_counts(t: NDArray[np.float64], noise: NoiseModel) -> NDArray[np.float64]:
    """Inverse of `to_units`."""
    if noise.gain == 0:
        return t * noise.read_noise + noise.offset
    dark = _dark(noise)
    start = 2 * np.sqrt(dark)
    p = np.where(t < start, (t - start) * np.sqrt(dark), np.square(np.maximum(t, start)) / 4 - dark)
    return p * noise.gain + noise.offset


def _dark(noise: NoiseModel) -> float:
    return 0.375 + noise.read_electrons**2
