"""Pixels that no light made: hot and cold pixels, and the marks of cosmic rays.

Light comes through optics, which spread a point over its neighbours. With ``A`` the height of a pixel above
its surroundings and ``E`` the mean height of the four pixels beside it, light of any origin has ``E / A`` of
at least 0.13, even where the point-spread function is hardly a pixel wide (Gaussian with sigma 0.4 px,
integrated over pixels); 0.36 where it is sampled as it should be. A defect has 0. The same holds for groups
of a few pixels that are at most two wide, and for whole columns and rows of the sensor, one pixel wide and
of any length. Both ways round: cold pixels are below.

How far beyond its surroundings a defect has to be, a sample of the series decides (`outlier_limit`): where
noise has a long tail, or the sample itself has single pixels that stand out, the limit is higher.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import scipy
from numpy.typing import NDArray

from napari_rdpdenoise.noise.model import NoiseModel
from napari_rdpdenoise.noise.numbers import places_of_few
from napari_rdpdenoise.noise.tabled import all_integers, is_tabled, looked_up

STRENGTH = 8.0
"""Noise standard deviations that a defect is above or below its surroundings, at least."""

_CANDIDATE = 5.5  # the same after stabilisation, which makes bright pixels of dim places lower
_SPREAD = 6.0  # the same in standard deviations of the surroundings, where they have structure
_LIGHT, _LIGHT_OF_GROUP = 0.1, 0.05  # E / A below which it was no light
_OF_NOISE = 0.8  # mean of |E| of noise alone, standard deviations
_OF_NOISE_SIGNED = 0.25  # half a standard deviation of the mean of four pixels of noise
_LARGEST = 12  # px of a group
_SHOULDER = 0.2  # share of its highest neighbour below which a pixel is that one's blur
_ALONG, _LINE = 8, 9  # px up and down a line that are looked at, and how many of them stand out at least
_OF_NOISE_OF_LINE = 0.5  # noise of the mean of what is beside these, standard deviations: three times that
_FAR, _NEARER = 4, 3  # px to the surroundings; together they bridge a group of twelve
_ROWS = 64  # that are looked at together: what a processor's cache holds
_OF_FAR = 6  # of the 8 pixels at that distance that a defect is beyond
_FINEST, _HIGHEST = 64.0, 16000.0  # steps of a standard deviation, and steps, of integers of 16 bits
_CUT = 2.0  # steps by which differences of numbers cut to integers are off, at most

Steps = Sequence[tuple[int, int]]


def _ring(distance: int) -> Steps:
    steps = (-distance, 0, distance)
    return tuple((y, x) for y in steps for x in steps if (y, x) != (0, 0))


_BESIDE = ((0, 1), (0, -1), (1, 0), (-1, 0))


class Outstanding(NamedTuple):
    """Pixels of a plane that stand out from their surroundings.

    Attributes:
        height: Height above (or below) the surroundings, in units of the least height of a defect, by noise.
        single: Whether the pixel, or its small group, stands alone as a defect does.
        beside: Mean height of the four pixels beside it over its own, E / A.
    """

    height: NDArray[np.float64]
    single: NDArray[np.bool_]
    beside: NDArray[np.float64]


def find_outliers(plane: NDArray[Any], noise: NoiseModel, limit: float = 1.0) -> NDArray[np.bool_]:
    """Mark hot and cold pixels and cosmic rays.

    A pixel's mark depends on what is less than 24 px away, so that a tile decides as the whole plane does.

    Args:
        plane: Plane or tile, raw counts, 2-D, finite; invalid regions are filled from their surroundings.
        noise: Noise model of the channel.
        limit: Least height of a defect in units of that by noise alone (`outlier_limit`); infinite for none.

    Returns:
        True where a pixel is no image, same shape.
    """
    marked = np.zeros(plane.shape, bool)
    if min(plane.shape) <= 2 * _FAR or limit == np.inf:
        return marked
    for sign, strong in _all_strong(plane, noise, limit):
        if strong.places.rows.size:
            marked[strong.places.of(_defects(plane, strong, sign) | _lines(plane, strong, sign))] = True
    return marked


def find_outstanding(plane: NDArray[Any], noise: NoiseModel, limit: float) -> Outstanding:
    """Heights of all pixels that stand out by a limit, defects or not; arguments as of `find_outliers`.

    Lines of the sensor are left out: they are no texture, and as high as it happens.
    """
    found = [Outstanding(np.empty(0), np.empty(0, bool), np.empty(0))]
    if min(plane.shape) > 2 * _FAR:
        for sign, strong in _all_strong(plane, noise, limit):
            strong = strong.of(~_lines(plane, strong, sign))
            beside = _values(plane, strong.places, _BESIDE).mean(axis=0) - strong.level
            single = _defects(plane, strong, sign)
            found.append(Outstanding(strong.height, single, sign * beside / strong.amount))
    return Outstanding(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


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
    if is_tabled(plane):
        return looked_up(plane, _all_stabilized(noise.gain, noise.offset, noise.read_noise, plane.dtype.name))
    return _computed(plane, noise)


@lru_cache(maxsize=16)
def _all_stabilized(gain: float, offset: float, read_noise: float, dtype: str) -> NDArray[np.float32]:
    """Stabilised values of all integers of a type of at most 16 bits, by their bits."""
    return _computed(all_integers(dtype), NoiseModel(gain, offset, read_noise))


def _computed(plane: NDArray[Any], noise: NoiseModel) -> NDArray[np.float32]:
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


class _Strong(NamedTuple):
    """Pixels beyond their surroundings: height in units of the limit; amount, level and noise in counts."""

    places: _Places
    height: NDArray[np.float64]
    amount: NDArray[np.float64]
    level: NDArray[np.float64]
    sigma: NDArray[np.float64]

    def of(self, which: NDArray[np.bool_]) -> _Strong:
        return _Strong(self.places.of(which), *(part[which] for part in self[1:]))


def _all_strong(plane: NDArray[Any], noise: NoiseModel, limit: float) -> Iterator[tuple[int, _Strong]]:
    """Pixels beyond their surroundings, those above (1) and those below (-1)."""
    t = _stabilized(plane, noise)
    for sign, numbers in zip((1, -1), _apart(t, limit * _CANDIDATE), strict=True):
        yield sign, _strong(plane, t, noise, (sign, limit), _Places(*np.divmod(numbers, t.shape[1])))


def _apart(t: NDArray[np.float32], least: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Pixels above, and below, both of at least two of four pairs of opposite ones 4 px away: their numbers.

    Whoever is beyond 6 of the 8 is, mirrored at the edges; the slope of an edge, beyond one of each pair, is
    not. Some may be among them that are not quite.
    """
    levels, least = _coarse(t, least)
    padded = np.pad(levels, _FAR, mode="reflect")
    height, width = t.shape
    above, below = [], []
    for start in range(0, height, _ROWS):
        rows = min(_ROWS, height - start)
        here = levels[start : start + rows]
        ring = [
            padded[_FAR + start + y : _FAR + start + y + rows, _FAR + x : _FAR + x + width]
            for y, x in _ring(_FAR)
        ]
        high = _second([np.maximum(ring[i], ring[-1 - i]) for i in range(4)], np.minimum, np.maximum)
        above.append(_numbers(np.subtract(here, high, out=high) > least) + start * width)
        low = _second([np.minimum(ring[i], ring[-1 - i]) for i in range(4)], np.maximum, np.minimum)
        below.append(_numbers(np.subtract(low, here, out=low) > least) + start * width)
    return np.concatenate(above), np.concatenate(below)


