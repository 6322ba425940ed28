"""Dead pixels on bright structure, whose surroundings a few pixels away are as dark as they are.

Such a pixel lies far below every one of the eight around it. Where light itself has a hole, it rises
slowly from the middle: optics make every minimum round, so that from the first ring to the second it rises
further than from the middle to the first. Beside a dead pixel the light goes on as if it were not there.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import scipy
from numpy.typing import NDArray

from napari_rdpdenoise.noise.model import NoiseModel
from napari_rdpdenoise.noise.numbers import filterable

_BELOW = 6.0  # noise standard deviations below the darkest of the eight around it
_LIGHT = 0.5  # of the light of that one, at most
_AROUND = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], bool)
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
    around = scipy.ndimage.minimum_filter(plane, footprint=_AROUND, mode="mirror")
    rows, columns = np.nonzero(plane < around)
    here, beside = (part[rows, columns].astype(np.float64) for part in (plane, around))
    depth = (beside - here) / (_BELOW * np.sqrt(noise.variance(beside)))
    deep = depth > limit
    rows, columns, depth, here, beside = (part[deep] for part in (rows, columns, depth, here, beside))
    padded = np.pad(plane, 2, mode="reflect").astype(np.float64)
    first, second = (
        np.mean([padded[rows + 2 + y, columns + 2 + x] for y, x in steps], axis=0)
        for steps in ([(y // 2, x // 2) for y, x in _FURTHER], _FURTHER)
    )
    dark = here - noise.offset < _LIGHT * (beside - noise.offset)
    return Dips(rows, columns, depth, dark & (beside - here > second - first))


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
