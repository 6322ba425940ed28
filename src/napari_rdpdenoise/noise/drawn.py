"""Images that nobody took: masks, labels, thresholded and blank ones, in which there is no noise to remove.

Almost every pixel of such an image has several equal ones around it, which noise never leaves: of two values
at random, as in frames of single photons, a seventh of the pixels has fewer than three.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_EQUAL = 3  # of the eight neighbours, at least
_SHARE = 0.97  # of the pixels, and of those that are not of the most frequent value
_SMALLEST = 8  # px, edge of a plane that can be told


def is_drawn(planes: Sequence[NDArray[Any]]) -> bool:
    """Whether planes hold no noise; False where they are too small to tell.

    Args:
        planes: 2-D arrays of raw counts, any real dtype; NaN and infinities are passed over.
    """
    tried = [plane for plane in planes if min(plane.shape) >= _SMALLEST and np.isfinite(plane).any()]
    if not tried or len(tried) < len(planes):
        return False
    pixels = sum(plane.size for plane in tried)
    values, counts = _values(tried)
    if not values.size:
        return False
    usual = values[np.argmax(counts)]
    rest, alike = np.zeros(2), np.zeros(2)  # of all pixels, and of those that are not of the usual value
    for plane in tried:
        known, together = np.isfinite(plane), _equal_neighbours(plane) >= _EQUAL
        other = known & (plane != usual)
        for k, places in enumerate((known, other)):
            rest[k] += places.sum()
            alike[k] += (together & places).sum()
        if rest[0] - alike[0] > (1 - _SHARE) * pixels:  # too many already, whatever comes
            return False
    return bool(np.all(alike >= _SHARE * rest))


def _values(planes: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], NDArray[np.int_]]:
    """Values of some lines of each plane, and how often they are there."""
    few = [plane[:: max(1, len(plane) // 64)] for plane in planes]
    return np.unique(np.concatenate([lines[np.isfinite(lines)] for lines in few]), return_counts=True)


def _equal_neighbours(plane: NDArray[Any]) -> NDArray[np.int8]:
    """Number of the eight neighbours that are equal to a pixel; beyond the edge the plane goes on."""
    padded = np.pad(plane, 1, mode="edge")
    rows, columns = plane.shape
    count = np.zeros(plane.shape, np.int8)
    for y in range(3):
        for x in range(3):
            if (y, x) != (1, 1):
                count += padded[y : y + rows, x : x + columns] == plane
    return count
