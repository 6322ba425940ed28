"""Local mean intensity as side information: what is bright stays exactly as bright.

Denoising must not change how much light a place received. A trained decoder keeps the mean only as well as
it learned to, so the encoder also stores the mean of every 64x64 block of raw counts (0.003 bits per
pixel), and the decoder adds the smoothly interpolated difference. The mean of 4096 noisy pixels carries a
64th of the pixel noise, so this costs no visible noise. Blocks lie on the plane's absolute grid
(`tiles.GRID`), so tiles agree.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_rdpdenoise.tiles import GRID


def block_means(image: NDArray[Any]) -> NDArray[np.float64]:
    """Means of the blocks of a 2-D image from its origin; blocks at the far edges may be smaller."""
    rows, columns = (np.arange(0, n, GRID) for n in image.shape)
    sums = np.add.reduceat(np.add.reduceat(image, columns, axis=1, dtype=np.float64), rows, axis=0)
    heights, widths = (np.diff([*starts, n]) for starts, n in zip((rows, columns), image.shape, strict=True))
    return sums / (heights[:, None] * widths[None, :])


def correct_means(image: NDArray[np.float32], means: NDArray[np.floating]) -> NDArray[np.float32]:
    """Add to ``image`` the interpolated difference between ``means`` and its own block means, counts."""
    missing = means - block_means(image)
    rows, columns = (_interpolation(n, m) for n, m in zip(image.shape, missing.shape, strict=True))
    return image + rows @ missing.astype(np.float32) @ columns.T


def _interpolation(length: int, blocks: int) -> NDArray[np.float32]:
    """Linear from block centres to pixels, constant beyond the outer centres: (length, blocks)."""
    ends = np.minimum(np.arange(1, blocks + 1) * GRID, length)
    centres = (np.arange(blocks) * GRID + ends - 1) / 2
    pixels = np.arange(length)
    return np.stack([np.interp(pixels, centres, row) for row in np.eye(blocks)], axis=1).astype(np.float32)
