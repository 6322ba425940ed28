"""From network units to what an eye (and LPIPS) sees: counts between a black and a white point, 0..1.

The published perceptual networks were made for displayed images, the codec works in stabilised units. The way
back to counts is a table in numpy (the exact unbiased inverse); here every sample carries it as a short curve
over its own range, which torch can interpolate and differentiate.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_rdpdenoise.codec.normalization import UNIT, Normalization

POINTS = 128
_MARGIN = 3.0  # noise standard deviations beyond the clean image's own range
_WHITE_PERCENTILE = 99.9  # as in the metric's protocol


def tone_curve(
    normalization: Normalization,
    target: NDArray[np.float32],
    clean: NDArray[np.float32],
    black: float,
    display_range: tuple[float, float] | None = None,
) -> NDArray[np.float32]:
    """Curve of one sample: (first u, step of u, displayed value at each of ``POINTS`` u).

    Args:
        normalization: Map between network units and counts.
        target: Clean image in network units.
        clean: Clean image in counts.
        black: Share of the clean image's lowest percentile that is displayed as 0, from 0 (the metric's
            protocol, zero counts are black) to 1 (a viewer's contrast limits).
        display_range: Lowest percentile and white point, counts; None: those of ``clean``.
    """
    margin = _MARGIN / UNIT
    grid = np.linspace(float(target.min()) - margin, float(target.max()) + margin, POINTS, dtype=np.float32)
    low, white = np.percentile(clean, [0.5, _WHITE_PERCENTILE]) if display_range is None else display_range
    floor = black * max(float(low), 0.0)
    values = (normalization.inverse(grid) - floor) / max(float(white) - floor, 1e-3)
    head = np.array([grid[0], grid[1] - grid[0]], dtype=np.float32)
    return np.concatenate([head, np.clip(values, 0.0, 1.0).astype(np.float32)])


def displayed(image: Tensor, tone: Tensor) -> Tensor:
    """Images (b, 1, h, w) in network units as displayed, 0..1; ``tone`` is (b, 2 + ``POINTS``)."""
    first, step = (tone[:, k, None, None, None] for k in (0, 1))
    place = ((image - first) / step).clamp(0.0, POINTS - 1.001)
    low = place.detach().floor().long()
    values = tone[:, 2:]
    at = low.flatten(1)
    below, above = (values.gather(1, at + k).view_as(image) for k in (0, 1))
    return torch.lerp(below, above, place - low)
