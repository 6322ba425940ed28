"""Values that are missing in a block: NaN and infinities."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def fill_missing(block: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Replace NaN and infinities by the block's median.

    Returns:
        The filled block, and as floats of its shape what was replaced, 0 elsewhere; None if nothing was.
    """
    if block.dtype.kind != "f":
        return block, None
    missing = ~np.isfinite(block)
    if not missing.any():
        return block, None
    level = np.median(block[~missing]) if not missing.all() else block.dtype.type(0)
    filled = np.where(missing, level, block).astype(block.dtype)
    return filled, np.where(missing, block, 0).astype(block.dtype)
