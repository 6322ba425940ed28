"""From computed float values to the dtype of the output, counting what did not fit."""

from __future__ import annotations

import numpy as np

from napari_rdpdenoise.io.output.rounding import round_keeping_sums
from napari_rdpdenoise.io.source import check_dtype
from napari_rdpdenoise.tiles import GRID

_ROWS = 2 * GRID  # that are rounded at once: whole blocks, in a processor's cache


def to_output(
    block: np.ndarray, dtype: np.dtype | str, place: tuple[int, int, int] | None = None
) -> tuple[np.ndarray, int]:
    """Round (integers) and clip raw counts, floating and of any shape, to the range of a supported dtype.

    Args:
        block: Counts.
        dtype: Number type of the output.
        place: Seed of the plane and row and column of a 2-D block in it, for rounding that keeps sums (see
            `rounding`); None for the nearest integers.

    Returns:
        The block in that dtype, and how many values were clipped or not a number (these become 0).

    Raises:
        TypeError: If the dtype is not supported.
    """
    target = check_dtype(dtype)
    if target.kind == "f":
        if target.itemsize >= block.dtype.itemsize:
            return block.astype(target), 0
        high = float(np.finfo(target).max)
        clipped = int(np.count_nonzero(np.abs(block) > high))
        return np.clip(block, -high, high).astype(target), clipped
    if place is None:
        return _to_integers(block, target, None)
    seed, row, column = place
    whole, clipped = np.empty(block.shape, target), 0
    for start in range(0, len(block), _ROWS):
        rows = slice(start, start + _ROWS)
        whole[rows], count = _to_integers(block[rows], target, (seed, row + start, column))
        clipped += count
    return whole, clipped


def _to_integers(
    block: np.ndarray, target: np.dtype, place: tuple[int, int, int] | None
) -> tuple[np.ndarray, int]:
    # float32 cannot hold the bounds of 32-bit integers, so 4294967295 would wrap around to 0
    exact = block.astype(np.float64) if target.itemsize == 4 else block
    limits = np.iinfo(target)
    clipped = _count_outside(exact, limits)
    if place is not None:
        finite = np.nan_to_num(exact, nan=0.0) if clipped else exact
        values = round_keeping_sums(finite, limits.min, limits.max, place[0], place[1:])
    else:
        values = np.rint(exact)
    if place is None and clipped:
        values = np.clip(np.where(np.isnan(values), 0.0, values), limits.min, limits.max)
    return values.astype(target), clipped


def _count_outside(block: np.ndarray, limits: np.iinfo) -> int:
    """How many values are, as the nearest integers, beyond limits, or not a number."""
    if block.size and np.rint(block.min()) >= limits.min and np.rint(block.max()) <= limits.max:
        return 0  # the least of what holds NaN is NaN
    values = np.rint(block)
    return int(np.count_nonzero(~((values >= limits.min) & (values <= limits.max))))
