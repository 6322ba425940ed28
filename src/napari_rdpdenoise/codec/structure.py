"""Structure that the codec took for noise goes back into the image.

A codec smooths a texture that it has never seen, whatever the light, and with much light that harms. The
residual ``r = t - x`` of stabilised image and decode should be noise of known variance. Where its local
mean square ``v``, in units of that variance, is significantly above 1, it holds more than noise, and the
share

    ``w = max(0, 1 - 1 / (v - k standard errors))``

of it goes back: the empirical Wiener filter. It is mixed in raw counts, ``(1 - w) decode + w input``, so
that a pixel with ``w = 1`` is exactly what it was. Where what looks like noise may be the sample itself, the
noise model's ``doubt`` is the share of the rest, ``w + (1 - w) doubt``; where neighbouring pixels share their
noise, only that.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_rdpdenoise.codec.decoded import blend
from napari_rdpdenoise.codec.gaussian import gaussian_mean
from napari_rdpdenoise.noise import NoiseModel, shares_noise, stabilize, stabilized_moments

REACH = 36
"""Half width of the window in which the residual is judged, px: what a tile has to know beyond its edge."""
SIGMA = REACH / 3  # px, of the Gaussian window
_SURE = 2.0  # standard errors by which the residual has to exceed the noise
ERROR = float(_SURE * np.sqrt(2 / (4 * np.pi * SIGMA**2)))  # of a mean of squares of white Gaussian noise
LEAST_VARIANCE = 0.05  # of stabilised values, where there is hardly any light
_ROWS = 128  # that are judged at once: what a processor's cache holds
LEAST_USABLE = 0.05  # share of a window's weight below which nothing is judged


def structure_share(
    raw: NDArray[Any],
    decoded: NDArray[np.float32],
    noise: NoiseModel,
    usable: NDArray[np.bool_] | None = None,
) -> NDArray[np.float32]:
    """Share of the residual that is structure, per pixel.

    Args:
        raw: Noisy tile, 2-D, raw counts.
        decoded: Decode of lowest error of it, raw counts, same shape.
        noise: Noise model of its channel.
        usable: Pixels whose residual says something, same shape; None for all. Saturated and missing ones do
            not, and nothing comes back to them.

    Returns:
        Share in [0, 1], float32, same shape; at least the noise's doubt, but 0 at pixels that are not usable.
    """
    if noise.doubt == 1 or shares_noise(noise):
        share = np.full(raw.shape, noise.doubt, np.float32)
    else:
        share = 1 - (1 - _excess_share(raw, decoded, noise, usable)) * np.float32(1 - noise.doubt)
    if usable is not None:
        share[~usable] = 0
    return share


def _excess_share(
    raw: NDArray[Any], decoded: NDArray[np.float32], noise: NoiseModel, usable: NDArray[np.bool_] | None
) -> NDArray[np.float32]:
    """Share by what the residual holds beyond the noise; 0 where too few pixels around are usable."""
    excess = np.empty(raw.shape, np.float32)
    for start in range(0, len(raw), _ROWS):
        rows = slice(start, start + _ROWS)
        excess[rows] = _excess(raw[rows], decoded[rows], noise)
    if usable is None or usable.all():
        return _wiener(_mean_around(excess), ERROR)
    weight = np.maximum(_mean_around(usable), LEAST_USABLE)
    share = _wiener(_mean_around(np.where(usable, excess, 0)) / weight, ERROR / np.sqrt(weight))
    share[weight <= LEAST_USABLE] = 0
    return share


def _excess(raw: NDArray[Any], decoded: NDArray[np.float32], noise: NoiseModel) -> NDArray[np.float32]:
    """Squares of the residual in units of the noise variance."""
    expected, variance = stabilized_moments(decoded, noise)
    if noise.gain > 0:  # nothing stabilised is below 0; padding and dead pixels are far below the offset
        np.maximum(expected, 0, out=expected)
    excess = stabilize(raw, noise)
    excess -= expected
    np.square(excess, out=excess)
    excess /= np.maximum(variance, LEAST_VARIANCE, out=variance)
    return excess


def with_structure(
    image: NDArray[np.float32], raw: NDArray[Any], share: NDArray[np.float32]
) -> NDArray[np.float32]:
    """A decode with the share of the residual that is structure.

    Args:
        image: Decode of any decoder, raw counts.
        raw: Noisy tile, raw counts, same shape.
        share: Array that `structure_share` gave, same shape.

    Returns:
        Raw counts, float32, same shape.
    """
    return blend(image, np.asarray(raw, dtype=np.float32), share)


def _wiener(found: NDArray[np.float32], error: NDArray[np.float32] | float) -> NDArray[np.float32]:
    return np.asarray(1 - 1 / np.maximum(found - error, 1), dtype=np.float32)


def _mean_around(values: NDArray[Any]) -> NDArray[np.float32]:
    return gaussian_mean(np.asarray(values, np.float32), SIGMA, REACH)