def _numbers(at: NDArray[np.bool_]) -> NDArray[np.intp]:
    rows, columns = places_of_few(at)
    return rows * at.shape[1] + columns


def _second(pairs: list[NDArray[Any]], nearer: np.ufunc, further: np.ufunc) -> NDArray[Any]:
    """The second of four by a way to take the first or the second of two; they are overwritten."""
    one, two, three, four = pairs
    second = further(nearer(one, two), nearer(three, four))  # of the four, with what follows
    nearer(second, further(one, two, out=one), out=second)
    return np.asarray(nearer(second, further(three, four, out=three), out=second))


def _coarse(t: NDArray[np.float32], least: float) -> tuple[NDArray[Any], float]:
    """Stabilised values in integers of 16 bits, and the least difference of those that are apart by one.

    Those are compared four times faster; as they are where they reach too far for it.
    """
    reach = max(float(t.max(initial=0)), -float(t.min(initial=0)), 1.0)
    scale = min(_FINEST, _HIGHEST / reach)
    if not scale * least > 2 * _CUT:
        return t, least
    levels = np.empty(t.shape, np.int16)
    for start in range(0, len(t), _ROWS):
        part = slice(start, start + _ROWS)
        levels[part] = (t[part] * np.float32(scale)).astype(np.int32)
    return levels, math.floor(least * scale - _CUT)


