"""Pixels that no light made: hot and cold pixels, and the marks of cosmic rays.

Light comes through optics, which spread a point over its neighbours. With ``A`` the height of a pixel above
its surroundings and ``E`` the mean height of the four pixels beside it, light of any origin has ``E / A`` of
at least 0.13, even where the point-spread function is hardly a pixel wide (Gaussian with sigma 0.4 px,
integrated over pixels); 0.36 where it is sampled as it should be. A defect has 0. The same holds for groups
of a few pixels that are at most two wide. Both ways round: cold pixels are below.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_rdpdenoise.noise.model import NoiseModel

STRENGTH = 8.0
"""Noise standard deviations that a defect is above or below its surroundings, at least."""

_CANDIDATE = 5.5  # the same after stabilisation, which makes bright pixels of dim places lower
_SPREAD = 6.0  # the same in standard deviations of the surroundings, where they have structure
_LIGHT, _LIGHT_OF_GROUP = 0.1, 0.05  # E / A below which it was no light
_OF_NOISE = 0.8  # mean of |E| of noise alone, standard deviations
_LARGEST = 12  # px of a group
_SHOULDER = 0.2  # share of its highest neighbour below which a pixel is that one's blur
_FAR, _NEARER = 4, 3  # px to the surroundings; together they bridge a group of twelve
_OF_FAR = 6  # of the 8 pixels at that distance that a defect is beyond

Steps = Sequence[tuple[int, int]]


def _ring(distance: int) -> Steps:
    steps = (-distance, 0, distance)
    return tuple((y, x) for y in steps for x in steps if (y, x) != (0, 0))


_BESIDE = ((0, 1), (0, -1), (1, 0), (-1, 0))


def find_outliers(plane: NDArray[Any], noise: NoiseModel) -> NDArray[np.bool_]:
    """Mark hot and cold pixels and cosmic rays.

    A pixel's mark depends on what is less than 24 px away, so that a tile decides as the whole plane does.

    Args:
        plane: Plane or tile, raw counts, 2-D, finite; invalid regions are filled from their surroundings.
        noise: Noise model of the channel.

    Returns:
        True where a pixel is no image, same shape.
    """
    marked = np.zeros(plane.shape, bool)
    if min(plane.shape) <= 2 * _FAR:
        return marked
    t = _stabilized(plane, noise)
    for sign in (1, -1):
        places = _beyond(t if sign > 0 else -t)
        if places.rows.size:
            _mark(marked, plane, noise, places, sign)
    return marked


def fill_outliers(plane: NDArray[Any], marked: NDArray[np.bool_]) -> NDArray[Any]:
    """A copy with the median of the unmarked pixels up to 2 px away in the place of marked ones.

    Where all of those are marked it is the plane's median.
    """
    places = _Places(*np.nonzero(marked))
    steps = (*_ring(1), *((y, x) for y in range(-2, 3) for x in range(-2, 3) if max(abs(y), abs(x)) == 2))
    around: np.ma.MaskedArray[Any, Any] = np.ma.masked_array(
        _values(plane, places, steps), _values(marked, places, steps)
    )
    levels = np.ma.median(around, axis=0).filled(np.median(plane))
    filled = plane.copy()
    filled[places] = levels if plane.dtype.kind == "f" else np.rint(levels)
    return filled


class _Places(NamedTuple):
    rows: NDArray[np.intp]
    columns: NDArray[np.intp]

    def of(self, which: NDArray[np.bool_]) -> _Places:
        return _Places(self.rows[which], self.columns[which])


def _stabilized(plane: NDArray[Any], noise: NoiseModel) -> NDArray[np.float32]:
    """As `stabilize`, up to a constant, but fast, and linear below zero light, where cold pixels are."""
    z = plane.astype(np.float32)
    z -= np.float32(noise.offset)
    if noise.gain == 0:
        return z / np.float32(noise.read_noise)
    dark = 1.5 + 4 * noise.read_electrons**2
    z *= np.float32(4 / noise.gain)
    below = np.minimum(z, 0) * np.float32(0.5 / np.sqrt(dark))
    np.maximum(z, 0, out=z)
    z += np.float32(dark)
    return np.asarray(np.sqrt(z, out=z) + below)


def _beyond(t: NDArray[np.float32]) -> _Places:
    """Pixels that are above most of those 4 px away; mirrored at the edges."""
    padded = np.pad(t, _FAR, mode="reflect")
    height, width = t.shape
    shifted = [padded[_FAR + y : _FAR + y + height, _FAR + x : _FAR + x + width] for y, x in _ring(_FAR)[:3]]
    # whoever is above 6 of 8 is above one of any three
    lowest = np.minimum(np.minimum(shifted[0], shifted[1]), shifted[2])
    places = _Places(*np.nonzero(t - lowest > _CANDIDATE))
    own = t[places]
    above = np.sum(own - _values(t, places, _ring(_FAR)) > _CANDIDATE, axis=0)
    return places.of(above >= _OF_FAR)


def _mark(
    marked: NDArray[np.bool_], plane: NDArray[Any], noise: NoiseModel, places: _Places, sign: int
) -> None:
    """Set those of some places that are beyond their surroundings and are no light."""
    around = _values(plane, places, (*_ring(_FAR), *_ring(_NEARER)))
    level = np.median(around, axis=0)
    spread = 1.4826 * np.median(np.abs(around - level), axis=0)
    rounding = 0.0 if plane.dtype.kind == "f" else 0.5
    sigma = np.maximum(np.sqrt(noise.variance(level)), rounding)
    amount = sign * (plane[places].astype(np.float64) - level)
    strong = amount > np.maximum(STRENGTH * sigma, _SPREAD * spread)
    places, amount = places.of(strong), amount[strong]
    heights = np.zeros(plane.shape, np.float32)
    heights[places] = amount
    beside = _values(heights, places, _ring(1))
    core = amount > _SHOULDER * beside.max(axis=0, initial=0)
    groups = _Groups(plane, places.of(core), amount[core], level[strong][core], sigma[strong][core])
    found = groups.defects()
    marked[places.of(core).of(found)] = True
    shoulders = places.of(~core)
    marked[shoulders] |= _values(marked, shoulders, _ring(1)).any(axis=0)


class _Groups:
    """Pixels that touch, corners included, taken together."""

    def __init__(
        self,
        plane: NDArray[Any],
        places: _Places,
        amount: NDArray[np.float64],
        level: NDArray[np.float64],
        sigma: NDArray[np.float64],
    ) -> None:
        held = np.zeros(plane.shape, bool)
        held[places] = True
        labels, count = ndimage.label(held, np.ones((3, 3)))
        self._plane, self._places, self._held = plane, places, held
        self._group, self._count = labels[places] - 1, count
        self._size = np.bincount(self._group, minlength=count)
        self._amount, self._level, self._sigma = (self._mean(v) for v in (amount, level, sigma))

    def defects(self) -> NDArray[np.bool_]:
        """By place: whether its group is no light."""
        if self._count == 0:
            return np.zeros(0, bool)
        wide = np.bincount(self._group, _values(self._held, self._places, _BESIDE).all(axis=0), self._count)
        light = np.where(self._size == 1, _LIGHT, _LIGHT_OF_GROUP) * self._amount
        dark = self._light_beside() < light + _OF_NOISE * self._sigma
        fine = dark & (wide == 0) & (self._size <= _LARGEST)
        return np.asarray(fine[self._group])

    def _light_beside(self) -> NDArray[np.float64]:
        """Mean distance from the level of the pixels beside each group, counts."""
        outside = ~_values(self._held, self._places, _BESIDE)
        distance = np.abs(_values(self._plane, self._places, _BESIDE) - self._level[self._group])
        total = np.bincount(self._group, np.sum(distance * outside, axis=0), self._count)
        return np.asarray(total / np.bincount(self._group, outside.sum(axis=0), self._count))

    def _mean(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.bincount(self._group, values, self._count) / self._size)


def _values(plane: NDArray[Any], places: _Places, steps: Steps) -> NDArray[Any]:
    """Values some steps from each place, mirrored at the edges: (steps, places), float64 or bool."""
    height, width = plane.shape
    rows = [_mirrored(places.rows + y, height) for y, _ in steps]
    columns = [_mirrored(places.columns + x, width) for _, x in steps]
    parts = [plane[place] for place in zip(rows, columns, strict=True)]
    return np.array(parts, bool if plane.dtype == bool else np.float64)


def _mirrored(positions: NDArray[np.intp], length: int) -> NDArray[np.intp]:
    return np.asarray(length - 1 - np.abs(length - 1 - np.abs(positions)))
