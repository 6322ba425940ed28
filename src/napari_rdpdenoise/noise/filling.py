"""Smooth surroundings in the place of pixels that are lost: means over ever larger squares."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from napari_rdpdenoise.tiles import GRID


def fill_regions(plane: NDArray[Any], lost: NDArray[np.bool_], level: float = 0.0) -> NDArray[Any]:
    """A copy with smooth surroundings in the place of lost pixels: means over ever larger squares.

    The largest are of `tiles.GRID` pixels, so that tiles, which begin on that grid, agree.

    Args:
        plane: Raw counts, 2-D, any real dtype; what it holds at lost pixels does not matter.
        lost: Pixels to fill, same shape.
        level: Counts for pixels far from all that is known.
    """
    known = ~lost
    levels = _smooth(np.where(known, plane, 0).astype(np.float64), known.astype(np.float64), level, GRID)
    if plane.dtype.kind != "f":
        limits = np.iinfo(plane.dtype)
        levels = np.clip(np.rint(levels), limits.min, limits.max)
    return np.where(known, plane, levels.astype(plane.dtype))


def _smooth(
    total: NDArray[np.float64], weight: NDArray[np.float64], level: float, largest: int
) -> NDArray[np.float64]:
    """Means of ``total`` over ``weight``; where the weight is 0, those of squares twice as large."""
    means = np.divide(total, weight, out=np.full_like(total, level), where=weight > 0)
    empty = weight == 0
    if not empty.any():
        return means
    if largest == 1:
        return _spread(means, ~empty)
    coarse = _smooth(_halved(total), _halved(weight), level, largest // 2)
    return np.where(empty, _doubled(coarse)[: total.shape[0], : total.shape[1]], means)


def _spread(means: NDArray[np.float64], known: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Unknown means from known ones beside them, corners included."""
    weight = scipy.ndimage.convolve(known.astype(np.float64), np.ones((3, 3)), mode="constant")
    total = scipy.ndimage.convolve(np.where(known, means, 0.0), np.ones((3, 3)), mode="constant")
    near = ~known & (weight > 0)
    return np.where(near, total / np.maximum(weight, 1), means)


def _halved(image: NDArray[np.float64]) -> NDArray[np.float64]:
    padded = np.pad(image, [(0, n % 2) for n in image.shape])
    return np.asarray(padded[::2, ::2] + padded[1::2, ::2] + padded[::2, 1::2] + padded[1::2, 1::2])


def _doubled(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """Twice as many rows and columns, linear between the centres."""
    for axis in (0, 1):
        image = np.moveaxis(image, axis, 0)
        padded = np.pad(image, [(1, 1), (0, 0)], mode="edge")
        doubled = np.empty((2 * image.shape[0], image.shape[1]))
        doubled[::2] = 0.75 * image + 0.25 * padded[:-2]
        doubled[1::2] = 0.75 * image + 0.25 * padded[2:]
        image = np.moveaxis(doubled, 0, axis)
    return image