def _strong(
    plane: NDArray[Any], t: NDArray[np.float32], noise: NoiseModel, than: tuple[int, float], places: _Places
) -> _Strong:
    """Which of some pixels are beyond their surroundings by noise and by the structure of these.

    They are above (or below) most of those 4 px away, mirrored at the edges.
    """
    sign, limit = than
    above = np.sort(sign * (t[places] - _values(t, places, _ring(_FAR))), axis=0)[-_OF_FAR]
    beyond = above > limit * _CANDIDATE
    places, above = places.of(beyond), above[beyond]
    around = _values(plane, places, (*_ring(_FAR), *_ring(_NEARER)))
    level = np.median(around, axis=0)
    spread = 1.4826 * np.median(np.abs(around - level), axis=0)
    rounding = 0.0 if plane.dtype.kind == "f" else 0.5
    sigma = np.maximum(np.sqrt(noise.variance(level)), rounding)
    amount = sign * (plane[places].astype(np.float64) - level)
    height = np.minimum(above / _CANDIDATE, amount / (STRENGTH * sigma))
    return _Strong(places, height, amount, level, sigma).of((height > limit) & (amount > _SPREAD * spread))


def _defects(plane: NDArray[Any], strong: _Strong, sign: int) -> NDArray[np.bool_]:
    """Which of the pixels that stand out are no light."""
    heights = np.zeros(plane.shape, np.float32)
    heights[strong.places] = strong.amount
    beside = _values(heights, strong.places, _ring(1))
    core = strong.amount > _SHOULDER * beside.max(axis=0, initial=0)
    found = np.zeros(core.shape, bool)
    found[core] = _Groups(plane, strong.of(core), sign).defects()
    marked = np.zeros(plane.shape, bool)
    marked[strong.places.of(found)] = True
    shoulders = strong.places.of(~core)
    found[~core] = _values(marked, shoulders, _ring(1)).any(axis=0)
    return found


def _lines(plane: NDArray[Any], strong: _Strong, sign: int) -> NDArray[np.bool_]:
    """Which of the pixels that stand out are of a column or row with nothing of it beside.

    Each is judged by what is at most `_ALONG` px away along the line.
    """
    found = np.zeros(strong.amount.shape, bool)
    if found.size < _LINE:
        return found
    held = np.zeros(plane.shape, bool)
    held[strong.places] = True
    for axis in (0, 1):
        along = [(d, 0) if axis == 0 else (0, d) for d in range(-_ALONG, _ALONG + 1)]
        straight = _values(held, strong.places, along).sum(axis=0) >= _LINE
        line = strong.of(straight)
        if not line.amount.size:
            continue
        across = {d: _across(plane, line.places, along, axis, d) for d in (-4, -3, -1, 0, 1, 3, 4)}
        level = np.mean([across[d] for d in (-4, -3, 3, 4)], axis=0)
        height = sign * (across[0] - level)
        beside = np.abs(np.mean([across[-1], across[1]], axis=0) - level)  # slopes cancel
        place = line.places[1 - axis]
        inside = (place > 0) & (place < plane.shape[1 - axis] - 1)  # an edge has one side only
        dark = beside < _LIGHT_OF_GROUP * height + _OF_NOISE_OF_LINE * line.sigma
        found[np.flatnonzero(straight)[inside & dark]] = True
    return found


