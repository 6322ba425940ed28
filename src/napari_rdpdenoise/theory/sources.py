"""Rate, distortion and perception of two sources that have formulas: oracles for codecs and for tests.

Symbols: ``R`` bits per sample; ``D`` mean squared error; ``P`` Wasserstein-2 distance of the distributions of
source and reconstruction, in the source's unit (not squared); ``rho(R) = sqrt(1 - 2**(-2 R))`` the largest
correlation that ``R`` bits allow with a Gaussian.

Rates are mutual information, as in Blau and Michaeli: many samples are coded together, and encoder and
decoder share random numbers. A decoder that has nothing but the bits pays more for realism, see
`distortion_without_shared_randomness`.

Sources: Blau and Michaeli, "Rethinking lossy compression: the rate-distortion-perception tradeoff", ICML
2019; Zhang et al., "Universal rate-distortion-perception representations for lossy compression", NeurIPS 2021
(Gaussian); Song, Ozgur and Weissman, arXiv:2512.14539 (noisy sources). The proofs given here are our own.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from napari_rdpdenoise.theory.gaussian_noise import check_above, check_at_least


class Enclosure(NamedTuple):
    """Limits between which a value lies, both attained by something or proved."""

    lower: float
    upper: float


def gaussian_distortion(
    rate: float, perception: float = math.inf, sigma: float = 1.0, noise: float = 0.0
) -> float:
    """Least mean squared error of a Gaussian at a rate and a perception, seen clean or through noise.

    With ``tau**2 = sigma**4 / (sigma**2 + noise**2)``, the variance of the best estimate from what is seen:

        ``D = (sigma**2 - tau**2) + tau**2 2**(-2 R) + (s - tau rho)**2``,  ``s = max(tau rho, sigma - P)``

    the error that no rate removes, what the bits leave open, and the price of realism. Proof: an estimate of
    standard deviation ``s`` and correlation ``r`` with the best one has the error
    ``sigma**2 + s**2 - 2 tau s r`` or more. ``R`` bits allow ``r <= rho``, because they are at least
    ``-log2(1 - r**2) / 2``, and ``P >= |sigma - s|``. A Gaussian channel attains it.

    Args:
        rate: Bits per sample, at least 0; infinite for no limit.
        perception: Largest Wasserstein-2 distance, at least 0; infinite for no limit.
        sigma: Standard deviation of the source, above 0.
        noise: Standard deviation of white Gaussian noise on what the encoder sees, at least 0.

    Raises:
        ValueError: If an argument is out of range.
    """
    check_rate(rate, perception)
    check_above("sigma", sigma, 0.0)
    check_at_least("noise", noise, 0.0)
    known = sigma**2 / math.hypot(sigma, noise)
    recovered = known * math.sqrt(-math.expm1(-2 * math.log(2) * rate))
    spread = max(recovered, sigma - perception)
    return sigma**2 - recovered**2 + (spread - recovered) ** 2


def gaussian_rate(distortion: float, perception: float = math.inf, sigma: float = 1.0) -> float:
    """Bits per sample that a Gaussian needs: the inverse of `gaussian_distortion` without noise.

    ``-log2(1 - r**2) / 2`` with ``r = (sigma**2 + s**2 - D) / (2 sigma s)``, ``s = sigma - P``, where the
    perception binds (``P <= sigma - sqrt(|sigma**2 - D|)``), else the classical ``log2(sigma**2 / D) / 2``,
    or 0. It is Theorem 1 of Zhang et al., and follows from the proof there.

    Args:
        distortion: Largest mean squared error, above 0.
        perception: Largest Wasserstein-2 distance, at least 0; infinite for no limit.
        sigma: Standard deviation of the source, above 0.

    Raises:
        ValueError: If an argument is out of range.
    """
    check_rate(0.0, perception)
    check_above("distortion", distortion, 0.0)
    check_above("sigma", sigma, 0.0)
    if distortion >= gaussian_distortion(0.0, perception, sigma):
        return 0.0
    if perception > sigma - math.sqrt(sigma**2 - min(distortion, sigma**2)):
        return math.log2(sigma**2 / distortion) / 2
    spread = sigma - perception
    correlation = (sigma**2 + spread**2 - distortion) / (2 * sigma * spread)
    return -math.log2(1 - correlation**2) / 2


def bernoulli_gaussian_distortion(
    rate: float, perception: float = math.inf, sigma: float = 1.0, density: float = 0.1
) -> Enclosure:
    """Least mean squared error of a sparse source, 0 but for a Gaussian in a share of the samples: limits.

    No formula for the value itself is known. Both limits are the Gaussian's, on the samples that are not 0:

        ``lower = q G(R / q, P / sqrt(q))``,  ``upper = q G((R - h(q)) / q, P / sqrt(q))``

    with ``q`` the density, ``G`` `gaussian_distortion` and ``h`` the binary entropy. The lower one is that of
    a codec which is told where the source is 0, and no codec can be better: the bits about ``X`` are at least
    those about ``X`` given where it is 0, and nothing is gained by power where it is 0. The upper one sends
    those places without loss, ``h(q)`` bits, and the values with the rest; below ``h(q)`` bits it sends
    nothing. They are ``h(q)`` bits apart, the same for ``q = 1``; and for small errors the
    value comes slowly near to the upper one (Gyorgy, Linder and Zeger, IEEE Trans. Inf. Theory 1999).

    Args:
        rate: Bits per sample, at least 0; infinite for no limit.
        perception: Largest Wasserstein-2 distance, at least 0; infinite for no limit.
        sigma: Standard deviation of the samples that are not 0, above 0.
        density: Share ``q`` of the samples that are not 0, in (0, 1].

    Raises:
        ValueError: If an argument is out of range.
    """
    check_rate(rate, perception)
    if not 0 < density <= 1:
        raise ValueError(f"density: expected a share above 0 and up to 1, found {density}")
    within = perception / math.sqrt(density)
    lower = density * gaussian_distortion(rate / density, within, sigma)
    left = rate - _entropy(density)
    if left >= 0:
        return Enclosure(lower, density * gaussian_distortion(left / density, within, sigma))
    return Enclosure(lower, _unseen(within, sigma) * density)


def _unseen(perception: float, sigma: float) -> float:
    """Mean squared error of a reconstruction that knows nothing of the Gaussian."""
    return sigma**2 + max(sigma - perception, 0.0) ** 2


def _entropy(share: float) -> float:
    """Binary entropy, bits."""
    if share == 1:
        return 0.0
    return -(share * math.log2(share) + (1 - share) * math.log2(1 - share))


def check_rate(rate: float, perception: float) -> None:
    """Refuse rates and perceptions below 0."""
    for name, value in (("rate", rate), ("perception", perception)):
        if not value >= 0:
            raise ValueError(f"{name}: expected a number of 0 or more, found {value}")
