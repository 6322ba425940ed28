"""Letters with smooth edges beside the pixels that have a label's full value.

Of a thin letter few pixels have that value, or none: a stroke narrower than a pixel covers a share of each.
Near to a label such strokes are known by being thin, far above the noise, and half way to its value
somewhere; what optics make is as wide as they blur it. Where a letter is found, its faintest edge belongs to
it as well.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from napari_rdpdenoise.noise.model import NoiseModel

_NEAR = 28  # px around a label in which its other letters are looked for
_BORDER = 12  # px, edge of a square that fits into borders and into no letter
_GROUND = 5  # px, edge of a square whose darkest pixel lies beneath a letter
_DARKEST = 1.97  # noise standard deviations that this one is below the mean of the square
_STRONG = 6.0  # noise standard deviations above that
_LEAST = 0.1  # of the way to the value
_WHITE, _BLACK = 0.5, 0.75  # of the way to the value, somewhere in a stroke: images have dark gaps
_ALONG = 8  # px from there that a stroke is followed
_WIDE = (3, 4), (4, 3)  # px, blocks that strokes without full pixels never fill
_SOLID = 0.25  # of the way to the value beside which there is a faint edge
_EDGE = 3.5  # noise standard deviations of the faintest edge
_EIGHT = np.ones((3, 3), bool)


def find_strokes(
    plane: NDArray[Any], label: NDArray[np.bool_], value: float, noise: NoiseModel
) -> NDArray[np.bool_]:
    """Pixels of a label's thin letters that have not its full value.

    A pixel's mark depends on what is less than 64 px away.

    Args:
        plane: Raw counts, 2-D, finite; what is not image otherwise is filled in it.
        label: True where the label is known already.
        value: Its value, counts.
        noise: Noise model of the channel.
    """
    border = _borders(label)
    letters = label & ~scipy.ndimage.maximum_filter(border, 2 * _BORDER + 1, mode="constant")
    near = scipy.ndimage.maximum_filter(letters, 2 * _NEAR + 1, mode="constant")
    if not near.any():
        return near
    sign = 1.0 if value > np.median(plane) else -1.0
    level = scipy.ndimage.uniform_filter(
        scipy.ndimage.minimum_filter(sign * plane.astype(np.float64), _GROUND), _GROUND
    )
    level = sign * level + sign * _DARKEST * np.sqrt(noise.variance(sign * level))
    towards = sign * (plane - level)
    whole = np.abs(value - level)
    strong = (towards > np.maximum(_STRONG * np.sqrt(noise.variance(level)), _LEAST * whole)) | label
    half = near & (towards > (_WHITE if sign > 0 else _BLACK) * whole)
    wide = np.zeros(plane.shape, bool)
    for shape in _WIDE:
        wide |= scipy.ndimage.binary_opening(strong & ~label, np.ones(shape, bool))
    thin = half & strong & ~scipy.ndimage.binary_dilation(wide, _EIGHT, max(max(_WIDE)))
    return np.asarray(scipy.ndimage.binary_dilation(thin, _EIGHT, _ALONG, mask=strong & ~wide) & ~label)


def _borders(label: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where squares of a border's size fit into a label, which goes on beyond the edges of the plane."""
    beyond = np.pad(label, _BORDER, constant_values=True)
    inside = (slice(_BORDER, -_BORDER),) * 2
    return np.asarray(scipy.ndimage.binary_opening(beyond, np.ones((_BORDER, _BORDER), bool))[inside])


def faint_edge(
    plane: NDArray[Any], label: NDArray[np.bool_], beneath: NDArray[Any], value: float, noise: NoiseModel
) -> NDArray[np.bool_]:
    """Pixels right beside a label that its smooth edge still reaches.

    Args:
        plane: Raw counts, 2-D.
        label: True where the label is known already.
        beneath: Counts of the image there and beside it, without the label.
        value: Its value, counts.
        noise: Noise model of the channel.
    """
    level = beneath.astype(np.float64)
    towards = (plane - level) * np.sign(value - level)
    solid = label & (towards > _SOLID * np.abs(value - level))
    beside = scipy.ndimage.binary_dilation(solid, _EIGHT) & ~label
    return np.asarray(beside & (towards > _EDGE * np.sqrt(noise.variance(level))))
