"""A tile and its latents: what travels beside the symbols is the mean of each block.

Means are rounded to steps of the network's units, and decoders' images get them back in raw counts.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_rdpdenoise.codec.latents import MEAN_LIMIT, MEAN_STEP, Latents, pack_means
from napari_rdpdenoise.codec.means import block_means, correct_means
from napari_rdpdenoise.codec.normalization import UNIT, Normalization

_CONTAINER_BYTES = 90  # of one coded tile beside its payloads, with what the coder flushes at the end of each


def coded_tile(
    tile: NDArray[Any],
    normalization: Normalization,
    rate: float,
    symbols: tuple[NDArray[np.int16], ...],
    bits: float,
) -> Latents:
    """Latents of a tile.

    Args:
        tile: Raw counts, 2-D.
        normalization: Normalisation of its channel.
        rate: Position on the gain curve, 0 to 1.
        symbols: Symbols that the network made of it.
        bits: Bits of these alone; those of the rest are added.
    """
    steps = normalization.target(block_means(tile)).astype(np.float64) / MEAN_STEP
    means = np.rint(np.clip(steps, -MEAN_LIMIT, MEAN_LIMIT)).astype(np.int32)
    overhead = 8 * (_CONTAINER_BYTES + len(pack_means(means)))
    height, width = tile.shape
    return Latents(symbols, means, (height, width), rate, normalization, bits + overhead)


def means_reach(latents: Latents) -> float:
    """How far from the centre a tile's blocks lie at least, noise standard deviations."""
    return float(np.abs(latents.means).max()) * MEAN_STEP * UNIT / latents.normalization.scale


def to_counts(u: NDArray[np.float32], latents: Latents) -> NDArray[np.float32]:
    """A decoder's image as raw counts, with the means of its blocks.

    Args:
        u: Image in network units, as large as the tile or padded at its lower ends.
        latents: Latents that it was decoded from.

    Returns:
        Raw counts, float32, of the tile's shape.
    """
    height, width = latents.shape
    counts = latents.normalization.inverse(u[:height, :width])
    means = latents.normalization.inverse(latents.means * MEAN_STEP)
    return correct_means(counts, means, np.sqrt(latents.normalization.noise.variance(means)))
