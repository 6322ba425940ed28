"""How far an ideal codec lands from the truth under Gaussian noise.

Symbols, of all bounds of this package:

* ``n`` pixels, ``R`` bits: the codebook has at most ``2**R`` codewords, images of ``n`` pixels
* ``x`` truth, any image; ``x'`` the codeword nearest to it, ``gap = |x' - x| / sqrt(n)``, the rms per pixel
* ``y = x + sigma z`` noisy image, ``z`` white Gaussian noise of variance 1
* ``c`` the most likely codeword, that nearest to ``y``: the denoised image; ``e = |c - x| / sqrt(n)``
* ``failure`` probability, over the noise, that a bound does not hold

**Conditions.** The codebook is fixed before the noise is drawn, and *all* of it is searched. Neither holds
for a trained codec: an encoder network makes one guess, and a codec that is trained on the noisy image itself
(DeCompress, ZS-NCD) has a codebook that knows the noise, whose weights would have to be counted as bits.

**Proof.** Since ``|y - c| <= |y - x'|``, ``|c - x|**2 <= |x' - x|**2 + 2 sigma <z, c - x'>``. Let ``t`` be
the largest ``<z, u>`` over the directions ``u`` from ``x'`` to the other codewords. With ``|c - x'| <= |c -
x| + |x' - x|`` the square is completed: ``|c - x| <= |x' - x| + 2 sigma t``. For one ``u``, ``<z, u>`` is
normal; the union over fewer than ``2**R`` of them bounds ``t``. A second bound on ``t`` separates the length
of ``z`` (chi-squared) from its direction (a spherical cap); it never exceeds ``sqrt(n)`` by much and is the
smaller one at many bits per pixel. Both hold for every codebook, so the smaller of the two does.

**What it is worth.** With codewords in the worst places ``2 sigma t`` is reached, so the factor 2 cannot be
saved. The bound is below ``sigma``, the error of the noisy image itself, only up to `useful_bpp` = 0.21 bits
per pixel: above that it allows a worse image than the noisy one.

Sources: DeCompress, arXiv:2503.22015 and ZS-NCD, arXiv:2506.12693; Theorem 2 of arXiv:2602.11553.
"""

from __future__ import annotations

import math

from scipy import special, stats

_LN2 = math.log(2)


def error_bound(
    bits: float, pixels: int, sigma: float = 1.0, gap: float = 0.0, failure: float = 0.01
) -> float:
    """Largest rms error of the nearest codeword to an image with Gaussian noise, units of ``sigma``'s.

    ``e <= gap + 2 sigma t / sqrt(n)`` with ``t`` as in the head of this module; conditions there.

    Args:
        bits: Bits ``R`` of the whole image, at least 0.
        pixels: Number of pixels, at least 1.
        sigma: Standard deviation of the noise, above 0.
        gap: Rms distance of the truth from the codeword nearest to it, in the unit of ``sigma``.
        failure: Probability that the bound does not hold, in (0, 1).

    Raises:
        ValueError: If an argument is out of range.
    """
    check_code(bits, pixels, failure)
    check_at_least("gap", gap, 0.0)
    check_above("sigma", sigma, 0.0)
    return gap + 2 * sigma * _largest_projection(bits, pixels, failure)


def published_error_bound(
    bits: float, pixels: int, sigma: float = 1.0, gap: float = 0.0, eta: float = 1.0
) -> float:
    """The same bound with the constants that DeCompress prints; fails with ``2**(2 - eta R)`` at most.

    ``e <= gap + 2 (1 + 2 sqrt(eta)) sigma sqrt(2 ln 2 R / n)``. The constants were rebuilt from the paper's
    text. The theorem is true: the proof in the head of this module gives ``2 sqrt(1 + eta)`` in the place of
    ``2 (1 + 2 sqrt(eta))``, which is less, at a failure of ``2**(-1 - eta R)``. Kept to be compared with.

    Args:
        bits: Bits ``R`` of the whole image, at least 0.
        pixels: Number of pixels, at least 1.
        sigma: Standard deviation of the noise, above 0.
        gap: Rms distance of the truth from the codeword nearest to it, in the unit of ``sigma``.
        eta: Exponent of the failure, at least 0.

    Raises:
        ValueError: If an argument is out of range.
    """
    check_code(bits, pixels)
    check_at_least("gap", gap, 0.0)
    check_at_least("eta", eta, 0.0)
    check_above("sigma", sigma, 0.0)
    return gap + 2 * (1 + 2 * math.sqrt(eta)) * sigma * math.sqrt(2 * _LN2 * bits / pixels)


