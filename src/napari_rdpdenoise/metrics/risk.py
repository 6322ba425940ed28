"""The error of a denoiser on an image whose truth nobody knows.

``t`` is the stabilised image, so its noise has variance 1. With ``n`` of unit variance and independent of
it,

    ``seen = t + a n``,  ``kept = t - n / a``

have noises that are not correlated with one another. A denoiser ``f`` that is given ``seen`` therefore knows
nothing of the noise of ``kept``, and the mean of ``|kept - f(seen)|**2`` less the variance of ``kept`` is its
squared error at the noise variance ``1 + a**2``: without a derivative, so that rounding in ``f`` does not
disturb it. Written out it is

    ``E |t - f|**2 - 2 / a E (t - f) n - 1``

because the square of ``n`` is known. In the second term ``t`` may be any image that does not depend on
``n``, such as a blurred ``t``: of the two the one that is nearer to ``f`` is taken, because its chance
correlation with ``n`` is then small, and the value up to four times more exact. Differences between denoisers
of the same ``seen`` are paired and more exact still. Where neighbouring pixels share their noise, or its
variance is not 1, the values are wrong by a constant that the differences do not have, as long as a denoiser
cannot copy the noise.

Sources: Pang et al., "Recorrupted-to-Recorrupted: unsupervised deep learning for image denoising", CVPR 2021;
the second term as a divergence: Ramani, Blu, Unser, "Monte-Carlo SURE", IEEE TIP 2008.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

STRENGTH = 0.5
"""Default of ``a``: the denoiser meets noise of 1.25 times its variance, close to what it is asked for."""

_BLUR = 1.0  # px, of the image that stands for the answer in the second term


class Recorrupted(NamedTuple):
    """A stabilised image with noise of its own and of ours, float32, all of one shape.

    Attributes:
        seen: Image for the denoiser.
        given: Stabilised image, noise variance 1.
        added: Noise that was added to it, variance 1, not yet multiplied by ``strength``.
        strength: Ratio ``a`` of the added noise to the noise that was there.
    """

    seen: NDArray[np.float32]
    given: NDArray[np.float32]
    added: NDArray[np.float32]
    strength: float

    @property
    def variance(self) -> float:
        """Noise variance of ``seen``."""
        return 1.0 + self.strength**2

    def risk(self, denoised: NDArray[np.floating], usable: NDArray[np.bool_] | None = None) -> float:
        """Squared error of what a denoiser made of ``seen``, in units of the noise variance it was given.

        Args:
            denoised: Its answer, in the stabilised domain.
            usable: Pixels that are looked at, same shape, at least one; None for all.

        Returns:
            1 for the noisy image itself, 0 for the truth. An estimate: of a good denoiser and a small image,
            or where the noise was overestimated, it may come out below 0.
        """
        blurred = ndimage.gaussian_filter(self.given, _BLUR)
        near = min((blurred, self.given), key=lambda image: _distance(denoised, image, usable))
        squares = np.square(self.given - denoised) + 2 / self.strength * (denoised - near) * self.added
        error = np.mean(squares if usable is None else squares[usable], dtype=np.float64)
        return float(error - 1.0) / self.variance


def _distance(
    one: NDArray[np.floating], other: NDArray[np.floating], usable: NDArray[np.bool_] | None
) -> float:
    return float(np.mean(np.square(one - other), where=True if usable is None else usable))


def recorrupt(t: NDArray[np.floating], seed: int, strength: float = STRENGTH) -> Recorrupted:
    """Add noise of which a denoiser's answer can be asked how much of it was copied.

    Args:
        t: Stabilised image of any shape, noise variance 1.
        seed: Seed of the added noise.
        strength: Ratio of the added noise to the noise that is there, above 0.

    Raises:
        ValueError: If ``strength`` is not above 0.
    """
    if not strength > 0:
        raise ValueError(f"strength: expected a number above 0, found {strength}; {STRENGTH} is a good one")
    noise = np.random.default_rng(seed).standard_normal(t.shape, dtype=np.float32)
    t = np.asarray(t, dtype=np.float32)
    return Recorrupted(t + np.float32(strength) * noise, t, noise, strength)
