"""Whether neighbouring planes share their noise, so that they cannot tell it from the sample.

Two planes with the same noise confirm each other: a codec that looks at both keeps it, and an estimate of the
error that adds noise to each of them finds the more agreement the less was removed. Such are the colours of
a grey picture that was saved in colours, colours that a camera interpolates from one mosaic, and frames with
a fixed pattern or that were written twice. What is removed from each plane by itself tells: of independent
noise it is uncorrelated, where the sample is flat.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_gradient_magnitude, uniform_filter

from napari_rdpdenoise.codec.codec import Codec
from napari_rdpdenoise.codec.network_input import Neighbours
from napari_rdpdenoise.codec.normalization import Normalization

__all__ = ["SHARED", "noise_in_common"]

SHARED = 0.3
"""Correlation of what is removed from two planes from which they are taken to share their noise.

Of copies it is .6 and more, of independent noise below .2 where there is any to speak of.
"""

_RATE = 1.0  # at which least of the sample is removed beside the noise
_PIXELS = 250_000  # that are looked at
_SHARE = 0.3  # of the pixels, the flattest
_WINDOW = 7  # px, over which it is told how flat it is


def noise_in_common(
    codec: Codec,
    tiles: Sequence[NDArray[Any]],
    normalization: Normalization,
    neighbours: Sequence[Neighbours],
    between: Callable[[], None] = lambda: None,
) -> float:
    """Correlation of the noise of planes and of their neighbours, -1 to 1, near 0 if none is shared.

    Args:
        codec: Codec that denoises each plane by itself.
        tiles: 2-D blocks of raw counts of one channel, finite; what masked arrays mask is left out.
        normalization: Normalisation of that channel.
        neighbours: Planes before and after each tile, raw counts.
        between: Function called after each decode; it may raise to give up.
    """
    products, pixels = np.zeros(3), 0
    for tile, beside in zip(tiles, neighbours, strict=True):
        other = next((plane for plane in beside if plane is not None), None)
        usable = ~np.ma.getmaskarray(tile)
        if other is None or not usable.any():
            continue
        (a, shown), (b, _) = (_removed(codec, np.asarray(plane), normalization) for plane in (tile, other))
        between()
        usable &= _flat(shown, usable)
        a, b = a[usable], b[usable]
        a, b = a - a.mean(), b - b.mean()
        products += [np.dot(a, b), np.dot(a, a), np.dot(b, b)]
        pixels += tile.size
        if pixels >= _PIXELS:
            break
    both, own, others = products
    return float(both / np.sqrt(own * others)) if own > 0 and others > 0 else 0.0


def _removed(
    codec: Codec, plane: NDArray[Any], normalization: Normalization
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """What a plane loses when it is denoised by itself, and the result, both in network units."""
    ((image, _),) = codec.sweep(plane, normalization, (_RATE,))
    return np.asarray(normalization.forward(plane) - image, dtype=np.float64), image


def _flat(image: NDArray[np.float32], usable: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The flatter part of the pixels: elsewhere what is removed is structure too, which planes may share."""
    slope = uniform_filter(gaussian_gradient_magnitude(image, 1.0), _WINDOW)
    return slope <= np.quantile(slope[usable], _SHARE)
