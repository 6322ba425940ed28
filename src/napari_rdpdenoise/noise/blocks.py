"""Blocks and pairs of pixels in masks, as `scipy.ndimage` finds them, in a fraction of its time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_PAIRS = (
    (np.s_[1:], np.s_[:-1]),
    (np.s_[:, 1:], np.s_[:, :-1]),
    (np.s_[1:, 1:], np.s_[:-1, :-1]),
    (np.s_[1:, :-1], np.s_[:-1, 1:]),
)  # of pixels that touch, corners included


def opened(at: NDArray[np.bool_], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Pixels of a mask (2-D) that are in some full block of it: `scipy.ndimage.binary_opening` by one.

    Args:
        at: The mask.
        shape: Rows and columns of the block, px.
    """
    found = np.zeros(at.shape, bool)
    rows, columns = shape
    if at.shape[0] < rows or at.shape[1] < columns:
        return found
    corners = _along(_along(at, rows, np.logical_and).T, columns, np.logical_and).T
    return _widened(corners, rows, columns) if corners.any() else found


def widened(at: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels of a mask (2-D) and those that touch one: `scipy.ndimage.binary_dilation` by 3 x 3."""
    return _widened(at, 3, 3)[1:-1, 1:-1]


def _widened(at: NDArray[np.bool_], rows: int, columns: int) -> NDArray[np.bool_]:
    """Blocks whose first pixels are given."""
    padded = np.pad(at, ((rows - 1, rows - 1), (columns - 1, columns - 1)))
    return _along(_along(padded, rows, np.logical_or).T, columns, np.logical_or).T


def _along(mask: NDArray[np.bool_], length: int, both: np.ufunc) -> NDArray[np.bool_]:
    """All, or any, of so many rows from each on, without the last ones."""
    together = 1
    while together < length:
        step = min(together, length - together)
        mask = both(mask[:-step], mask[step:])
        together += step
    return mask


def count_touching(at: NDArray[np.bool_]) -> int:
    """How many pixels of a mask (2-D) touch another one of it, corners included."""
    touching = np.zeros(at.shape, bool)
    for one, other in _PAIRS:
        pair = at[one] & at[other]
        touching[one] |= pair
        touching[other] |= pair
    return int(np.count_nonzero(touching))
