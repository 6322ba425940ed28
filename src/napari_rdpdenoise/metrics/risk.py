"""The error of a denoiser on an image whose truth nobody knows.

``t`` is the stabilised image, so its noise has variance 1. With ``n`` of unit variance and independent of
it,

    ``seen = t + a n``,  ``kept = t - n / a``

have noises of variance ``1 + a**2`` and ``1 + 1 / a**2`` that are not correlated with one another. A
denoiser ``f`` that is given ``seen`` therefore knows nothing of the noise of ``kept``, and

    ``E |kept - f(seen)|**2 - (1 + 1 / a**2)``

is its squared error at the noise variance ``1 + a**2``: without a derivative, so that rounding in ``f``
does not disturb it. Differences between denoisers of the same ``seen`` are paired and far more exact than
either value. Where neighbouring pixels share their noise, or its variance is not 1, the values are wrong by
a constant that the differences do not have, as long as a denoiser cannot copy the noise.

Source: Pang et al., "Recorrupted-to-Recorrupted: unsupervised deep learning for image denoising", CVPR
2021.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

STRENGTH = 0.5
"""Default of ``a``: the denoiser meets noise of 1.25 times its variance, close to what it is asked for."""


class Recorrupted(NamedTuple):
    """Two images of one scene, float32, of the stabilised image's shape.

    Attributes:
        seen: Image for the denoiser.
        kept: Image to compare with.
        strength: Ratio ``a`` of the added noise to the noise that was there.
    """

    seen: NDArray[np.float32]
    kept: NDArray[np.float32]
    strength: float

    @property
    def variance(self) -> float:
        """Noise variance of ``seen``; that of ``kept`` is ``1 + 1 / strength**2``."""
        return 1.0 + self.strength**2

    def risk(self, denoised: NDArray[np.floating]) -> float:
        """Squared error of what a denoiser made of ``seen``, in units of the noise variance it was given.

        Args:
            denoised: Its answer, in the stabilised domain.

        Returns:
            1 for the noisy image itself, 0 for the truth. An estimate: of a good denoiser and a small image,
            or where the noise was overestimated, it may come out below 0.
        """
        error = float(np.mean(np.square(self.kept - denoised), dtype=np.float64))
        return (error - 1.0 - 1.0 / self.strength**2) / self.variance


def recorrupt(t: NDArray[np.floating], seed: int, strength: float = STRENGTH) -> Recorrupted:
    """Make two images whose noises have nothing in common.

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
    t, a = np.asarray(t, dtype=np.float32), np.float32(strength)
    return Recorrupted(t + a * noise, t - noise / a, strength)
