"""Labels of the value at an end of the image's range: white letters on a ground that noise takes to white.

Such a value is image as well, at single pixels, so that neither its share of the image nor its distance to
the rest speaks for a label. What does: pixels of it lie side by side far more often than by chance, and right
beside them the ground is as far from the value as further out. Where cells saturate, brightness comes nearer
to the value with every pixel, and beside such a place many more pixels have it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from napari_rdpdenoise.noise.blocks import opened, widened

_BLOCKS = (2, 3), (3, 2)  # px of a value that chance hardly brings together
_THIN = (1, 4), (4, 1), (2, 2)  # px, the same near to such a block
_EIGHT = np.ones((3, 3), bool)
_LEAST = 24  # px in such blocks, over the whole sample
_CHANCE = 20.0  # times the blocks that chance makes
_BESIDE = 0.15  # share of the pixels around that have the value, at most
_SHARP = 0.75  # distance of the ground to the value right beside it, over that further out
_STEPS = 3.0  # from the value to the ground, at least: in fewer, noise makes blocks of one value
_AWAY = 4  # px
_NEAR, _BESIDE_THESE = 20, 2  # px around a block with thin lines, and around all of these


def strokes(at: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels of a value that are drawn: blocks of 2 x 3 of it, thinner lines near to one, and what is beside.

    A pixel's mark depends on what is less than 32 px away.

    Args:
        at: True where a plane has the value, 2-D.
    """
    solid = _opened(at, _BLOCKS)
    if not solid.any():
        return solid
    near = scipy.ndimage.maximum_filter(solid, 2 * _NEAR + 1, mode="constant")
    drawn = solid | (_opened(at, _THIN) & near)
    return at & scipy.ndimage.binary_dilation(drawn, _EIGHT, _BESIDE_THESE)


def _opened(at: NDArray[np.bool_], shapes: Sequence[tuple[int, int]]) -> NDArray[np.bool_]:
    found = np.zeros(at.shape, bool)
    for shape in shapes:
        found |= opened(at, shape)
    return found


def is_end_label(planes: Sequence[NDArray[Any]], value: float) -> bool:
    """Whether pixels of the smallest or the largest value of a sample are a label drawn into it.

    Args:
        planes: 2-D arrays of raw counts, any real dtype.
        value: The value.
    """
    inside, scattered, around = 0, 0, 0
    near, away, steps = [np.empty(0)], [np.empty(0)], []
    for plane in planes:
        at = plane == value
        drawn = at & widened(_opened(at, _BLOCKS))
        if not drawn.any():
            continue
        inside += int(drawn.sum())
        grown = [drawn]
        for _ in range(2 * _AWAY):
            grown.append(widened(grown[-1]))
        image = np.isfinite(plane)
        steps.append(float(np.median(np.diff(np.unique(plane[image].astype(np.float64))))))
        beside = image & grown[-1] & ~grown[0]
        around, scattered = around + int(beside.sum()), scattered + int((beside & at).sum())
        near.append(np.abs(plane[image & grown[1] & ~grown[0] & ~at].astype(np.float64) - value))
        away.append(np.abs(plane[image & grown[-1] & ~grown[_AWAY] & ~at].astype(np.float64) - value))
    one, far = (np.concatenate(ring) for ring in (near, away))
    if inside < _LEAST or min(one.size, far.size) < _LEAST:
        return False
    share = scattered / around
    by_chance = 2 * share**6 * sum(plane.size for plane in planes)
    return bool(
        share <= _BESIDE
        and inside >= _CHANCE * by_chance
        and np.median(one) >= _SHARP * np.median(far)
        and np.median(far) >= _STEPS * max(steps)
    )
