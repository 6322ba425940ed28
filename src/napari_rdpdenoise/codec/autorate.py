"""The rate that the measured noise asks for, without any clean image.

A codec trained noisy-to-clean denoises in its encoder. With growing rate its residual, the mean of
``(t_y - t_x)**2`` in the stabilised domain where the noise has variance 1, falls and then settles near
the noise variance instead of crossing it. So the answer is the smallest rate beyond which the residual no
longer falls. Rates are compared pixel by pixel on the same tiles: the noise is common to both, so a
tenth of a percent of its variance shows.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from napari_rdpdenoise.codec import Codec, Normalization
from napari_rdpdenoise.codec.normalization import UNIT
from napari_rdpdenoise.noise import stabilized_variance

RATES = tuple(float(r) for r in np.round(np.linspace(0.0, 1.0, 11), 2))
# Noise variances. The error that remains after denoising is a few percent of the noise variance; a thousandth
# more residual is a few percent more error, 0.1 dB.
TOLERANCE = 0.001
_BLANK = 0.01  # share of the expected residual below which nothing at all was removed
_FAR = 0.15  # share by which the settled residual may miss the expected one before the user is told


@dataclass(frozen=True)
class RateChoice:
    """An automatically chosen rate and what it rests on.

    Attributes:
        rate: Chosen rate, [0, 1].
        bpp: Bits per pixel on the sample tiles at that rate.
        expected: Residual if exactly the noise is removed, noise variances (1 but for very dim images).
        found: Residual at the chosen rate, noise variances.
        curve: (rate, residual, bpp) of every rate tried.
        message: What the user should know, or None.
    """

    rate: float
    bpp: float
    expected: float
    found: float
    curve: tuple[tuple[float, float, float], ...]
    message: str | None

    def to_json(self) -> bytes:
        """The choice as JSON."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, data: bytes) -> RateChoice:
        """Inverse of :meth:`to_json`."""
        fields = json.loads(data)
        return cls(**{**fields, "curve": tuple((a, b, c) for a, b, c in fields["curve"])})


def choose_rate(
    codec: Codec,
    tiles: Sequence[NDArray[np.generic]],
    normalization: Normalization,
    rates: Sequence[float] = RATES,
    between: Callable[[], None] = lambda: None,
) -> RateChoice:
    """Choose the smallest rate beyond which the residual no longer falls.

    Args:
        codec: Codec that will be used.
        tiles: Blocks of raw counts of one channel, 2-D, a few.
        normalization: Normalisation of that channel.
        rates: Candidates in ascending order.
        between: Function called after each decode; it may raise to give up the choice.

    Raises:
        ValueError: If there is no tile, or fewer than two rates or not in ascending order.
    """
    if not tiles or len(rates) < 2:
        raise ValueError(
            f"tiles and rates: expected at least 1 tile and 2 rates, found {len(tiles)} and {len(rates)}"
        )
    if any(b <= a for a, b in pairwise(rates)):
        raise ValueError(f"rates: expected ascending numbers from 0 to 1, found {tuple(rates)}")
    residual, bpp, pixels, expected = np.zeros(len(rates)), np.zeros(len(rates)), 0, 0.0
    to_noise = UNIT / normalization.scale
    for tile in tiles:
        u = normalization.forward(tile)
        for place, (image, bits) in enumerate(codec.sweep(tile, normalization, rates)):
            between()
            residual[place] += float(np.sum(np.square((u - image) * to_noise), dtype=np.float64))
            bpp[place] += bits * tile.size
        expected += float(stabilized_variance(normalization.inverse(image), normalization.noise).sum())
        pixels += tile.size
    residual, bpp, expected = residual / pixels, bpp / pixels, expected / pixels
    best = residual.min()
    settled = residual <= best + TOLERANCE
    place = int(np.argmax(settled))
    found = float(residual[place])
    curve = tuple((float(a), float(b), float(c)) for a, b, c in zip(rates, residual, bpp, strict=True))
    return RateChoice(float(rates[place]), float(bpp[place]), expected, found, curve, _doubt(found, expected))


def _doubt(found: float, expected: float) -> str | None:
    ratio = found / max(expected, 1e-6)
    if abs(ratio - 1) <= _FAR:
        return None
    if ratio < _BLANK:
        return "the sample is blank or flat: there is no noise to choose a rate by"
    reason = (
        "structure is being removed, or the noise is stronger than estimated (as in compressed files)"
        if ratio > 1
        else "the noise is weaker than estimated, or correlated between pixels"
    )
    return (
        f"the removed part has {ratio:.2f} times the variance of the estimated noise: {reason}; "
        "compare input and result before you rely on it"
    )
