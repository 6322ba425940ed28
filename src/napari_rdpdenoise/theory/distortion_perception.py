"""The price of realism: the line between lowest error and perfect realism.

Symbols: ``m`` the estimate of lowest mean squared error (the posterior mean), ``D*`` its error; ``P`` the
Wasserstein-2 distance of an estimate's distribution from the truth's, in the image's unit (not squared);
``P*`` that of ``m``. Then

    ``D(P) = D* + max(P* - P, 0)**2``

is the least error at a perception. Proof: the error of any estimate ``e`` from the same data is
``D* + E|e - m|**2``, because ``m`` leaves an error that is orthogonal to all that is made of the data; and
``sqrt(E|e - m|**2) >= W(e, m) >= P* - P`` by the triangle inequality. It is attained by the blend
``(1 - a) m + a r`` with ``a = 1 - P / P*``, if ``r`` is the optimal transport of ``m`` to the truth's
distribution. A decoder that was trained for realism is not that, so its blends lie above the line, on
``D* + a**2 E|r - m|**2`` if its other end is ``m``.

Source: Freirich, Michaeli and Meir, "A theory of the distortion-perception tradeoff in Wasserstein space",
NeurIPS 2021; for codecs Yan, Wen and Liu, arXiv:2206.10082.
"""

from __future__ import annotations

from napari_rdpdenoise.theory.gaussian_noise import check_above, check_at_least
from napari_rdpdenoise.theory.sources import check_rate


def distortion_at(perception: float, least: float, farthest: float) -> float:
    """Least mean squared error of an estimate of some perception: ``D* + max(P* - P, 0)**2``.

    Args:
        perception: Largest Wasserstein-2 distance ``P`` from the truth's distribution, at least 0; infinite
            for no limit.
        least: Mean squared error ``D*`` of the posterior mean, at least 0.
        farthest: Wasserstein-2 distance ``P*`` of the posterior mean, at least 0.

    Raises:
        ValueError: If an argument is out of range.
    """
    check_rate(0.0, perception)
    check_at_least("least", least, 0.0)
    check_at_least("farthest", farthest, 0.0)
    return least + max(farthest - perception, 0.0) ** 2


def blend_for(perception: float, farthest: float) -> float:
    """Share of the perfectly realistic estimate in the blend that has some perception: ``1 - P / P*``.

    Args:
        perception: Largest Wasserstein-2 distance ``P`` from the truth's distribution, at least 0; infinite
            for no limit.
        farthest: Wasserstein-2 distance ``P*`` of the posterior mean, above 0.

    Raises:
        ValueError: If an argument is out of range.
    """
    check_rate(0.0, perception)
    check_above("farthest", farthest, 0.0)
    return max(1 - perception / farthest, 0.0)


def distortion_without_shared_randomness(least: float) -> float:
    """Least mean squared error of perfect realism where the decoder has nothing but the bits: ``2 D``.

    ``D`` is the least error of any code of that many bits. Proof: given the bits, truth and reconstruction
    are independent, so the error is at least the sum of their mean squared distances from their own means
    given the bits; both have the same distribution, and each of the two distances is at least ``D``. Drawing
    from the posterior of the bits of the best code attains it. With shared random numbers the price is
    smaller, for a Gaussian `gaussian_distortion` at perception 0.

    Args:
        least: Least mean squared error ``D`` of the bits, at least 0.

    Raises:
        ValueError: If it is below 0.
    """
    check_at_least("least", least, 0.0)
    return 2 * least
