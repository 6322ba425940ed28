"""Local mean intensity as side information: what is bright stays exactly as bright.

Denoising must not change how much light a place received. A trained decoder keeps the mean only as well as
it learned to, so the encoder also stores the mean of every 64x64 block of raw counts (0.003 bits per
pixel), and the decoder adds the smoothly interpolated difference. The mean of 4096 noisy pixels carries a
64th of the pixel noise, so this costs no visible noise. Blocks lie on the plane's absolute grid
(`tiles.GRID`), so tiles agree.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_rdpdenoise.tiles import GRID

_OF_NOISE = 0.1  # standard deviations that a block may miss, whatever those around it do
_OF_AROUND = 10.0  # times what is missing around it


def blocks_of(shape: tuple[int, ...]) -> tuple[int, ...]:
    """How many blocks an image of a shape has along each axis."""
    return tuple(-(-length // GRID) for length in shape)


def block_means(image: NDArray[Any]) -> NDArray[np.float64]:
    """Means of the blocks of a 2-D image from its origin; blocks at the far edges may be smaller."""
    rows, columns = (np.arange(0, n, GRID) for n in image.shape)
    down = np.empty((len(rows), image.shape[1]))
    for start, out in zip(rows, down, strict=True):  # row upon row is five times faster than along each
        np.add.reduce(image[start : start + GRID], axis=0, dtype=np.float64, out=out)
    sums = np.add.reduceat(down, columns, axis=1)
    heights, widths = (np.diff([*starts, n]) for starts, n in zip((rows, columns), image.shape, strict=True))
    return sums / (heights[:, None] * widths[None, :])


def correct_means(
    image: NDArray[np.float32], means: NDArray[np.floating], noise: NDArray[np.floating] | None = None
) -> NDArray[np.float32]:
    """Add to ``image`` the interpolated difference between ``means`` and its own block means.

    What a block misses is usually a few hundredths of the noise, about as much as its neighbours. Where it is
    far more, a decoder got one bright thing wrong, and that is not spread over the block.

    Args:
        image: Decoded image, counts, 2-D.
        means: Means of its blocks, counts, as `block_means` gives them.
        noise: Noise standard deviation of a pixel in each block, counts; None to believe all differences.

    Returns:
        Counts, float32, of the image's shape.
    """
    missing = means - block_means(image)
    if noise is not None and min(missing.shape) > 1:
        missing = _believed(missing, noise)
    rows, columns = (_interpolation(n, m) for n, m in zip(image.shape, missing.shape, strict=True))
    down, columns = rows @ missing.astype(np.float32), np.ascontiguousarray(columns.T)
    corrected = np.empty_like(image)
    for start in range(0, len(image), GRID):
        part = slice(start, start + GRID)
        np.add(image[part], down[part] @ columns, out=corrected[part])
    return corrected


def _believed(missing: NDArray[np.float64], noise: NDArray[np.floating]) -> NDArray[np.float64]:
    """Differences, those that are far beyond both the noise and the blocks around cut to a limit."""
    padded = np.pad(np.abs(missing), 1, constant_values=np.nan)
    rows, columns = missing.shape
    steps = [(y, x) for y in range(3) for x in range(3) if (y, x) != (1, 1)]
    around = np.nanmedian([padded[y : y + rows, x : x + columns] for y, x in steps], axis=0)
    limit = np.maximum(_OF_NOISE * noise, _OF_AROUND * around)
    return np.clip(missing, -limit, limit)


@lru_cache(maxsize=8)
def _interpolation(length: int, blocks: int) -> NDArray[np.float32]:
    """Linear from block centres to pixels, constant beyond the outer centres: (length, blocks)."""
    ends = np.minimum(np.arange(1, blocks + 1) * GRID, length)
    centres = (np.arange(blocks) * GRID + ends - 1) / 2
    pixels = np.arange(length)
    return np.stack([np.interp(pixels, centres, row) for row in np.eye(blocks)], axis=1).astype(np.float32)
