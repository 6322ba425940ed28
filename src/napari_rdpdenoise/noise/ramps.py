"""Borders that were filled by straight ramps, from the edge of the image down to one value (or up to it).

Along such a ramp every value is the mean of the two beside it, but for rounding; noise never is, over blocks
of hundreds of pixels. Across it the noise of the row at the edge goes on, ever weaker: smooth image, of which
the one may be true as well, is as smooth across. Where two ramps meet, in corners, nothing is left of it in
either direction.

::

    value      .'`.:'  image
             /
           /           ramp: straight along itself, as rough as the image across
         /
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy
from numpy.typing import NDArray

from napari_rdpdenoise.noise.blocks import opened
from napari_rdpdenoise.noise.value_edges import usual_step

_LENGTH = 6  # px along a ramp, at least
_ACROSS = 32  # px across it, at least
_ROUGH = 1.0  # median second difference across it, over the largest along it, where it is known by itself
_TIE = 1e-6  # more than sums are rounded by, which run on from the edge of a tile, less than one pixel
_REACH = 48  # px along it from there that it goes on
_FAR = 96  # px that it goes on where it is as smooth in both directions, as in corners
_GAP = 6  # px beside them that are straight one way: where two ramps meet they bend the other way
_CORNER = 5  # px, edge of a square that is smooth in both
_LARGEST, _INSIDE = 0.6, 0.05  # share of a sample that is ramps, and of these that touch no edge, at most
_ROUNDING = 8.0  # smallest differences of floating-point numbers by which these are off
_VALUES = 65536  # of a window by which the step of its numbers is known


def find_ramps(plane: NDArray[Any], tolerance: float) -> NDArray[np.bool_]:
    """Pixels of ramps.

    A pixel's mark depends on what is less than 64 px away, save along ramps that are longer, and in their
    corners.

    Args:
        plane: Raw counts, 2-D, any real dtype; NaN and infinities are in no ramp.
        tolerance: Second difference along a ramp, at most (`ramp_tolerance`), counts.

    Returns:
        True where a pixel is of a ramp, same shape. The row that it begins at is image.
    """
    if not any(_may_hold_ramps(part, tolerance) for part in (plane, plane.T)):
        return np.zeros(plane.shape, bool)
    first, second = _both_ways(plane)
    rows, columns = _marked(first, tolerance), _marked(second, tolerance)
    marked = rows.ramps | columns.ramps.T
    if not marked.any():
        return marked
    smooth = (first.along <= tolerance) & (first.across <= tolerance)
    smooth = opened(smooth, (_CORNER, _CORNER))
    every = np.ones((3, 3), bool)
    marked = np.asarray(scipy.ndimage.binary_dilation(marked, every, _FAR, mask=smooth | marked))
    long = [opened(way.straight, (_LENGTH, 1)) for way in (rows, columns)]
    beside = long[0] | long[1].T | marked
    return np.asarray(scipy.ndimage.binary_dilation(marked, iterations=_GAP, mask=beside))


def ramp_tolerance(windows: Sequence[NDArray[Any]]) -> float | None:
    """Second difference along the ramps by which borders of a sample were filled; None where none were.

    Args:
        windows: 2-D arrays of raw counts of one channel, any real dtype.
    """
    looked_at = [window for window in windows if min(window.shape) >= _ACROSS]
    parts = [(window, _tolerance(window)) for window in looked_at]
    if not any(_may_end_in_ramps(part, tolerance) for w, tolerance in parts for part in (w, w.T)):
        return None
    tolerance = max(tolerance for _, tolerance in parts)
    found = [_marked(way, tolerance) for window in looked_at for way in _both_ways(window)]
    ramps, at_ends = (sum(counts) for counts in zip(*(part.counts() for part in found), strict=True))
    pixels = sum(window.size for window in looked_at)
    return tolerance if 0 < (1 - _INSIDE) * ramps <= at_ends and ramps <= _LARGEST * pixels else None


def _tolerance(window: NDArray[Any]) -> float:
    """Second difference of what is straight but for rounding."""
    finite = window[np.isfinite(window)]
    step = usual_step([finite[:: max(1, finite.size // _VALUES)]])
    if window.dtype.kind != "f":
        return max(1.0, step)
    largest = float(np.abs(finite).max(initial=0))
    return max(step, _ROUNDING * float(np.finfo(window.dtype).eps) * largest)


def _may_end_in_ramps(plane: NDArray[Any], tolerance: float) -> bool:
    """Whether the first rows, or the last, are straight over some length: most images are not."""
    ends = (plane[: _LENGTH + 2], plane[-_LENGTH - 2 :])
    straight = (_second_difference(end.astype(np.float64), 0)[1:-1] <= tolerance for end in ends)
    return any(int(part.all(axis=0).sum()) >= _ACROSS for part in straight)


def _may_hold_ramps(plane: NDArray[Any], tolerance: float) -> bool:
    """Whether one of every few rows is straight along the columns over the width of a ramp.

    Of the rows of a ramp one is looked at, which tells of most tiles that they hold none.
    """
    height, width = plane.shape
    if height < _LENGTH or width < _ACROSS:
        return False
    rows = np.minimum(np.arange(_LENGTH // 2, height, _LENGTH), height - 2)
    before, here, after = (plane[rows + step].astype(np.float64) for step in (-1, 0, 1))
    with np.errstate(invalid="ignore", over="ignore"):
        straight = np.abs(before - 2 * here + after) <= tolerance
    return bool(opened(straight, (1, _ACROSS)).any())


class _Way(NamedTuple):
    """Sizes of second differences of a plane along its columns, and across them."""

    along: NDArray[np.float64]
    across: NDArray[np.float64]


class _Marked(NamedTuple):
    """Pixels of ramps along the columns of a plane, and of all that is straight along these over a width."""

    ramps: NDArray[np.bool_]
    straight: NDArray[np.bool_]

    def counts(self) -> tuple[int, int]:
        """How many pixels there are of ramps, and how many of them lead to the first or the last row."""
        if not self.ramps.any():
            return 0, 0
        labels, count = scipy.ndimage.label(self.straight)
        held = np.zeros(count + 1, bool)
        held[labels[[0, -1]]] = True
        held[0] = False
        return int(self.ramps.sum()), int((held[labels] & self.ramps).sum())


def _both_ways(plane: NDArray[Any]) -> tuple[_Way, _Way]:
    image = plane.astype(np.float64)
    rows, columns = (_second_difference(image, axis) for axis in (0, 1))
    return _Way(rows, columns), _Way(columns.T, rows.T)


def _second_difference(image: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Its size, that of the pixels beside at the ends; infinite where values are not finite."""
    one = image.swapaxes(0, axis)
    with np.errstate(invalid="ignore", over="ignore"):
        inside = np.abs(one[:-2] - 2 * one[1:-1] + one[2:])
    inside = np.where(np.isfinite(inside), inside, np.inf)
    return np.pad(inside, ((1, 1), (0, 0)), mode="edge").swapaxes(0, axis)


def _marked(way: _Way, tolerance: float) -> _Marked:
    straight = opened(way.along <= tolerance, (1, _ACROSS))
    blocks = opened(opened(straight, (_LENGTH, 1)), (_LENGTH, _ACROSS))
    if not blocks.any():
        return _Marked(blocks, straight)
    rough = blocks & (way.across > _ROUGH * tolerance)
    inside, beyond = (
        scipy.ndimage.uniform_filter(part.astype(np.float64), (_LENGTH, _ACROSS), mode="mirror")
        for part in (blocks, rough)
    )
    seeds = blocks & (beyond > inside / 2 - _TIE)
    line = np.zeros((3, 3), bool)
    line[:, 1] = True
    return _Marked(np.asarray(scipy.ndimage.binary_dilation(seeds, line, _REACH, mask=straight)), straight)
