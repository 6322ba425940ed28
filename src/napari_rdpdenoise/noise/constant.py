"""Regions of exactly one value amid the noise, which chance cannot make.

Borders filled with the mean of each plane are such regions, and so are parts of frames that were never
transferred, and labels. Where the sample of a series has none, though its noise is well above the steps of
its numbers, none elsewhere is image: planes and places that are not in the sample are screened by that.

Where a camera clips, at black and at white, pixels are equal as well: the smallest and the largest value of
the sample are not looked at, nor what is hardly beyond them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy
from numpy.typing import NDArray

from napari_rdpdenoise.noise.blocks import opened
from napari_rdpdenoise.noise.model import NoiseModel
from napari_rdpdenoise.noise.numbers import places_of_few
from napari_rdpdenoise.noise.value_edges import usual_step

_BLOCK = 5  # px, edge of a block of one value
_BLOCKS = (4, 4), (2, 12), (12, 2)  # px of a value that noise does not bring together
_BESIDE = 2  # px around such blocks in which the value belongs to them: corners
_LEAST = 64  # px of a value in blocks, in one window
_ELSEWHERE = 1e-3  # share of the rest of a window in blocks of other values, at most
_NOISY = 2.0  # noise standard deviation in the dark over the step of the numbers, at least
_BEYOND = 6.0  # noise standard deviations beyond the sample's values, where cameras do not clip
_EIGHT = np.ones((3, 3), bool)


class Limits(NamedTuple):
    """Where regions of one value are no image.

    Attributes:
        low: Smallest value of a sample, at which cameras clip: regions of it are image.
        high: Largest value of it, likewise.
        below: Value below which there are such regions as well, far below the smallest.
        above: Value above which there are, far above the largest.
    """

    low: float
    high: float
    below: float = -np.inf
    above: float = np.inf


def solid(at: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels of a value that fill whole blocks, and what of it is beside; 2-D, as ``at``."""
    found = np.zeros(at.shape, bool)
    for shape in _BLOCKS:
        found |= opened(at, shape)
    return at & scipy.ndimage.binary_dilation(found, _EIGHT, _BESIDE) if found.any() else found


def find_constant(plane: NDArray[Any], limits: Limits) -> NDArray[np.bool_]:
    """Pixels in blocks of 5 x 5 of one value, whatever it is, that the limits do not spare.

    Args:
        plane: Raw counts, 2-D, any real dtype; NaN and infinities are never equal.
        limits: Limits of the sample.
    """
    rows, columns = _corners(plane)
    values = plane[rows, columns].astype(np.float64)
    looked_at = (values > limits.low) & (values < limits.high)
    looked_at |= (values < limits.below) | (values > limits.above)
    looked_at &= np.isfinite(values)
    corners = np.zeros(plane.shape, bool)
    corners[rows[looked_at], columns[looked_at]] = True
    if not looked_at.any():
        return corners
    reach = (_BLOCK - 1) // 2
    return np.asarray(scipy.ndimage.maximum_filter(corners, _BLOCK, mode="constant", origin=reach))


def _corners(plane: NDArray[Any]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """First rows and columns of all blocks of 5 x 5 of one value.

    Each has four pixels with even numbers of row and column that are side by side among these: where noise
    is, few places are left to look at.
    """
    some = np.ascontiguousarray(plane[::2, ::2])
    first = some[:-1, :-1]
    alike = (first == some[:-1, 1:]) & (first == some[1:, :-1]) & (first == some[1:, 1:])
    places = 2 * np.stack(places_of_few(alike), axis=1)
    starts = np.concatenate([places - (y, x) for y in (0, 1) for x in (0, 1)])
    ends = np.array(plane.shape) - _BLOCK
    rows, columns = starts[((starts >= 0) & (starts <= ends)).all(1)].T
    for y in range(_BLOCK):
        for x in range(_BLOCK):
            same = plane[rows + y, columns + x] == plane[rows, columns]
            rows, columns = rows[same], columns[same]
    return rows, columns


def unseen_limits(windows: Sequence[NDArray[Any]], noise: NoiseModel) -> Limits | None:
    """Limits of a sample that has no regions of one value, by which those of other places are told.

    Args:
        windows: 2-D arrays of raw counts of one channel, any real dtype; masked where not all is image.
        noise: Noise model of the channel.

    Returns:
        None where chance, or compression, might make such regions.
    """
    images: list[np.ma.MaskedArray[Any, Any]] = [np.ma.masked_array(window) for window in windows]
    values = [part for part in (np.asarray(image.compressed()) for image in images) if part.size]
    if not values:
        return None
    low, high = min(float(part.min()) for part in values), max(float(part.max()) for part in values)
    dark, bright = (float(np.sqrt(noise.variance(end))) for end in (low, high))
    if low == high or dark < _NOISY * max(usual_step([part]) for part in values):
        return None
    for image in images:
        shown = np.where(np.ma.getmaskarray(image), np.nan, image.data)
        if find_constant(shown, Limits(low, high)).any():
            return None
    return Limits(low, high, low - _BEYOND * dark, high + _BEYOND * bright)


def own_limits(
    windows: Sequence[NDArray[Any]], is_fill_value: Callable[[NDArray[Any], float], bool]
) -> Limits | None:
    """Limits of a sample whose planes were filled with a value of their own each; None where they were not.

    Args:
        windows: 2-D arrays of raw counts of one channel, any real dtype.
        is_fill_value: Function that says whether a value of a window is not image.
    """
    finite = [window[np.isfinite(window)] for window in windows]
    if len(windows) < 2 or not all(part.size for part in finite):
        return None
    limits = Limits(min(float(part.min()) for part in finite), max(float(part.max()) for part in finite))
    found: set[float] = set()
    for window in windows:
        constant = find_constant(window, limits)
        values, counts = np.unique(window[constant], return_counts=True)
        if not counts.size or counts.max() < _LEAST:
            continue
        value = float(values[np.argmax(counts)])
        others = counts.sum() - counts.max()
        if others <= _ELSEWHERE * window.size and value not in found and is_fill_value(window, value):
            found.add(value)
            if len(found) == 2:
                return limits
    return None
