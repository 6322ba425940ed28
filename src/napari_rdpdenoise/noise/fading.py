"""Images that fade softly to one value: multiplied by a mask with smooth edges, their offset with them.

Beside such a mask counts are below any that the camera makes, and so is their noise: it falls as fast as the
counts do. One noise model for both is wrong for the image. A sample tells: away from a region of its smallest
value the counts rise to those of the rest, nearly as evenly along the region's edge as the rest is, and noise
in proportion to them. Light that fades to black does neither: it has its own brightness at each place of an
edge, and noise that falls with its root at most.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import scipy
from numpy.typing import NDArray

from napari_rdpdenoise.noise.constant import solid
from napari_rdpdenoise.noise.numbers import filterable

_REGION = 400  # px of the value, over the sample
_DARK, _BRIGHT, _VALUES = (
    0.02,
    0.9,
    65536,
)  # of the way to a quantile, below which pixels are of it; px for that
_FURTHEST = 192  # px from a region that are looked at
_LEAST, _RINGS = 200, 4  # px of a ring, and rings by which a fade is judged
_END = 0.95  # of the counts further out, at which it ends
_PART = (0.15, 0.85)  # of them, between which it is judged
_SLOPE = (0.78, 1.25)  # of the logarithm of noise against that of counts
_EVEN = 4.0  # spread of counts along a ring, relative to them, over that further out, at most
_NOISE = 0.3  # noise over counts further out, at most: an offset is in them
_LEFT = 0.1  # share of the sample that must remain
_STEPS = 1.0  # smallest noise of a ring that tells, steps of whole numbers
_OF_NORMAL = 1.4826


class _Ring(NamedTuple):
    """Median of counts above the value, quartile distance and noise of the pixels as far from a region."""

    level: float
    spread: float
    noise: float


def find_fading(windows: Sequence[NDArray[Any]]) -> list[NDArray[np.bool_]] | None:
    """Where a sample fades to a region of its smallest value, by window, the region with it.

    Args:
        windows: 2-D arrays of raw counts of one channel, any real dtype.

    Returns:
        None where it does not.
    """
    shown = [filterable(np.asarray(window)) for window in windows if min(window.shape, default=0) > 2]
    finite = [window[np.isfinite(window)] for window in shown]
    if not any(part.size for part in finite):
        return None
    value = min(float(part.min()) for part in finite if part.size)
    bright = max(
        float(np.quantile(part[:: max(1, part.size // _VALUES)], _BRIGHT)) for part in finite if part.size
    )
    dark = value + _DARK * (bright - value)
    if sum(int((part <= dark).sum()) for part in finite) < _REGION:
        return None
    regions = [solid(window <= dark) for window in windows]
    if sum(int(region.sum()) for region in regions) < _REGION:
        return None
    far = [_distance(region) for region in regions]
    width = _width(_Sample.of(windows, far, value))
    return None if width is None else [distance <= width for distance in far]


def _distance(region: NDArray[np.bool_]) -> NDArray[np.float64]:
    if not region.any():
        return np.full(region.shape, np.inf)
    return np.asarray(scipy.ndimage.distance_transform_edt(~region))


class _Sample(NamedTuple):
    """Pixels of a sample in the order of their distances (px): counts above the value, second differences."""

    distance: NDArray[np.float64]
    counts: NDArray[np.float64]
    high: NDArray[np.float64]
    step: float

    @classmethod
    def of(cls, windows: Sequence[NDArray[Any]], far: Sequence[NDArray[np.float64]], value: float) -> _Sample:
        parts = []
        for window, distance in zip(windows, far, strict=True):
            image = window.astype(np.float64)
            high = scipy.ndimage.convolve1d(scipy.ndimage.convolve1d(image, [1, -2, 1], 0), [1, -2, 1], 1) / 6
            known = np.isfinite(image) & np.isfinite(high) & (distance > 0)
            parts.append(np.stack([distance[known], image[known] - value, high[known]]))
        pixels = np.concatenate(parts, axis=1)
        distance, counts, high = pixels[:, np.argsort(pixels[0], kind="stable")]
        whole = all(window.dtype.kind != "f" for window in windows)
        return cls(distance, counts, high, 1.0 if whole else 0.0)

    def ring(self, start: int, stop: int) -> _Ring:
        low, middle, high = np.quantile(self.counts[start:stop], [0.25, 0.5, 0.75])
        noise = _OF_NORMAL * float(np.median(np.abs(self.high[start:stop])))
        return _Ring(float(middle), float(high - low), noise)


def _width(sample: _Sample) -> float | None:
    """How far the fade goes, px; None where there is none."""
    ends = np.searchsorted(sample.distance, np.arange(_FURTHEST + 1), side="right")
    rings: list[_Ring] = []
    for width, (start, stop) in enumerate(pairwise(ends), 1):
        left = sample.distance.size - stop
        if stop - start < _LEAST or left < max(_LEAST, _LEFT * sample.distance.size):
            return None
        rings.append(sample.ring(int(start), int(stop)))
        if width % 4 and width > 16:  # what is further out is looked at now and then, as it takes its time
            continue
        beyond = sample.ring(int(stop), sample.distance.size)
        if beyond.level <= 0:
            return None
        if rings[-1].level >= _END * beyond.level:
            return float(width) if _fades(rings, beyond, sample.step) else None
    return None


def _fades(rings: Sequence[_Ring], beyond: _Ring, step: float) -> bool:
    """Whether counts and noise rise together, and evenly, to those of the rest."""
    low, high = (part * beyond.level for part in _PART)
    judged = [ring for ring in rings if low <= ring.level <= high and ring.noise > _STEPS * step]
    if len(judged) < _RINGS or not 0 < beyond.noise <= _NOISE * beyond.level:
        return False
    levels, noises = (np.log([getattr(ring, name) for ring in judged]) for name in ("level", "noise"))
    slope = float(np.polyfit(levels, noises, 1)[0])
    spreads = np.array([ring.spread / ring.level for ring in judged])
    even = np.median(spreads) <= _EVEN * beyond.spread / beyond.level
    return bool(
        _SLOPE[0] <= slope <= _SLOPE[1] and even and (np.diff([r.level for r in rings]) >= 0).mean() > 0.9
    )
