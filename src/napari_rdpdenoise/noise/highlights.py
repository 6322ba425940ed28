"""Light that is so bright and so rare that the codec is spared it: beads, debris, dead cells, smooth labels.

A network answers to one thing a thousand times brighter than the image with rings around it, tens of pixels
wide. Such a thing needs no denoising either: where it is ``K`` noise standard deviations above the rest of
the series, its own noise is less than ``1 / K`` of it. So it comes out as it went in, and the network is
given its surroundings in its place.

Rare is what is above 99.5 % of the series by 64 standard deviations (more than a thousand photo-electrons)
and by half the range of the rest; its flanks belong to it as far as they are well above what is around. All
in stabilised values, in which noise is 1 everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from napari_rdpdenoise.noise.model import NoiseModel
from napari_rdpdenoise.noise.stabilized import counts_of, stabilize

_ABOVE = 64.0  # noise standard deviations above the rest of the series
_OF_RANGE = 0.5  # the same in what is between the dark and the bright end of the rest
_FLANK = 8.0  # the same above the darkest of the surroundings, for means over 3 x 3 pixels beside
_BESIDE = 8  # px that flanks are wide, at most
_AROUND = 33  # px of the surroundings
_SHARE = 99.5  # % of the series that are the rest
_PIXELS = 1_000_000  # of a sample that are looked at
_EIGHT = np.ones((3, 3), bool)


def highlight_level(planes: Sequence[NDArray[Any]], noise: NoiseModel) -> float:
    """Stabilised value from which on light is a highlight; infinite where the sample is empty.

    Args:
        planes: Arrays of raw counts of one channel; masked where they are no image.
        noise: Noise model of the channel.
    """
    step = max(1, sum(plane.size for plane in planes) // _PIXELS)
    values = np.concatenate([np.asarray(p)[~np.ma.getmaskarray(p)][::step] for p in planes])
    values = values[np.isfinite(values)]
    if values.size == 0:
        return np.inf
    dark, bright = np.percentile(stabilize(values, noise), [100 - _SHARE, _SHARE])
    return float(bright + max(_ABOVE, _OF_RANGE * (bright - dark)))


def level_of_plane(level: float, noise: NoiseModel, own: NoiseModel) -> float:
    """The same count as a level, stabilised by a plane's own noise model.

    Args:
        level: Value that `highlight_level` gave.
        noise: Noise model that it was given.
        own: Noise model of the plane.
    """
    return float(stabilize(counts_of(np.array(level), noise), own)) if np.isfinite(level) else level


def find_highlights(plane: NDArray[Any], noise: NoiseModel, level: float) -> NDArray[np.bool_] | None:
    """Where highlights are, with their flanks; None for nowhere.

    A pixel's mark depends on what is less than 32 px away.

    Args:
        plane: Raw counts, 2-D, finite.
        noise: Noise model of the channel.
        level: Value that `highlight_level` gave.
    """
    if not stabilize(plane.max(), noise) > level:
        return None
    t = stabilize(plane, noise)
    smooth = scipy.ndimage.uniform_filter(t, 3)
    flank = smooth > scipy.ndimage.minimum_filter(smooth, _AROUND) + _FLANK
    return np.asarray(scipy.ndimage.binary_dilation(t > level, _EIGHT, _BESIDE, mask=flank)) | (t > level)