def _across(
    plane: NDArray[Any], places: _Places, along: Steps, axis: int, distance: int
) -> NDArray[np.float64]:
    """Means along a line of the pixels so far from it."""
    steps = [(y, x + distance) if axis == 0 else (y + distance, x) for y, x in along]
    return np.asarray(_values(plane, places, steps).mean(axis=0))


class _Groups:
    """Pixels that touch, corners included, taken together."""

    def __init__(self, plane: NDArray[Any], strong: _Strong, sign: int) -> None:
        held = np.zeros(plane.shape, bool)
        held[strong.places] = True
        self._plane, self._places, self._held, self._sign = plane, strong.places, held, sign
        self._count, self._group = _touching(strong.places, plane.shape[1])
        self._size = np.bincount(self._group, minlength=self._count)
        self._amount, self._level, self._sigma = (
            self._mean(values) for values in (strong.amount, strong.level, strong.sigma)
        )

    def defects(self) -> NDArray[np.bool_]:
        """By place: whether its group is no light."""
        if self._count == 0:
            return np.zeros(0, bool)
        wide = np.bincount(self._group, _values(self._held, self._places, _BESIDE).all(axis=0), self._count)
        light = np.where(self._size == 1, _LIGHT, _LIGHT_OF_GROUP) * self._amount
        either, above = self._beside()
        dark = (either < light + _OF_NOISE * self._sigma) & (above < light + _OF_NOISE_SIGNED * self._sigma)
        fine = dark & (wide == 0) & (self._size <= _LARGEST)
        return np.asarray(fine[self._group])

    def _beside(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean distance from the level of the pixels beside each group, counts; and towards the group's."""
        outside = ~_values(self._held, self._places, _BESIDE)
        distance = (_values(self._plane, self._places, _BESIDE) - self._level[self._group]) * outside
        count = np.bincount(self._group, outside.sum(axis=0), self._count)
        either, above = (
            np.bincount(self._group, part.sum(axis=0), self._count) / count
            for part in (np.abs(distance), self._sign * distance)
        )
        return either, above

    def _mean(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.bincount(self._group, values, self._count) / self._size)


def _touching(places: _Places, width: int) -> tuple[int, NDArray[np.intp]]:
    """How many groups of pixels touch, corners included, and each pixel's: of a few, in any order."""
    count = len(places.rows)
    pitch = width + 2  # so that the ends of two rows do not touch
    numbers = places.rows * pitch + places.columns
    order = np.argsort(numbers)
    ends = []
    for step in (1, pitch - 1, pitch, pitch + 1):
        found = np.searchsorted(numbers, numbers + step, sorter=order)
        beside = order[np.minimum(found, count - 1)] if count else order
        ends.append(np.stack([np.arange(count), beside])[:, numbers[beside] == numbers + step])
    pairs = np.concatenate(ends, axis=1)
    graph = scipy.sparse.coo_array((np.ones(pairs.shape[1], bool), tuple(pairs)), (count, count))
    groups, group = scipy.sparse.csgraph.connected_components(graph, directed=False)
    return int(groups), group.astype(np.intp)


def _values(plane: NDArray[Any], places: _Places, steps: Steps) -> NDArray[Any]:
    """Values some steps from each place, mirrored at the edges: (steps, places), float64 or bool."""
    height, width = plane.shape
    rows = [_mirrored(places.rows + y, height) for y, _ in steps]
    columns = [_mirrored(places.columns + x, width) for _, x in steps]
    parts = [plane[place] for place in zip(rows, columns, strict=True)]
    return np.array(parts, bool if plane.dtype == bool else np.float64)


def _mirrored(positions: NDArray[np.intp], length: int) -> NDArray[np.intp]:
    return np.asarray(length - 1 - np.abs(length - 1 - np.abs(positions)))