def useful_bpp(gap: float = 0.0) -> float:
    """Bits per pixel up to which `error_bound` of a large image is below the noise itself.

    ``-log2(1 - ((1 - gap) / 2)**2) / 2``: 0.2075 for a codebook that holds the truth, 0 where the nearest
    codeword is as far from it as the noisy image.

    Args:
        gap: Rms distance of the truth from the codeword nearest to it, in noise standard deviations.

    Raises:
        ValueError: If it is below 0.
    """
    check_at_least("gap", gap, 0.0)
    return -math.log2(1 - (max(1 - gap, 0.0) / 2) ** 2) / 2


def decoding_error_bound(bits: float, distance: float, sigma: float = 1.0, gap: float = 0.0) -> float:
    """Largest probability that the nearest codeword to the noisy image is not the one nearest to the truth.

    ``(2**R - 1) Q((d - 2 g) / (2 sigma))``, at most 1, with ``Q`` the upper tail of the normal distribution.
    A codeword ``c`` at the distance ``D >= d`` from ``x'`` wins with the probability
    ``Q((|x - c|**2 - |x - x'|**2) / (2 sigma D))``, whose argument is at least ``(D - 2 g) / (2 sigma)``; the
    rest is the union. With ``g = 0`` it is the bound of the textbooks, exact for two codewords; what
    arXiv:2602.11553 prints could not be read, its citation makes the same form likely.

    Args:
        bits: Bits ``R`` of the whole image, at least 0.
        distance: Least Euclidean distance ``d`` of the codeword nearest to the truth from any other (not per
            pixel), in the unit of ``sigma``, at least 0.
        sigma: Standard deviation of the noise, above 0.
        gap: Euclidean distance ``g`` of the truth from the codeword nearest to it (not per pixel). From half
            of ``distance`` on nothing is excluded.

    Raises:
        ValueError: If an argument is out of range.
    """
    check_code(bits, 1)
    check_at_least("distance", distance, 0.0)
    check_at_least("gap", gap, 0.0)
    check_above("sigma", sigma, 0.0)
    if distance <= 2 * gap and bits > 0:
        return 1.0
    return math.exp(min(0.0, _log_others(bits) + special.log_ndtr(-(distance - 2 * gap) / (2 * sigma))))


def _largest_projection(bits: float, pixels: int, failure: float) -> float:
    """Bound on ``t / sqrt(n)``, the noise's largest part along one of the directions to other codewords."""
    each = math.log(failure) - _log_others(bits)  # log of the failure that one direction may have
    if each >= -_LN2:
        return 0.0
    line = -float(special.ndtri_exp(each)) / math.sqrt(pixels)
    if pixels == 1:
        return line
    # half of the failure for the length; the cap's measure is at most (1 - s**2)**((n - 1) / 2) / 2
    length = math.sqrt(stats.chi2.isf(failure / 2, pixels) / pixels)
    return min(line, length * math.sqrt(-math.expm1(2 * each / (pixels - 1))))


def _log_others(bits: float) -> float:
    """Logarithm of the number of other codewords, ``2**bits - 1``."""
    return bits * _LN2 + math.log(-math.expm1(-bits * _LN2)) if bits > 0 else -math.inf


def log_union(bits: float, failure: float) -> float:
    """Exponent ``tau`` that one codeword's failure ``exp(-tau)`` must have for all together."""
    return bits * _LN2 - math.log(failure)


def check_code(bits: float, pixels: int, failure: float = 0.5) -> None:
    """Refuse what is no size of a code, or no probability of failure."""
    check_at_least("bits", bits, 0.0)
    check_at_least("pixels", pixels, 1)
    if not 0 < failure < 1:
        raise ValueError(f"failure: expected a probability between 0 and 1, found {failure}; 0.01 is usual")


def check_at_least(name: str, value: float, least: float) -> None:
    """Refuse a number below ``least``, or none."""
    if not least <= value < math.inf:
        raise ValueError(f"{name}: expected a finite number, {least:g} or more, found {value}")


def check_above(name: str, value: float, least: float) -> None:
    """Refuse a number that is not above ``least``, or none."""
    if not least < value < math.inf:
        raise ValueError(f"{name}: expected a finite number above {least:g}, found {value}")
