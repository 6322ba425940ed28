"""Functions of whole counts by a table of all integers of a type of at most 16 bits."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_WORTH_A_TABLE = 2**16  # pixels; of fewer, a table of all values of 16 bits would cost more than it saves
_STRIP = 2**15  # pixels that are looked up at once: what a processor's cache holds


def is_tabled(counts: NDArray[Any]) -> bool:
    """Whether a table of all its integers is worth it for an array."""
    kind = counts.dtype
    return kind.kind in "iu" and kind.isnative and kind.itemsize <= 2 and counts.size >= _WORTH_A_TABLE


def all_integers(dtype: str) -> NDArray[Any]:
    """All integers of a type of at most 16 bits, by their bits."""
    bits = np.dtype(dtype).itemsize * 8
    return np.arange(2**bits, dtype=f"u{bits // 8}").view(dtype)


def looked_up(counts: NDArray[Any], table: NDArray[np.float32]) -> NDArray[np.float32]:
    """Values of a table that was made from `all_integers`, by counts; of their shape."""
    found = np.empty(counts.shape, np.float32)
    rows = max(1, _STRIP // max(1, counts[:1].size))
    for start in range(0, len(counts), rows):
        part = counts[start : start + rows]
        np.take(table, part.view(f"u{part.dtype.itemsize}"), mode="clip", out=found[start : start + rows])
    return found
