"""Two to four dead pixels that touch, amid light: pairs in a row or a column, and squares of four.

They are told as single ones are (`dead`): the brightest of the group lies far below the darkest pixel around
it and has hardly any light, and the light beside it does not know of the hole. Optics make every minimum
round: from the first ring around it to the second it still rises by a good part of its depth.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_rdpdenoise.noise.dead import BELOW, LIGHT, SAFE, Dips
from napari_rdpdenoise.noise.model import NoiseModel
from napari_rdpdenoise.noise.numbers import filterable, places_of_few

_SHAPES = (1, 2), (2, 1), (2, 2)
_STEEP = 4.0  # times the rise from the first ring to the second
_MARGIN = 2  # px around a group that are looked at
_ROWS = 64  # that are looked at together: what a processor's cache holds


def find_dip_groups(plane: NDArray[Any], noise: NoiseModel, limit: float) -> Dips:
    """Groups of pixels far below all around them, dead or not: each pixel of them.

    Args:
        plane: Plane or tile, raw counts, 2-D, finite, at least 5 x 5 px.
        noise: Noise model of the channel.
        limit: Least depth of a defect in units of that by noise alone.
    """
    plane = filterable(plane)
    rows, columns, lowest = _corners(plane, max(0.0, SAFE * limit * BELOW * noise.read_noise))
    may_be = _may_be_deep(plane[rows, columns].astype(np.float64), lowest.astype(np.float64), noise, limit)
    rows, columns = rows[may_be], columns[may_be]
    if not rows.size:
        return Dips(rows, columns, np.zeros(0), np.zeros(0, bool))
    padded = np.pad(plane, (_MARGIN, _MARGIN + 1), mode="reflect")
    found = [_of_shape(plane, padded, (rows, columns), shape, noise) for shape in _SHAPES]
    y, x = (np.concatenate([getattr(dips, name) for dips in found]) for name in ("rows", "columns"))
    depth, dead = (np.concatenate([getattr(dips, name) for dips in found]) for name in ("depth", "dead"))
    deep = depth > limit
    return Dips(y[deep], x[deep], depth[deep], dead[deep])


def find_dead_groups(plane: NDArray[Any], noise: NoiseModel, limit: float = 1.0) -> NDArray[np.bool_]:
    """Mark groups of two to four pixels that are dark amid light.

    A pixel's mark depends on what is up to 3 px away.

    Args:
        plane: Plane or tile, raw counts, 2-D, finite.
        noise: Noise model of the channel.
        limit: Least depth of a defect in units of that by noise alone (`dead_limit`); infinite for none.

    Returns:
        True where a pixel is no image, same shape.
    """
    found = np.zeros(plane.shape, bool)
    if min(plane.shape) > 4 and limit != np.inf:
        dips = find_dip_groups(plane, noise, limit)
        found[dips.rows[dips.dead], dips.columns[dips.dead]] = True
    return found


def _may_be_deep(
    here: NDArray[np.float64], lowest: NDArray[np.float64], noise: NoiseModel, limit: float
) -> NDArray[np.bool_]:
    """Whether a group that begins at some pixels may be deep: in bright images hardly any, by their noise.

    The brightest of a group is no darker than its first pixel, and what is darkest around it no brighter than
    the three pixels that are known. The darker that is, the less is the depth, but also the noise: of all
    that it may be, either the offset or the brightest makes the largest depth.
    """
    found = np.zeros(here.shape, bool)
    for beside in (lowest, np.minimum(lowest, noise.offset)):
        found |= beside - here > SAFE * limit * BELOW * np.sqrt(noise.variance(beside))
    return found


def _corners(plane: NDArray[Any], least: float) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[Any]]:
    """Pixels further than so many counts below the three above and left of them, as a group's first is.

    Rows, columns, and the least of those three for each.
    """
    found = []
    padded = np.pad(plane, ((1, 0), (1, 0)), mode="reflect")
    for start in range(0, len(plane), _ROWS):
        here, around = plane[start : start + _ROWS], padded[start : start + _ROWS + 1]
        lowest = np.minimum(np.minimum(around[:-1, :-1], around[:-1, 1:]), around[1:, :-1])
        if plane.dtype.kind == "u":
            gap: NDArray[Any] = np.subtract(lowest, np.minimum(lowest, here))
            least = math.floor(least)
        else:
            gap = lowest.astype(np.float64) - here
        rows, columns = places_of_few(gap > least)
        found.append((rows + start, columns, lowest[rows, columns]))
    rows, columns, levels = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return rows, columns, levels


def _of_shape(
    plane: NDArray[Any],
    padded: NDArray[Any],
    corners: tuple[NDArray[np.intp], NDArray[np.intp]],
    shape: tuple[int, int],
    noise: NoiseModel,
) -> Dips:
    """Each pixel of the groups of a shape that begin at some of the corners."""
    height, width = shape
    rows, columns = corners
    inside = (rows + height <= plane.shape[0]) & (columns + width <= plane.shape[1])
    rows, columns = rows[inside], columns[inside]
    steps = [(y, x) for y in range(-2, height + 2) for x in range(-2, width + 2)]
    far = np.array([_distance(y, height) + 1j * _distance(x, width) for y, x in steps])
    ring = np.maximum(far.real, far.imag)
    values = np.array(
        [padded[rows + y + _MARGIN, columns + x + _MARGIN] for y, x in steps], np.float64
    ).reshape(len(steps), -1)
    top, beside = values[ring == 0].max(0), values[ring == 1].min(0)
    depth = (beside - top) / (BELOW * np.sqrt(noise.variance(beside)))
    straight = far.real * far.imag == 0
    first, second = (values[(ring == number) & straight].mean(0) for number in (1, 2))
    dead = (top - noise.offset < LIGHT * (beside - noise.offset)) & (beside - top > _STEEP * (second - first))
    every = [(y, x) for y in range(height) for x in range(width)]
    return Dips(
        np.concatenate([rows + y for y, _ in every]),
        np.concatenate([columns + x for _, x in every]),
        np.tile(depth, len(every)),
        np.tile(dead, len(every)),
    )


def _distance(step: int, length: int) -> int:
    """Pixels from a step to a stretch that begins at 0."""
    return max(-step, step - length + 1, 0)
