"""Noise that neighbouring pixels share: after interpolation, stage correction, demosaicing or compression.

A filter that rejects structure sees the finest noise only, so of shared noise it sees a small part. Here the
same filter looks at the stabilised image, at its 2x2 and at its 4x4 means, each scaled so that white noise
gives 1. The flattest blocks of the image (the lowest tenth) tell the noise apart from structure. Noise that
went through a Gaussian blur has a known relation between the three scales; cameras and their software leave
longer tails than that, which show at the third scale. Structure rises faster still, and is left alone. So is
fine texture: noise is much the same in all blocks, and in the flattest of them its patches have no direction
that stands out (see `spectrum`), or none that comes near the whole image's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_rdpdenoise.noise.model import NoiseModel
from napari_rdpdenoise.noise.spectrum import BLOCK, PATCH, blocks_of, patch_spectrum, slope
from napari_rdpdenoise.noise.stabilized import stabilize

_FLAT = 10.0  # percentile of the blocks that counts as free of structure
# What the lowest tenth of white noise's blocks shows at scales 2 and 4, relative to scale 1.
_WHITE = (0.93, 0.85)
_LEAST = 1.05  # ratio of scale 2 to scale 1 below which noise is white: that of white noise is .93 to 1.02
_SHARED = 1.25  # from which noise is called shared, so that no estimate may take it for white
_STRUCTURE = 2.0  # times the ratio at scale 4 that blurred noise would have: from there on it is structure
_STRONGEST = 100.0  # largest factor of a blur on the variance that is believed: enlarged images have more
# Logarithm of what tails add to the factor: a constant, per logarithm of what scale 4 shows beyond the blur,
# and per px of the blur. Least squares over simulated noise, of one blur and of a narrow with a wide one, in
# scenes of microscopy. To take noise for a third weaker than it is costs decibels, for stronger tenths.
_TAIL = (-0.21, 0.48, 0.58)
_LONGEST_TAIL = (0.3, 1.67, 0.35)  # px from which there is one, its growth per px, and the most
# Noise that is shared by little looks white to a denoiser, of the strength that scale 4 shows: px from which
# less of it counts, px over which it fades, most that it adds. Simulated like the tails, by the error of what
# is denoised.
_COARSE = (0.62, 0.15, 1.25)
_FLATTEST = 0.2  # share of the blocks whose patches are judged
_SLOPE = 1.06  # of their spectrum; below it they are white
_WEAK_SLOPE = 0.99  # the same where little is shared, and noise is much the same in all blocks
_UNEVEN = (0.5, 0.78)  # lowest tenth of the blocks over their median at scale 2: texture below, noise above
_COHERENT = 4.0  # first over fifth direction of the flattest blocks: in between, noise below
_EVERYWHERE = 2.15  # the same of all blocks, over that of the flattest: and noise above


@dataclass(frozen=True)
class Correlation:
    """Shared noise: width of the Gaussian blur that white noise would have gone through, px, and a factor.

    The factor, above 1, is the noise variance over what the finest scale shows. Where ``shared`` is False so
    little is shared that the noise may be taken as white, of that variance.
    """

    sigma: float
    factor: float
    shared: bool = True


def measure_correlation(planes: Sequence[NDArray[Any]], noise: NoiseModel) -> Correlation | None:
    """Correlation of the noise of 2-D planes, raw counts; None if white or not told from structure.

    ``noise`` is an estimate that takes it as white.
    """
    stabilized = [stabilize(plane, noise).astype(np.float64) for plane in planes]
    energies = [_energies(t) for t in stabilized]
    fine, middle, coarse = (np.concatenate(parts) for parts in zip(*energies, strict=True))
    alive = np.isfinite(fine + middle + coarse) & (fine > 0)
    if alive.any():
        alive &= fine > 0.2 * np.median(fine[alive])  # blocks of clipped pixels show nothing
    if alive.sum() < 16:
        return None
    floor = [float(np.percentile(part[alive], _FLAT)) for part in (fine, middle, coarse)]
    ratio = floor[1] / floor[0] / _WHITE[0]
    if ratio < _LEAST:
        return None
    sigmas, visible, at_two, at_four = _blurred_noise()
    sigma = float(np.interp(ratio, at_two, sigmas))
    factor = float(1 / np.interp(sigma, sigmas, visible))
    beyond = float(floor[2] / floor[0] / _WHITE[1] / np.interp(sigma, sigmas, at_four))
    if (
        beyond > _STRUCTURE
        or factor > _STRONGEST
        or not _is_noise(stabilized, alive, floor[1] / np.median(middle[alive]), weak=ratio < _SHARED)
    ):
        return None
    if ratio < _SHARED:  # beside so little, what scale 4 shows is structure as likely as tails
        return Correlation(sigma, factor, shared=False)
    factor *= _tail(sigma, beyond)
    return Correlation(sigma, factor * _coarse(sigma, floor[2] / floor[0] / _WHITE[1] / factor))


def _tail(sigma: float, beyond: float) -> float:
    """Factor on the variance for what noise shares further than a blur would.

    Args:
        sigma: Width of the blur, px.
        beyond: Energy at scale 4 over that of the blur.
    """
    added = float(np.dot(_TAIL, (1.0, np.log(beyond), sigma)))
    first, growth, most = _LONGEST_TAIL
    return float(np.exp(np.clip(added, 0.0, np.clip(growth * (sigma - first), 0.0, most))))


def _coarse(sigma: float, excess: float) -> float:
    """Factor on the variance for a denoiser that takes noise of a weak blur for white.

    Args:
        sigma: Width of the blur, px.
        excess: Energy at scale 4 over the variance.
    """
    widest, fade, most = _COARSE
    return float(np.clip(excess, 1.0, most) ** np.clip((widest - sigma) / fade, 0.0, 1.0))


def _is_noise(
    stabilized: list[NDArray[np.float64]], alive: NDArray[np.bool_], evenness: float, *, weak: bool
) -> bool:
    """Whether patches of the flattest blocks look like shared noise: neither white nor texture.

    Args:
        stabilized: Stabilised planes.
        alive: Blocks that show anything, of all planes.
        evenness: Lowest tenth of the blocks over their median, at scale 2.
        weak: Whether so little is shared that only an image full of noise can show it.
    """
    blocks = np.concatenate([blocks_of(t) for t in stabilized])[alive]
    blocks = blocks[np.ptp(blocks, axis=(1, 2)) > 0]  # beside padding the filter sees its edge
    order = np.argsort(blocks.var((1, 2)))
    flattest = blocks[order[: max(2, int(_FLATTEST * len(blocks)))]]
    spectrum = patch_spectrum(flattest)
    if weak:
        return evenness > _UNEVEN[1] and slope(spectrum, len(flattest)) > _WEAK_SLOPE
    if slope(spectrum, len(flattest)) <= _SLOPE or evenness < _UNEVEN[0]:
        return False
    coherence = _coherence(spectrum)
    if evenness > _UNEVEN[1] or coherence < _COHERENT:
        return True
    return _coherence(patch_spectrum(blocks)) > _EVERYWHERE * coherence


def _coherence(spectrum: NDArray[np.float64]) -> float:
    return float(spectrum[-1] / spectrum[-PATCH])


def _energies(t: NDArray[np.float64]) -> list[NDArray]:
    """Mean square second difference per block at scales 1, 2 and 4; 1 for white noise of variance 1."""
    parts: list[NDArray] = []
    rows, columns = (n // BLOCK * BLOCK for n in t.shape)
    image = np.where(np.isfinite(t), t, np.nan)[:rows, :columns]  # infinities would warn in every sum
    if image.size == 0:
        return [np.empty(0)] * 3
    for scale in (1, 2, 4):
        high = ndimage.convolve1d(ndimage.convolve1d(image, [1, -2, 1], axis=0), [1, -2, 1], axis=1) / 6.0
        edge = BLOCK // scale
        blocks = np.square(high * scale).reshape(high.shape[0] // edge, edge, high.shape[1] // edge, edge)
        parts.append(blocks.mean((1, 3)).ravel())
        image = image.reshape(image.shape[0] // 2, 2, image.shape[1] // 2, 2).mean((1, 3))
    return parts


@lru_cache(maxsize=1)
def _blurred_noise() -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Blur sigmas (px), share of the variance that scale 1 shows, and ratios of scales 2 and 4 to scale 1."""
    sigmas = np.linspace(0.0, 1.5, 151)
    rows = []
    for sigma in sigmas:
        kernel = np.zeros(129)
        kernel[64] = 1.0
        if sigma > 0:
            kernel = ndimage.gaussian_filter1d(kernel, sigma)
        kernel /= np.sqrt(np.square(kernel).sum())
        line = []
        for scale in (1, 2, 4):
            mean = np.convolve(kernel, np.full(scale, 1 / scale))
            difference = np.zeros(2 * scale + 1)
            difference[[0, scale, 2 * scale]] = (1, -2, 1)
            # both axes are alike, so the energy of the 2-D filter is the square of the 1-D one's
            line.append((scale * np.square(np.convolve(mean, difference)).sum() / 6.0) ** 2)
        rows.append((line[0], line[1] / line[0], line[2] / line[0]))
    visible, at_two, at_four = np.array(rows).T
    return sigmas, visible, np.maximum.accumulate(at_two), np.maximum.accumulate(at_four)
