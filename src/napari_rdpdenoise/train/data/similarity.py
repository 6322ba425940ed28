"""How much of a crop its noise leaves to see: MS-SSIM, by which JDC leaves the noisiest crops out.

Multi-scale structural similarity (Wang, Simoncelli and Bovik 2003) as torchmetrics computes it, with its
11 px window and the published weights. Small crops have fewer scales, whose weights are then raised to a sum
of 1: 5 scales from 176 px on, 4 from 99, 3 from 44, else 2. A value of a small crop is therefore lower than
that of a large one: the finer scales, which the noise hits first, weigh more.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils._triton import has_triton_package

_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_LEAST = {5: 176, 4: 99, 3: 44}  # px that so many scales need in torchmetrics: 11 at (scales - 1) ** 2


def ms_ssim(image: NDArray, reference: NDArray, span: tuple[float, float]) -> float:
    """MS-SSIM, 0 to 1, of an image with a reference, counts of one shape (2-D, at least 11 px).

    ``span`` are the counts that stand for 0 and 1; values beyond them are not clipped.
    """
    # here, because its import takes seconds and most runs do without
    with _without_triton():
        from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

    low, high = span
    parts = [
        torch.from_numpy(((part - low) / max(high - low, 1e-6)).astype(np.float32))[None, None]
        for part in (np.asarray(image, np.float64), np.asarray(reference, np.float64))
    ]
    weights = np.array(_WEIGHTS[: scales(min(image.shape))])
    found = multiscale_structural_similarity_index_measure(
        *parts, data_range=1.0, betas=tuple(weights / weights.sum()), normalize="relu"
    )
    return float(found)


@contextmanager
def _without_triton() -> Iterator[None]:
    """Import something that would load triton, which is not needed, without it.

    torchmetrics loads torchvision, that torch's compiler, and that triton, whose LLVM beside that of a
    graphics driver ends a process with windows with a segmentation fault.
    """
    if "triton" in sys.modules:
        yield
        return
    sys.modules["triton"] = None  # type: ignore[assignment]  # what import takes for "there is none"
    try:
        yield
    finally:
        del sys.modules["triton"]
        has_triton_package.cache_clear()  # whoever asks later gets an answer of their own


def scales(size: int) -> int:
    """Scales that a crop of so many pixels an edge has."""
    return next((count for count, least in _LEAST.items() if size >= least), 2)
