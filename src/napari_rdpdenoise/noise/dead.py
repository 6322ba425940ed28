"""Dead pixels on bright structure, whose surroundings a few pixels away are as dark as they are.

Such a pixel lies far below every one of the eight around it. Where light itself has a hole, it rises
slowly from the middle: optics make every minimum round, so that from the first ring to the second it rises
further than from the middle to the first. Beside a dead pixel the light goes on as if it were not there.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_rdpdenoise.noise.model import NoiseModel
from napari_rdpdenoise.noise.numbers import filterable, places_of_few

BELOW = 6.0
"""Noise standard deviations below the darkest of the pixels around it."""

LIGHT = 0.5
"""Share of the light of that one, at most."""

SAFE = 0.999
"""Share of a limit that is not to be exact."""

_ROWS = 64  # that are looked at together: what a processor's cache holds
_FURTHER = ((-2, 0), (2, 0), (0, -2), (0, 2))


class Dips(NamedTuple):
    """Pixels below all of the eight around them.

    Attributes:
        rows: Their rows.
        columns: Their columns.
        depth: Depth below the darkest of the eight, in units of the least depth of a defect, by noise.
        dead: Whether the pixel has hardly any light and the light beside it does not know of it.
    """

    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    depth: NDArray[np.float64]
    dead: NDArray[np.bool_]


def find_dips(plane: NDArray[Any], noise: NoiseModel, limit: float) -> Dips:
    """Pixels far below all around them, dead or not; arguments as of `find_dead`."""
    plane = filterable(plane)
    # most pixels that are below all around them are so by noise: none of these is looked at further
    rows, columns, around = _below(plane, max(0.0, SAFE * limit * BELOW * noise.read_noise))
    here, beside = plane[rows, columns].astype(np.float64), around.astype(np.float64)
    depth = (beside - here) / (BELOW * np.sqrt(noise.variance(beside)))
    deep = depth > limit
    rows, columns, (depth, here, beside) = rows[deep], columns[deep], np.stack([depth, here, beside])[:, deep]
    padded = np.pad(plane, 2, mode="reflect")
    first, second = (
        np.mean([padded[rows + 2 + y, columns + 2 + x] for y, x in steps], axis=0, dtype=np.float64)
        for steps in ([(y // 2, x // 2) for y, x in _FURTHER], _FURTHER)
    )
    dark = here - noise.offset < LIGHT * (beside - noise.offset)
    return Dips(rows, columns, depth, dark & (beside - here > second - first))


def _below(plane: NDArray[Any], least: float) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[Any]]:
    """Pixels further than so many counts below all around them: rows, columns, and the least around each."""
    found = []
    padded = np.pad(plane, 1, mode="reflect")
    for start in range(0, len(plane), _ROWS):
        here, around = plane[start : start + _ROWS], _least_around(padded[start : start + _ROWS + 2])
        if plane.dtype.kind == "u":
            gap, least = np.subtract(around, np.minimum(around, here)), math.floor(least)
        else:
            gap = around.astype(np.float64) - here
        rows, columns = places_of_few(gap > least)
        found.append((rows + start, columns, around[rows, columns]))
    rows, columns, levels = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return rows, columns, levels


def _least_around(padded: NDArray[Any]) -> NDArray[Any]:
    """The least of the eight pixels around each but those at the edges."""
    beside = np.minimum(padded[:, :-2], padded[:, 2:])
    of_three = np.minimum(beside, padded[:, 1:-1])
    least = np.minimum(of_three[:-2], of_three[2:])
    return np.minimum(least, beside[1:-1], out=least)


def find_dead(plane: NDArray[Any], noise: NoiseModel, limit: float = 1.0) -> NDArray[np.bool_]:
    """Mark single pixels that are dark amid light.

    A pixel's mark depends on what is up to 2 px away.

    Args:
        plane: Plane or tile, raw counts, 2-D, finite.
        noise: Noise model of the channel.
        limit: Least depth of a defect in units of that by noise alone (`dead_limit`); infinite for none.

    Returns:
        True where a pixel is no image, same shape.
    """
    found = np.zeros(plane.shape, bool)
    if min(plane.shape) > 4 and limit != np.inf:
        dips = find_dips(plane, noise, limit)
        found[dips.rows[dips.dead], dips.columns[dips.dead]] = True
    return found


def fill_dead(plane: NDArray[Any], dead: NDArray[np.bool_]) -> NDArray[Any]:
    """A copy in which dead pixels are what the eight around them lead to, on a slope or a ridge as well."""
    rows, columns = np.nonzero(dead)
    padded = np.pad(plane, 1, mode="reflect").astype(np.float64)
    straight, slanted = (
        np.stack([padded[rows + 1 + y, columns + 1 + x] for y, x in steps])
        for steps in (((-1, 0), (1, 0), (0, -1), (0, 1)), ((-1, -1), (-1, 1), (1, -1), (1, 1)))
    )
    around = np.concatenate([straight, slanted])
    levels = straight.mean(0) * 2 - slanted.mean(0)  # blind to slopes and ridges along rows or columns
    levels = np.clip(levels, around.min(0), around.max(0))
    filled = plane.copy()
    filled[rows, columns] = levels if plane.dtype.kind == "f" else np.rint(levels)
    return filled
