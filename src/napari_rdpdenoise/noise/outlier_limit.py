"""How far beyond its surroundings a pixel has to be to be a defect: a sample of the series decides.

Eight standard deviations are enough where noise is what a camera's model says and the sample is as smooth as
optics leave it. Neither holds everywhere: an electron-multiplying register gives single photo-electrons any
height, 8-bit images that were exposed once more have steps of one grey level in single pixels. A defect is
of another kind than what is around it, and that shows in the sample:

* **A gap.** Defects are far beyond most pixels. Where single pixels just below the limit are a fourth as
  many as those above it, what is above is their tail.
* **Nothing half-way.** A defect stands alone; what optics made has neighbours of 0.3 times its height or
  more. Pixels about as strong whose neighbours are in between are texture, and where there are many of them,
  those that happen to stand alone are texture as well.

The limit is the lowest at which both hold. Where more pixels are beyond it than a camera in use has defects,
none is one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_rdpdenoise.noise.dead import Dips, find_dips
from napari_rdpdenoise.noise.dead_groups import find_dip_groups
from napari_rdpdenoise.noise.model import NoiseModel
from napari_rdpdenoise.noise.outliers import find_outstanding

_STEP = np.sqrt(2)  # from one limit that is tried to the next
_STEPS = 20  # up to a thousand times the first
_TAIL = 0.25  # single pixels one step below the limit, over those beyond it
_HALF_WAY = 0.3  # E / A of light, at least
_TEXTURE, _STRAY = 0.05, 2.0  # pixels half-way, over those beyond the limit, and a few that may be
_MOST = 0.02  # share of pixels that are defects
_TOLD = 1e-5  # share of pixels from which on it is told that they are no defects


class OutlierLimit(NamedTuple):
    """Least height of a defect in a series.

    Attributes:
        limit: Height in units of that by noise alone, 1 or more; infinite where no pixel is a defect.
        spared: Pixels of the sample between 1 and the limit that would be defects, where they are many;
            else 0.
    """

    limit: float = 1.0
    spared: int = 0


NOISE_ALONE = OutlierLimit()
"""Limit where nothing but the noise of a camera speaks against a defect."""


Noise = NoiseModel | Sequence[NoiseModel]
"""Noise model of a channel, or one for each of some planes."""


def outlier_limit(planes: Sequence[NDArray[Any]], noise: Noise) -> OutlierLimit:
    """Choose the limit of `find_outliers` for a series by a sample of it.

    Args:
        planes: 2-D arrays of raw counts, finite; defects are in, regions that are no image are filled.
        noise: Noise model of the channel, or of each plane.
    """
    found = [find_outstanding(plane, own, 1 / _STEP) for plane, own in _with_noise(planes, noise)]
    height, single, beside = (np.concatenate(parts) for parts in zip(*found, strict=True))
    alone, half_way = np.sort(height[single]), np.sort(height[~single & (beside < _HALF_WAY)])
    pixels = sum(plane.size for plane in planes)
    limit = next((step for step in _STEP ** np.arange(_STEPS) if _parts(alone, half_way, step)), np.inf)
    if _beyond(alone, limit) > _MOST * pixels:
        limit = np.inf
    spared = _beyond(alone, 1.0) - _beyond(alone, limit)
    return OutlierLimit(float(limit), spared if spared > _TOLD * pixels else 0)


def dead_limit(planes: Sequence[NDArray[Any]], noise: Noise) -> float:
    """Choose the limit of `find_dead` for a series by a sample of it; arguments as of `outlier_limit`."""
    return _dead_limit(planes, noise, find_dips)


def dead_groups_limit(planes: Sequence[NDArray[Any]], noise: Noise) -> float:
    """Choose that of `find_dead_groups`, likewise."""
    return _dead_limit(planes, noise, find_dip_groups)


def _dead_limit(
    planes: Sequence[NDArray[Any]],
    noise: Noise,
    find: Callable[[NDArray[Any], NoiseModel, float], Dips],
) -> float:
    each = _with_noise(planes, noise)
    found = [find(plane, own, 1 / _STEP) for plane, own in each if min(plane.shape) > 4]
    if not found:
        return np.inf
    depth, dead = (np.concatenate([getattr(part, name) for part in found]) for name in ("depth", "dead"))
    alone, others = np.sort(depth[dead]), np.sort(depth[~dead])
    if _beyond(alone, 1.0) > _MOST * sum(plane.size for plane in planes) or not _parts(alone, others, 1.0):
        return np.inf
    return 1.0


def _with_noise(planes: Sequence[NDArray[Any]], noise: Noise) -> list[tuple[NDArray[Any], NoiseModel]]:
    noises = [noise] * len(planes) if isinstance(noise, NoiseModel) else noise
    return list(zip(planes, noises, strict=True))


def _parts(alone: NDArray[np.float64], half_way: NDArray[np.float64], limit: float) -> bool:
    """Whether what is beyond a limit is of another kind than what is not."""
    beyond = _beyond(alone, limit)
    below = _beyond(alone, limit / _STEP) - beyond
    texture = _beyond(half_way, limit / _STEP)
    return below <= _TAIL * beyond and texture <= _STRAY + _TEXTURE * beyond


def _beyond(heights: NDArray[np.float64], limit: float) -> int:
    return int(len(heights) - np.searchsorted(heights, limit, side="right"))
