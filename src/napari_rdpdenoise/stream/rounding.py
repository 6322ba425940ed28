"""Whether whole counts are fine enough for a result: rounding must not add more than a tenth of the noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_rdpdenoise.noise import NoiseModel

_ERROR = math.sqrt(0.1)  # counts rms that rounding to whole counts adds, see `io.rounding`
_SHARE = 0.1  # of the noise
_NONE = 0.01  # counts, less is no noise but a computed image


def rounding_doubt(windows: Sequence[NDArray[Any]], noise: NoiseModel, dtype: np.dtype) -> str:
    """What to tell of rounding a result to ``dtype``, in words; empty where it loses nothing that matters.

    Args:
        windows: Sample of the channel, counts.
        noise: Noise model of the channel.
        dtype: Number type of the output.
    """
    if not any(np.ma.count(window) for window in windows):  # nothing of it is denoised
        return ""
    level = noise_level(windows, noise)
    if all(window.min() == window.max() for window in windows):  # blank: what noise there is nobody has seen
        return ""
    if dtype.kind == "f" or level < _NONE or level * _SHARE >= _ERROR:
        return ""
    return (
        f"the noise of {level:.2g} counts is near the step of {dtype.name}: whole counts add an error of "
        f"{_ERROR:.1f} counts, though no light is lost; float32 keeps the fractions (--dtype float32, or "
        "auto; Output type under More)"
    )


def noise_level(windows: Sequence[NDArray[Any]], noise: NoiseModel) -> float:
    """Noise at half of the mean light of an image, counts rms: that of its darker parts."""
    values = np.concatenate([np.ma.compressed(window) for window in windows])
    values = values[np.isfinite(values)]
    light = max(0.0, float(values.mean(dtype=np.float64)) - noise.offset) if values.size else 0.0
    return float(np.sqrt(noise.variance(noise.offset + light / 2)))
