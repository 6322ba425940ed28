"""How far the texture of images is from that of others which show other places.

With AlexNet's weights on this machine: the distributions of LPIPS's unit-length features over all positions,
channel by channel, ``sum of head weight * mean square difference of quantiles``. Chosen on six decodes of one
image: on all of it (256x512 px) they ranked as by LPIPS against the truth, on 64 rows of it one did not.

Without: the sliced Wasserstein distance (Rabin et al. 2011) of small patches, their means taken off, at two
scales, in standard deviations of the references' patches. There it preferred early, rougher ones, and on
photographs of textures it fell by 14 % while LPIPS against the truth rose by 11 %.

So where AlexNet is there, simulated exposures of the references are judged instead (``finetune.simulated``).
On those photographs their LPIPS fell by 18 % in a run in which the true one fell by 28 %; this distance, with
AlexNet's features, by 5 % in one in which it fell by 32 %.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from napari_rdpdenoise.metrics.errors import MetricUnavailable
from napari_rdpdenoise.metrics.perceptual import LpipsNet, load_lpips

_PATCH, _PATCHES, _DIRECTIONS = 5, 6000, 48
_QUANTILES, _POSITIONS = 64, 8000


class Texture:
    """Texture of references, which other images are compared with.

    Args:
        references: Images (rows, columns) as displayed, 0..1, at least 32 px each way.
    """

    def __init__(self, references: Sequence[NDArray[np.float32]]) -> None:
        self._net = _lpips()
        self._features = None if self._net is None else _quantiles(self._net, references)
        self._patches = _patches(references) if self._net is None else None

    def distance(self, images: Sequence[NDArray[np.float32]]) -> float:
        """Distance of displayed images, 0..1, from the references; 0 or more."""
        if self._patches is not None:
            return _distance(_patches(images), self._patches)
        assert self._net is not None
        assert self._features is not None
        total = 0.0
        for layer, (a, b) in enumerate(zip(_quantiles(self._net, images), self._features, strict=True)):
            head = self._net.get_buffer(f"head{layer}").flatten()
            total += float(((a - b).square().mean(0) * head).sum())
        return total


def _lpips() -> LpipsNet | None:
    try:
        return load_lpips("alex")
    except MetricUnavailable:
        return None


def _quantiles(net: LpipsNet, images: Sequence[NDArray[np.float32]]) -> list[Tensor]:
    """Per layer (quantiles, channels) of the unit-length features over all positions of all images."""
    with torch.no_grad():
        rows = [net.unit_features(torch.from_numpy(image)[None, None]) for image in images]
    places, found = torch.linspace(0, 1, _QUANTILES), []
    for parts in zip(*rows, strict=True):
        values = torch.cat([part[0].flatten(1) for part in parts], 1)
        order = torch.randperm(values.shape[1], generator=torch.Generator().manual_seed(0))
        found.append(torch.quantile(values[:, order[:_POSITIONS]], places, dim=1))
    return found


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


def _distance(found: list[NDArray], wanted: list[NDArray]) -> float:
    """Mean over scales and directions of the distance of sorted projections."""
    places, values = np.linspace(0, 1, 512), []
    for a, b in zip(found, wanted, strict=True):
        directions = np.random.default_rng(3).standard_normal((_PATCH**2, _DIRECTIONS))
        directions -= directions.mean(0)
        directions /= np.linalg.norm(directions, axis=0)
        one, two = (np.quantile(part @ directions, places, axis=0) for part in (a, b))
        values.append(np.mean(np.abs(one - two)) / max(float((b @ directions).std()), 1e-6))
    return float(np.mean(values))
