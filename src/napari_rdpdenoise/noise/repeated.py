"""Borders that were filled by repeating: rows and columns that are exactly equal to the ones beside them.

Who moves a plane by whole pixels and fills what is then empty with the nearest pixel, or with the mean of
each column, leaves rows that are equal to one another over all of their length. Noise never does: that it
gives sixteen pairs of pixels the same number has a chance of one in millions, even where it is as small as
the step of the numbers. Where a row hardly changes along itself, as in black and saturated areas, nothing is
said.

What was filled touches an edge of the plane, or is at least three rows thick. Single rows that are there
twice are left alone, and so is an image that was enlarged (`enlarged`).

A calibration bar that was drawn into the image, a strip of grey levels from dark to bright, is of the same
kind, wherever it lies: all rows along it are equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy
from numpy.typing import NDArray

_LENGTH = 49  # px of a row that are equal to the next one's, at least
_CHANGES = 16  # of these that differ from the one before along the row
_ALONG = 0.9  # share of a row, or column, that is equal to the one at an edge, in one place of a sample
_MOST, _INSIDE = 0.6, 0.02  # share of a sample that is repeated, and of what touches no edge, at most
_BAR = 7  # rows of a calibration bar, at least
_BARS = 0.2  # share of a sample that is such bars, at most
_SMOOTH = 0.5  # roughness of a row of means over that of the image's rows, at most


def find_repeated(plane: NDArray[Any]) -> NDArray[np.bool_]:
    """Pixels that repeat the ones beside them.

    A pixel's mark depends on what is less than 64 px away.

    Args:
        plane: Raw counts, 2-D, any real dtype.

    Returns:
        True where a pixel is a copy, same shape. The row that the others are copies of is image, save in a
        calibration bar.
    """
    rows, columns = (_copied_rows(part) for part in (plane, plane.T))
    return rows.border | rows.inside | rows.bar | (columns.border | columns.inside | columns.bar).T


def has_repeated(windows: Sequence[NDArray[Any]]) -> bool:
    """Whether borders of a sample were filled by repeating, or calibration bars drawn into it.

    Args:
        windows: 2-D arrays of raw counts of one channel, any real dtype.
    """
    parts = [part for window in windows for part in (window, window.T)]
    ends = any(_has_equal_ends(part) for part in parts)
    if not ends and not any(_may_have_bar(part) for part in parts):
        return False
    found = [_copied_rows(part) for part in parts]
    pixels = sum(window.size for window in windows)
    borders, bars = (sum(int(getattr(part, kind).sum()) for part in found) for kind in ("border", "bar"))
    doubled = sum(part.doubled for part in found)
    if borders > _MOST * pixels or bars > _BARS * pixels or doubled > _INSIDE * pixels:
        return False
    return bars > 0 or (
        ends and borders > 0
    )  # a smooth image has short stretches of equal pixels at its edges


def _may_have_bar(plane: NDArray[Any]) -> bool:
    """Whether some of every seventh row equal the rows beside them over the length of a bar."""
    if plane.shape[0] < _BAR or plane.shape[1] < _LENGTH:
        return False
    ends = np.arange(_BAR // 2, plane.shape[0] - 1, _BAR // 2)
    return bool((plane[ends] == plane[ends + 1]).sum(1).max(initial=0) >= _LENGTH)


def _has_equal_ends(plane: NDArray[Any]) -> bool:
    """Whether the first two or the last two rows are equal and change along themselves."""
    if min(plane.shape) < _LENGTH:
        return False
    return any(
        np.mean(rows[0] == rows[1]) >= _ALONG and _pairs(rows) is not None for rows in (plane[:2], plane[-2:])
    )


class _Copies(NamedTuple):
    """True where rows of a border, and thick ones inside, are copies, and where a calibration bar is.

    ``doubled`` is the number of copied pixels inside that are of no such bar.
    """

    border: NDArray[np.bool_]
    inside: NDArray[np.bool_]
    bar: NDArray[np.bool_]
    doubled: int


def _copied_rows(plane: NDArray[Any]) -> _Copies:
    border, inside, bar = np.zeros((3, *plane.shape), bool)
    pairs = _pairs(plane)
    if pairs is None:
        return _Copies(border, inside, bar, 0)
    first = np.logical_and.accumulate(pairs)
    last = np.logical_and.accumulate(pairs[::-1])[::-1]
    border[:-1] |= first
    border[1:] |= last
    others = pairs & ~first & ~last
    inside[1:] = scipy.ndimage.binary_opening(others, np.ones((2, 1), bool))
    thick = scipy.ndimage.binary_opening(others, np.ones((_BAR - 1, 1), bool))
    bar[:-1] |= thick
    bar[1:] |= thick
    _add_means(plane, border)
    _add_means(plane[::-1], border[::-1])
    return _Copies(border, inside, bar, int((others & ~thick).sum()))


def _pairs(plane: NDArray[Any]) -> NDArray[np.bool_] | None:
    """True where a pixel is in a stretch of a row that equals the next row's; None for nowhere."""
    equal = plane[1:] == plane[:-1]
    if plane.shape[1] < _LENGTH or equal.sum(1).max() < _LENGTH:
        return None
    changes = np.zeros(equal.shape, np.float32)
    changes[:, 1:] = plane[:-1, 1:] != plane[:-1, :-1]
    whole = scipy.ndimage.minimum_filter1d(equal, _LENGTH, 1, mode="constant")
    whole &= scipy.ndimage.uniform_filter1d(changes, _LENGTH, 1, mode="constant") * _LENGTH > _CHANGES - 0.5
    return scipy.ndimage.maximum_filter1d(whole, _LENGTH, 1, mode="constant") if whole.any() else None


def _add_means(plane: NDArray[Any], border: NDArray[np.bool_]) -> None:
    """Mark the last of the rows at the first edge as well where it is no image: a row of means is smooth."""
    end = np.zeros(border.shape, bool)
    end[1:-1] = np.logical_and.accumulate(border)[:-2] & ~border[1:-1]
    rows = np.flatnonzero(end.any(1))
    if not rows.size:
        return
    here, beyond = (_roughness(plane[lines]) for lines in (rows, rows + 1))
    border[rows] |= end[rows] & (here < _SMOOTH * beyond)


def _roughness(rows: NDArray[Any]) -> NDArray[np.float64]:
    image = rows.astype(np.float64)
    second = np.abs(image[:, :-2] - 2 * image[:, 1:-1] + image[:, 2:])
    padded = np.pad(second, [(0, 0), (1, 1)], mode="edge")
    return np.asarray(scipy.ndimage.uniform_filter1d(padded, _LENGTH, axis=1, mode="mirror"))
