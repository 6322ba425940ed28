"""Signed counts that are read as unsigned ones, and the reverse.

Signed counts below zero become the largest that there are. Unsigned ones above the middle of their range, as
a bright camera of 16 bits has them, become the smallest: then noise about the middle was cut in two.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_EMPTY = 0.01  # share of pixels in the middle half of the range, at most
_BOTH = 0.02  # share at either end, at least
_JUMPS = 0.01  # share of neighbours at opposite ends, at least
_LEVELS = 4  # values at either end, at least: a mask has one


def is_wrapped(windows: Sequence[NDArray[Any]]) -> bool:
    """Whether noise was cut in two: near the smallest and near the largest number, side by side.

    Args:
        windows: 2-D arrays of raw counts of one channel, any real dtype.
    """
    if not windows or any(np.dtype(w.dtype).kind not in "ui" for w in windows):
        return False
    # the same bits with the middle of the range in the place of its ends
    windows = [w.view(f"u{w.dtype.itemsize}") + _middle(w) if w.dtype.kind == "i" else w for w in windows]
    most = np.iinfo(windows[0].dtype).max
    low, high, pairs, jumps, pixels, levels = 0, 0, 0, 0, 0, [set[int](), set[int]()]
    for window in windows:
        below, above = window < most // 4, window > most - most // 4
        low, high, pixels = low + int(below.sum()), high + int(above.sum()), pixels + window.size
        jumps += int((below[:, 1:] & above[:, :-1]).sum() + (above[:, 1:] & below[:, :-1]).sum())
        pairs += window[:, 1:].size
        for found, at in zip(levels, (below, above), strict=True):
            found.update(np.unique(window[at])[:_LEVELS].tolist())
    return (
        pixels - low - high <= _EMPTY * pixels
        and min(low, high) >= _BOTH * pixels
        and jumps >= _JUMPS * max(pairs, 1)
        and min(len(found) for found in levels) >= _LEVELS
    )


def _middle(window: NDArray[Any]) -> Any:
    """Half of the range of a signed type, as a number of the unsigned type of its size."""
    return np.dtype(f"u{window.dtype.itemsize}").type(1 << (8 * window.dtype.itemsize - 1))
