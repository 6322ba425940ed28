"""Where a camera saturates: often below the largest number that the file can hold (4095 in 16 bits)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LEAST = 16  # px
_LEVELS = 4  # occupied by as many pixels below the largest value as have that value


def saturation_level(planes: Sequence[NDArray[Any]]) -> float | None:
    """The largest value of a sample, if so many pixels have it that light was cut off there.

    Brightness ends in a thin tail. Where pixels pile up, as many as hold the largest value are spread over
    several values below it.

    Args:
        planes: Arrays of raw counts of any shape and real dtype; NaN, infinities and what masked arrays mask
            are left out.

    Returns:
        Counts; None where nothing is cut off.
    """
    values = np.concatenate([_usable(plane) for plane in planes]) if len(planes) else np.empty(0)
    if values.size == 0:
        return None
    top = values.max()
    below = values[values < top]
    count = values.size - below.size
    if count < _LEAST or below.size <= count:
        return None
    next_ones = np.partition(below, below.size - count)[below.size - count :]
    return float(top) if np.unique(next_ones).size >= _LEVELS else None


def _usable(plane: NDArray[Any]) -> NDArray[Any]:
    values = np.asarray(plane)[~np.ma.getmaskarray(plane)]
    return values[np.isfinite(values)] if values.dtype.kind == "f" else values
