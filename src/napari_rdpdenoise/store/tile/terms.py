"""What encoding and decoding of a tile agree on."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_rdpdenoise.store.container import StoredTile

Residual = Literal["1", "0.5", "lossless", "none"]
"""How much of the original is kept: in steps of so many noise standard deviations, all of it, or nothing."""

RESIDUALS: tuple[Residual, ...] = ("1", "0.5", "lossless", "none")

MARGIN = 512
"""Largest margin of a tile within its chunk, px."""

LEAST_SHARE = 1 / 32
"""Share of a residual below which nothing of it returns to the denoised image."""


def first_pixel(tile: StoredTile) -> tuple[int, int]:
    """First row and column of a tile in its plane."""
    return tile.origin[0] + tile.offset[0], tile.origin[1] + tile.offset[1]


def dither(shape: tuple[int, ...], seed: int, first: tuple[int, int]) -> NDArray[np.float64]:
    """Dither of each pixel, -1/2 to 1/2: from a generator whose numbers are the same everywhere."""
    count = shape[0] * shape[1]
    raw = np.random.PCG64([seed, *first]).random_raw(-(-count // 8)).astype("<u8").view(np.uint8)
    return (raw[:count].reshape(shape) + 0.5) / 256 - 0.5
