"""How far the texture of images is from that of others which show other places.

The sliced Wasserstein distance (Rabin et al. 2011) of small patches, their means taken off, at two scales, in
standard deviations of the references' patches. It is rough: it preferred early, rougher decodes, and on
photographs of textures it fell by 14 % while LPIPS against the truth rose by 11 %.

So where AlexNet is on this machine, simulated exposures of the references are judged instead
(``finetune.simulated``): on those photographs their LPIPS fell by 18 % in a run in which the true one fell by
28 %.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

_PATCH, _PATCHES, _DIRECTIONS = 5, 6000, 48


class Texture:
    """Texture of references as displayed, 0..1 and at least 32 px each way, to compare others with."""

    def __init__(self, references: Sequence[NDArray[np.float32]]) -> None:
        self._patches = _patches(references)

    def distance(self, images: Sequence[NDArray[np.float32]]) -> float:
        """Distance of displayed images, 0..1, from the references; 0 or more.

        Mean over scales and directions of the distance of sorted projections.
        """
        places, values = np.linspace(0, 1, 512), []
        for a, b in zip(_patches(images), self._patches, strict=True):
            directions = np.random.default_rng(3).standard_normal((_PATCH**2, _DIRECTIONS))
            directions -= directions.mean(0)
            directions /= np.linalg.norm(directions, axis=0)
            one, two = (np.quantile(part @ directions, places, axis=0) for part in (a, b))
            values.append(np.mean(np.abs(one - two)) / max(float((b @ directions).std()), 1e-6))
        return float(np.mean(values))


def _patches(images: Sequence[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
    """Patches (n, 25) without their means, at full and half resolution."""
    out = []
    for scale in (1, 2):
        rng, rows = np.random.default_rng(scale), []
        for image in images:
            small = image if scale == 1 else ndimage.uniform_filter(image, 2)[::2, ::2]
            windows = np.lib.stride_tricks.sliding_window_view(small, (_PATCH, _PATCH))
            count = _PATCHES // len(images) + 1
            y, x = (rng.integers(n, size=count) for n in windows.shape[:2])
            rows.append(windows[y, x].reshape(count, -1))
        found = np.concatenate(rows)
        out.append(found - found.mean(1, keepdims=True))
    return out
