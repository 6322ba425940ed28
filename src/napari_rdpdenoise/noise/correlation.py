"""Noise that neighbouring pixels share: after interpolation, stage correction, demosaicing or compression.

A filter that rejects structure sees the finest noise only, so of shared noise it sees a small part. Here the
same filter looks at the stabilised image and at its 2x2, 4x4 and 8x8 means, each scaled so that white noise
gives 1. The flattest blocks of the image (the lowest tenth) tell the noise apart from structure. Noise that
went through a Gaussian blur has a known relation between the first three scales. Structure rises faster, and
is left alone. So is fine texture: noise is much the same in all blocks, and in the flattest of them its
patches have no direction that stands out (see `spectrum`), or none that comes near the whole image's.

Cameras and their software leave longer tails than a blur does, and texture looks like tails at any one
scale. Two things tell them apart. From some scale on noise rises no more: what the flattest blocks show at
4x4 means beyond the blur is believed as far as it does not rise to 8x8 means. And noise is as strong in most
blocks as in the flattest: the more they differ at 4x4 means, the less is added to what a blur explains, down
to less than that, for where texture is nearly everywhere it is also in what the blur was measured by.
Limits: texture as even as noise which rises no further than 4x4 means is taken for tails, and tails of noise
under strong texture are not seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from napari_rdpdenoise.noise.model import NoiseModel
from napari_rdpdenoise.noise.spectrum import BLOCK, PATCH, blocks_of, patch_spectrum, slope
from napari_rdpdenoise.noise.stabilized import stabilize

_SCALES = (1, 2, 4, 8)  # px, edges of the means
_FLAT = 10.0  # percentile of the blocks that counts as free of structure
# What the lowest tenth of white noise's blocks shows at scales 2 and 4, relative to scale 1.
_WHITE = (0.93, 0.85)
_LEAST = 1.05  # ratio of scale 2 to scale 1 below which noise is white: that of white noise is .93 to 1.02
_SHARED = 1.25  # from which noise is called shared, so that no estimate may take it for white
_STRUCTURE = 2.0  # times the ratio at scale 4 that blurred noise would have: from there on it is structure
_STRONGEST = 100.0  # largest factor of a blur on the variance that is believed: enlarged images have more
# All that follows, up to the rise of tails, was chosen by the error of what is denoised, over noise of many
# kernels in scenes of microscopy. To take noise for a third weaker than it is costs decibels, for stronger
# tenths. Logarithm of what is added to a blur's factor on the variance, from an even image to one full of
# texture; and how much texture each has: logarithm of the median over the lowest tenth of the blocks at scale
# 4, and so much of that of the lowest tenth's rise from scale 4 to 8.
_ADDED, _TEXTURE, _RISE = (0.25, -0.2), (0.5, 1.6), 0.2
# Of tails: growth per logarithm of what scale 4 shows beyond the blur, and the most. A denoiser takes for
# structure what reaches far, unless it is told of more noise than there is.
_TAIL, _LONGEST_TAIL = 1.25, 0.45
# Rise to scale 8, less so much of what is beyond the blur, up to which tails are believed wholly, and from
# which not at all.
_PLATEAU, _RISE_OF_TAILS = (-0.05, 0.9), 0.5
_FLATTEST = 0.2  # share of the blocks whose patches are judged
_SLOPE = 1.06  # of their spectrum; below it they are white
_WEAK_SLOPE = 0.99  # the same where little is shared, and noise is much the same in all blocks
_UNEVEN = (0.5, 0.78)  # lowest tenth of the blocks over their median at scale 2: texture below, noise above
_COHERENT = 4.0  # first over fifth direction of the flattest blocks: in between, noise below
_EVERYWHERE = 2.15  # the same of all blocks, over that of the flattest: and noise above


@dataclass(frozen=True)
class Correlation:
    """Shared noise: width of the Gaussian blur that white noise would have gone through, px, and a factor.

    The factor, at least 1, is the noise variance that a denoiser has to be told over what the finest scale
    shows: up to three quarters more than there is where an even image shares noise far. Where ``shared`` is
    False so little is shared that the noise may be taken as white, of that variance.
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
    scales = [np.concatenate(parts) for parts in zip(*energies, strict=True)]
    fine = scales[0]
    alive = np.isfinite(sum(scales)) & (fine > 0)
    if alive.any():
        alive &= fine > 0.2 * np.median(fine[alive])  # blocks of clipped pixels show nothing
    if alive.sum() < 16:
        return None
    floor = [float(np.percentile(part[alive], _FLAT)) for part in scales]
    usual = [float(np.median(part[alive])) for part in scales]
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
        or not _is_noise(stabilized, alive, floor[1] / usual[1], weak=ratio < _SHARED)
    ):
        return None
    if ratio < _SHARED:  # beside so little, what scale 4 shows is structure as likely as tails
        return Correlation(sigma, factor, shared=False)
    rise, uneven = np.log(floor[3] / floor[2]), np.log(usual[2] / floor[2])
    added = _beside(float(uneven), float(rise), float(np.log(beyond)))
    return Correlation(sigma, max(1.0, factor * float(np.exp(added))))


def _beside(uneven: float, rise: float, beyond: float) -> float:
    """Logarithm of the factor on the variance beside that of the blur. All arguments are logarithms.

    Args:
        uneven: Median over lowest tenth of the blocks at scale 4; .2 to .4 for noise alone.
        rise: Lowest tenth of the blocks at scale 8 over that at scale 4; -.2 to .3 for noise alone.
        beyond: Lowest tenth of the blocks at scale 4 over that of the blur.
    """
    added = np.interp(uneven + _RISE * rise, _TEXTURE, _ADDED)
    believed = np.interp(rise - _RISE_OF_TAILS * beyond, _PLATEAU, (1.0, 0.0))
    return float(added + believed * np.clip(_TAIL * beyond, 0.0, _LONGEST_TAIL))


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
    """Mean square second difference per block at scales 1, 2, 4 and 8; 1 for white noise of variance 1."""
    parts: list[NDArray] = []
    rows, columns = (n // BLOCK * BLOCK for n in t.shape)
    image = np.where(np.isfinite(t), t, np.nan)[:rows, :columns]  # infinities would warn in every sum
    if image.size == 0:
        return [np.empty(0)] * len(_SCALES)
    for scale in _SCALES:
        high = (
            scipy.ndimage.convolve1d(scipy.ndimage.convolve1d(image, [1, -2, 1], axis=0), [1, -2, 1], axis=1)
            / 6.0
        )
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
            kernel = scipy.ndimage.gaussian_filter1d(kernel, sigma)
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
