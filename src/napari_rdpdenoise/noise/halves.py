"""Frames of which one half has other noise than the other: two cameras, or two detectors, side by side.

Image splitters put two colours onto one chip, frames of two cameras are saved as one. Where these have gains
of their own, one noise model fits neither: one half is smoothed too much, the other too little. Both halves
are measured, and compared at the brightnesses that they have in common.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_rdpdenoise.noise.estimate import estimate_noise, tells_noise
from napari_rdpdenoise.noise.model import NoiseModel

_WINDOWS = 4  # of a sample that are looked at
_EDGE = 256  # px of each of their halves
_LEAST = 32  # px, edge of a part that is measured
_PIXELS = 8192  # of a half, at least
_COMMON = (0.05, 0.95)  # quantiles of a half's counts between which brightnesses are compared
_FACTOR = 1.65  # standard deviations, at all of these brightnesses; 1.5 at most in 178 images of one camera
_DOUBT = 0.5  # from which grain of the sample may be what differs


class Halves(NamedTuple):
    """The half of a frame that has more noise, "left", "right", "upper" or "lower", and how many times."""

    noisier: str
    factor: float

    @property
    def words(self) -> str:
        """What it is, and what to do."""
        return (
            f"the {self.noisier} half of the image has {self.factor:.1f} times the noise of the other at "
            "equal brightness, as where two cameras share a frame: one noise model fits not both; cut them "
            "apart before, or save them as channels"
        )


def find_halves(
    windows: Sequence[NDArray[Any]], corners: Sequence[tuple[int, int]], shape: tuple[int, int]
) -> Halves | None:
    """Find out whether the halves of an image have noise of different strength; None where they do not.

    Args:
        windows: 2-D arrays of raw counts of one channel, masked where they are not image.
        corners: Row and column of the first pixel of each in the image.
        shape: Rows and columns of the image.
    """
    step = max(1, -(-len(windows) // _WINDOWS))
    looked_at = list(zip(windows[::step], corners[::step], strict=True))
    for axis, names in ((1, ("left", "right")), (0, ("upper", "lower"))):
        parts = [_parts(window, shape[axis] // 2 - corner[axis], axis) for window, corner in looked_at]
        one, other = ([half[number] for half in parts] for number in (0, 1))
        ratio = _ratio(*([part for part in half if part is not None] for half in (one, other)))
        if ratio is not None and abs(ratio) >= np.log(_FACTOR):
            return Halves(names[0 if ratio > 0 else 1], float(np.exp(abs(ratio))))
    return None


def _parts(window: NDArray[Any], middle: int, axis: int) -> list[NDArray[Any] | None]:
    """What of a window is before the middle of the image, and after it; None where that is little."""
    middle = min(max(middle, 0), window.shape[axis])
    along = window.swapaxes(0, axis)
    halves = (along[max(0, middle - _EDGE) : middle, :_EDGE], along[middle : middle + _EDGE, :_EDGE])
    return [part if min(part.shape) >= _LEAST else None for part in halves]


def _ratio(one: Sequence[NDArray[Any]], other: Sequence[NDArray[Any]]) -> float | None:
    """Logarithm of the noise of one half over that of the other, the least; None where it is not known."""
    values = [_values(half) for half in (one, other)]
    if min(map(len, values)) < _PIXELS:
        return None
    noises = [estimate_noise(half) for half in (one, other)]
    if not all(tells_noise(noise) and noise.doubt < _DOUBT for noise in noises):
        return None
    ratios = _ratios(noises, values)
    if not ratios.size or ratios.min() * ratios.max() <= 0:
        return None
    return float(ratios[np.abs(ratios).argmin()])


def _values(half: Sequence[NDArray[Any]]) -> NDArray[Any]:
    parts = [np.ma.masked_array(part).compressed() for part in half]
    return np.concatenate(parts) if parts else np.zeros(0)


def _ratios(noises: Sequence[NoiseModel], values: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
    ends = np.array([np.quantile(part, _COMMON) for part in values])
    low, high = ends[:, 0].max(), ends[:, 1].min()
    levels = np.linspace(low, high, 5) if low <= high else np.zeros(0)
    levels = levels[levels >= max(noise.offset for noise in noises)]  # below, a line is not seen
    one, other = (noise.variance(levels) for noise in noises)
    return np.asarray(np.log(one / other) / 2)
