"""Eigenvalues of the covariance of small patches: noise fills all directions, structure only some.

White noise has the same variance in every direction of the patches' space, and what optics or a stain make
leaves the least coherent directions free: the lowest eigenvalues then lie on a plateau, the noise variance.
Where there is no plateau, the finest that the image holds is not white: neighbouring pixels share their
noise, or the sample's own texture is as fine as the pixels and hides the noise.

Sources: Liu, Tanaka, Okutomi, "Single-image noise level estimation for blind denoising", IEEE TIP 2013; Chen,
Zhu, Heng, "An efficient statistical method for image noise level estimation", ICCV 2015.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

BLOCK = 32
"""Edge of the blocks that are judged one by one, px."""
PATCH = 5
"""Edge of the patches, px."""
_MOST = 512  # blocks that a spectrum is taken from
_AT_ONCE = 64  # blocks


def blocks_of(t: NDArray[np.floating]) -> NDArray[np.floating]:
    """Blocks of a plane, (number, 32, 32), row by row; what is left over at the far edges is left out."""
    rows, columns = (n // BLOCK for n in t.shape)
    parts = t[: rows * BLOCK, : columns * BLOCK].reshape(rows, BLOCK, columns, BLOCK)
    return parts.swapaxes(1, 2).reshape(-1, BLOCK, BLOCK)


def patch_spectrum(blocks: NDArray[np.floating]) -> NDArray[np.float64]:
    """Eigenvalues of the covariance of 5x5 px patches inside blocks, ascending.

    Args:
        blocks: Blocks, (number, 32, 32), finite; of more than 512 evenly many are taken.
    """
    step = -(-len(blocks) // _MOST)
    taken, total = blocks[::step], np.zeros((PATCH**2, PATCH**2))
    for start in range(0, len(taken), _AT_ONCE):
        part = taken[start : start + _AT_ONCE].astype(np.float64)
        patches = sliding_window_view(part, (1, PATCH, PATCH)).reshape(len(part), -1, PATCH**2)
        patches = (patches - patches.mean(1, keepdims=True)).reshape(-1, PATCH**2)
        total += patches.T @ patches
    return np.linalg.eigvalsh(total / (len(taken) * (BLOCK - PATCH + 1) ** 2))


def slope(spectrum: NDArray[np.float64], blocks: int) -> float:
    """Rise of a spectrum over its lowest fifth: 1 for white noise, more where there is no plateau.

    Args:
        spectrum: Eigenvalues that `patch_spectrum` gave.
        blocks: Number of blocks that they were taken from; few of them spread the eigenvalues of white noise.
    """
    spread = 0.02 + 0.2 / np.sqrt(min(blocks, _MOST))  # simulated
    return float(spectrum[PATCH] / max(spectrum[0], 1e-12) - spread)
