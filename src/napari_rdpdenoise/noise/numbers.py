"""Numbers that filters take."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def filterable(plane: NDArray[Any]) -> NDArray[Any]:
    """A plane as ``scipy.ndimage`` takes it, which knows neither half nor extended precision.

    Args:
        plane: Raw counts, any real dtype and byte order.

    Returns:
        The same array, or a copy of float16 as float32 and of longer floats as float64.
    """
    if plane.dtype.kind != "f" or plane.dtype.itemsize in (4, 8):
        return plane
    return plane.astype(np.float32 if plane.dtype.itemsize < 4 else np.float64)


def places_of_few(at: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns where a mask (2-D) is true, as `numpy.nonzero` gives them; fast where few are."""
    held = np.flatnonzero(at.any(axis=1))
    rows, columns = np.nonzero(at[held])
    return held[rows], columns
