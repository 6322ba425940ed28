"""Checks that two images are a pair, and brings them to one grid and one scale.

The shift is the peak of the phase correlation; the partner's counts are mapped onto the noisy image's scale
by the least-squares line through both after a blur, which noise in the partner would otherwise flatten.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_rdpdenoise.finetune.images import Planes, filled

_BLUR = 2.0  # px
_MOST = 16.0  # px of shift that are put right
_FRACTION = 0.25  # px of remaining shift from which on the user is told
_ALIKE = 0.3  # least correlation after the blur
_UPSAMPLED = 10  # the shift is found to a tenth of a pixel


@dataclass(frozen=True)
class MatchedPair:
    """A pair on one grid and scale.

    Attributes:
        noisy: Noisy image (rows, columns), counts.
        partner: Partner of the same shape, in the noisy image's counts.
        shift: Shift of the partner against the noisy image before, px (rows, columns).
        correlation: Correlation of the two after a blur.
    """

    noisy: NDArray[Any]
    partner: NDArray[np.float32]
    shift: tuple[float, float]
    correlation: float


def match_pairs(noisy: Planes, partners: Planes) -> tuple[list[MatchedPair], tuple[str, ...]]:
    """Match every noisy image with its partner, by order: the pairs, and remarks for the user.

    Raises:
        ValueError: If the numbers differ, or a pair is none; the message names it.
    """
    if len(noisy) != len(partners):
        raise ValueError(
            f"partners: expected one for each of the {len(noisy)} noisy images, found {len(partners)}; "
            "give both in the same order"
        )
    pairs, remarks = [], []
    for a, b, name in zip(noisy.planes, partners.planes, noisy.names, strict=True):
        pair = match(a, b, name)
        pairs.append(pair)
        left = max(abs(s - round(s)) for s in pair.shift)
        if left > _FRACTION:
            remarks.append(f"{name}: {left:.1f} px of shift remain, which blurs what is learned")
    return pairs, tuple(remarks)


def match(noisy: NDArray[Any], partner: NDArray[Any], name: str) -> MatchedPair:
    """Align one pair by whole pixels (interpolation would smooth the noise), and bring it to one scale.

    Both show one place, (rows, columns) in counts of any scale; ``name`` is the pair's in errors.

    Raises:
        ValueError: If the shapes differ, or the two do not show the same.
    """
    if noisy.shape != partner.shape:
        raise ValueError(
            f"pair {name}: expected equal shapes, found {noisy.shape} and {partner.shape}; crop them alike"
        )
    if np.array_equal(noisy, partner):
        raise ValueError(f"pair {name}: expected two images, found the same one twice; check the folders")
    noisy, other = filled(noisy), filled(partner).astype(np.float64)
    shift = _shift(noisy, other)
    rows, columns = (round(s) for s in shift)
    if max(abs(s) for s in shift) > _MOST:
        raise ValueError(
            f"pair {name}: expected a shift of at most {_MOST:g} px, found {shift[0]:.1f} rows and "
            f"{shift[1]:.1f} columns; register the images first, or they are no pair"
        )
    first, second = _overlap(noisy, rows, columns), _overlap(other, -rows, -columns)
    a, b = (ndimage.gaussian_filter(p.astype(np.float64), _BLUR) for p in (first, second))
    correlation = float(np.corrcoef(a.ravel(), b.ravel())[0, 1]) if a.std() and b.std() else 0.0
    if correlation < _ALIKE:
        raise ValueError(
            f"pair {name}: expected two images of the same place, found a correlation of {correlation:.2f} "
            "after a blur; check that they are in the same order and not inverted"
        )
    slope, level = np.polyfit(b.ravel(), a.ravel(), 1)
    return MatchedPair(first, (slope * second + level).astype(np.float32), shift, correlation)


def _shift(noisy: NDArray[Any], other: NDArray[Any]) -> tuple[float, float]:
    """Rows and columns by which content of ``noisy`` lies further than in ``other``."""
    from skimage.registration import phase_cross_correlation

    parts = [ndimage.gaussian_filter(p.astype(np.float64), 1.0) for p in (noisy, other)]
    # without the window the edges, which differ, correlate best at no shift
    window = np.outer(*(np.hanning(n + 2)[1:-1] for n in noisy.shape))
    parts = [(p - p.mean()) * window for p in parts]
    found = phase_cross_correlation(*parts, upsample_factor=_UPSAMPLED, normalization=None)[0]
    return float(found[0]), float(found[1])


def _overlap(image: NDArray[Any], rows: int, columns: int) -> NDArray[Any]:
    """The part that is left when content lies ``rows`` and ``columns`` further than in the partner."""
    height, width = image.shape
    return image[max(0, rows) : height + min(0, rows), max(0, columns) : width + min(0, columns)]
