"""Regions of exactly one value amid the noise, which chance cannot make: borders filled with a mean.

Where a camera clips, at black and at white, pixels are equal as well; these values are not looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from napari_rdpdenoise.noise.numbers import filterable

_BLOCK = 5  # px, edge of a block of one value
_BLOCKS = (4, 4), (2, 12), (12, 2)  # px of a value that noise does not bring together
_BESIDE = 2  # px around such blocks in which the value belongs to them: corners
_LEAST = 64  # px of a value in blocks, in one window
_ELSEWHERE = 1e-3  # share of the rest of a window in blocks of other values, at most
_EIGHT = np.ones((3, 3), bool)

Limits = tuple[float, float]
"""Smallest and largest value of a sample, at which cameras clip."""


def solid(at: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels of a value that fill whole blocks, and what of it is beside; 2-D, as ``at``."""
    found = np.zeros(at.shape, bool)
    for shape in _BLOCKS:
        found |= scipy.ndimage.binary_opening(at, np.ones(shape, bool))
    return at & scipy.ndimage.binary_dilation(found, _EIGHT, _BESIDE) if found.any() else found


def find_constant(plane: NDArray[Any], limits: Limits) -> NDArray[np.bool_]:
    """Pixels in blocks of 5 x 5 of one value, whatever it is, between the limits.

    Args:
        plane: Raw counts, 2-D, any real dtype; NaN and infinities are never equal.
        limits: Limits of the sample; what is not between them is left out.
    """
    (low, high), plane = limits, filterable(plane)
    between = (plane > low) & (plane < high)
    most = scipy.ndimage.maximum_filter(np.where(between, plane, high), _BLOCK, mode="constant", cval=high)
    least = scipy.ndimage.minimum_filter(np.where(between, plane, low), _BLOCK, mode="constant", cval=low)
    return np.asarray(scipy.ndimage.maximum_filter(most == least, _BLOCK, mode="constant"))


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
    limits = min(float(part.min()) for part in finite), max(float(part.max()) for part in finite)
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
