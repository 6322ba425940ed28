"""Noise that grows or falls along a series, which no single noise model fits.

Correction for bleaching or for depth multiplies each plane by a number of its own, and with it the noise; so
does a detector whose gain is changed from plane to plane. Light that fades by itself does not: noise then
follows the brightness as one model says. So each plane's own noise is set against the model of all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_rdpdenoise.noise.estimate import estimate_noise
from napari_rdpdenoise.noise.model import NoiseModel

_EDGE = 256  # px of each window that are looked at
_LEAST = 5  # planes
_PIXELS = 4096  # of a window, at least
_STEADY = 0.9  # rank correlation of noise and place along the axis
_FACTOR = 1.6  # of the standard deviation from one end to the other


@dataclass(frozen=True)
class Trend:
    """How noise changes along a series.

    Attributes:
        axis: Axis of the planes' places along which it does.
        factor: Noise standard deviation at the last planes over that at the first, at equal brightness.
    """

    axis: int
    factor: float

    @property
    def words(self) -> str:
        """What it is, and what to do."""
        ends = ("last", "first") if self.factor > 1 else ("first", "last")
        times = max(self.factor, 1 / self.factor)
        return (
            f"the noise of the {ends[0]} planes is about {times:.1f} times that of the {ends[1]} ones at "
            "equal brightness, as after a correction for bleaching or depth, or where the gain was changed: "
            "one noise model fits neither; denoise the series as it was recorded and correct it "
            "afterwards, or give its planes as files of their own"
        )


def find_trend(
    windows: Sequence[NDArray[Any]], places: Sequence[tuple[int, ...]], noise: NoiseModel
) -> Trend | None:
    """Find out whether noise grows or falls steadily along a series; None where it does not.

    Args:
        windows: 2-D arrays of raw counts of one channel, masked where they are not image.
        places: Places of their planes in the series, one number an axis.
        noise: Noise model of the channel.
    """
    if len(set(places)) < _LEAST:
        return None
    found = [_relative(window, noise) for window in windows]
    known = [(place, ratio) for place, ratio in zip(places, found, strict=True) if ratio is not None]
    if len(known) < _LEAST:
        return None
    ratios = np.array([ratio for _, ratio in known])
    for axis, along in enumerate(np.array([place for place, _ in known]).T):
        if len(set(along)) < _LEAST:
            continue
        ranks = [np.unique(numbers, return_inverse=True)[1] for numbers in (along, ratios)]
        steady = abs(float(np.corrcoef(*ranks)[0, 1])) >= _STEADY
        first, last = (ratios[along <= np.quantile(along, 0.25)], ratios[along >= np.quantile(along, 0.75)])
        factor = float(np.exp((last.mean() - first.mean()) / 2))
        if steady and max(factor, 1 / factor) >= _FACTOR:
            return Trend(axis, factor)
    return None


def _relative(window: NDArray[Any], noise: NoiseModel) -> float | None:
    """Logarithm of a window's noise variance over the model's, at its own brightness; None for too little."""
    rows, columns = (slice((n - min(n, _EDGE)) // 2, (n + min(n, _EDGE)) // 2) for n in window.shape)
    part = window[rows, columns]
    values = np.asarray(np.ma.masked_array(part).compressed(), np.float64)
    if values.size < _PIXELS or values.min() == values.max():
        return None
    own, levels = estimate_noise([part]), np.quantile(values, (0.2, 0.4, 0.6, 0.8))
    if own.notes:  # clipped, counted photons, no line: a plane alone says too little
        return None
    return float(np.mean(np.log(own.variance(levels) / noise.variance(levels))))
