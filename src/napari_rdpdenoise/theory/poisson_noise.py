"""How far an ideal codec lands from the truth under Poisson noise (photon counting).

Beside the symbols of `gaussian_noise`: ``y_i`` is Poisson of mean ``light * x_i``, so ``light`` is the number
of photo-electrons at intensity 1 and ``y / light`` the noisy image; ``brightest`` is the largest intensity of
truth and codewords. The conditions are those of `gaussian_noise`; and ``x'`` is 0 only where ``x`` is.

**Proof for the most likely codeword** (least ``light c_i - y_i log c_i``, summed). For a codeword ``c`` let
``H = |sqrt(c) - sqrt(x')|`` and ``h = |sqrt(x) - sqrt(x')|``. By Markov's inequality for the square root of
the likelihood ratio, ``c`` beats ``x'`` with a probability of at most

    ``exp(-light (H**2 / 2 - k h H))``,  ``k = 1 + max sqrt(x_i / x'_i)``

(for ``h = 0`` that is the Bhattacharyya bound). So all codewords with ``H > k h + sqrt(k**2 h**2 + 2 tau /
light)`` lose with ``tau = R ln 2 + ln(1 / failure)``, and ``|sqrt(c) - sqrt(x)| <= h + H``. With ``t = 2
sqrt(light x)``, the Anscombe transform, this reads as the Gaussian bound at ``sigma = 1``: light and darkness
have dropped out.

**Against the paper.** The theorem for the most likely codeword, as it was rebuilt from ZS-NCD's text, bounds
the squared error by ``C1 gap**2 + C2 sqrt(R / (n light))`` with ``C1 = x_max**5 / x_min**2`` and a factor
beta in ``C2`` that could not be read. As written it is not right: for intensities below 1, ``C1`` can be
below 1, and with much light the error would be smaller than the distance to the nearest codeword. It is not
offered here; what is offered is proved above, needs no ``x_min``, and falls with ``R / (n light)`` in the
place of its root.

Source: ZS-NCD, arXiv:2506.12693 (theorems for Poisson noise).
"""

from __future__ import annotations

import math

from napari_rdpdenoise.theory.gaussian_noise import check_above, check_at_least, check_code, log_union


def stabilised_error_bound(
    bits: float, pixels: int, gap: float = 0.0, contrast: float = 1.0, failure: float = 0.01
) -> float:
    """Largest rms error of the most likely codeword, in the domain where Poisson noise has variance 1.

    ``gap + k gap + sqrt((k gap)**2 + 8 tau / n)``, ``k = 1 + contrast``: the rms of
    ``2 sqrt(light c) - 2 sqrt(light x)``. At ``gap = 0`` it is ``2 sqrt(2 tau / n)``, as for Gaussian noise.

    Args:
        bits: Bits ``R`` of the whole image, at least 0.
        pixels: Number of pixels, at least 1.
        gap: Rms of ``2 sqrt(light x') - 2 sqrt(light x)``, noise standard deviations.
        contrast: Largest ``sqrt(x_i / x'_i)``; 1 where the codebook holds the truth.
        failure: Probability that the bound does not hold, in (0, 1).

    Raises:
        ValueError: If an argument is out of range.
    """
    check_code(bits, pixels, failure)
    check_at_least("gap", gap, 0.0)
    check_at_least("contrast", contrast, 0.0)
    if bits == 0:
        return gap
    leaning = (1 + contrast) * gap
    return gap + leaning + math.sqrt(leaning**2 + 8 * log_union(bits, failure) / pixels)


def poisson_error_bound(stabilised: float, light: float, brightest: float = 1.0) -> float:
    """Largest rms error in intensities, from one in the stabilised domain.

    ``|c - x| = |sqrt(c) - sqrt(x)| (sqrt(c) + sqrt(x))``, so ``e <= sqrt(brightest / light) * stabilised``:
    the bound in units of the noise at the brightest place.

    Args:
        stabilised: `stabilised_error_bound`, noise standard deviations.
        light: Photo-electrons at intensity 1, above 0.
        brightest: Largest intensity of truth and codewords, above 0.

    Raises:
        ValueError: If an argument is out of range.
    """
    check_at_least("stabilised", stabilised, 0.0)
    check_above("light", light, 0.0)
    check_above("brightest", brightest, 0.0)
    return math.sqrt(brightest / light) * stabilised


def poisson_mse_bound(
    bits: float,
    pixels: int,
    light: float,
    gap: float = 0.0,
    brightest: float = 1.0,
    failure: float = 0.01,
) -> float:
    """Largest rms error of the codeword that is nearest to ``y / light``, Poisson noise, in intensities.

    As for Gaussian noise, ``|c - x|**2 <= |x' - x|**2 + 2 <w, c - x'>`` with ``w = y / light - x``. By
    Bernstein's inequality ``<w, v> <= sqrt(2 tau b / light) |v| + b tau / (3 light)`` for ``v = c - x'`` and
    ``b = brightest``, with ``tau = R ln 2 + ln(1 / failure)`` for all codewords at once. With ``|v| <= |c -
    x| + |x' - x|`` the square is completed; ``|v| <= b sqrt(n)`` gives a second bound. Both hold in the same
    draws, so the smaller one does.

    Args:
        bits: Bits ``R`` of the whole image, at least 0.
        pixels: Number of pixels, at least 1.
        light: Photo-electrons at intensity 1, above 0.
        gap: Rms distance of the truth from the codeword nearest to it, intensities.
        brightest: Largest intensity of truth and codewords, above 0.
        failure: Probability that the bound does not hold, in (0, 1).

    Raises:
        ValueError: If an argument is out of range.
    """
    check_code(bits, pixels, failure)
    check_at_least("gap", gap, 0.0)
    check_above("light", light, 0.0)
    check_above("brightest", brightest, 0.0)
    if bits == 0:
        return gap
    per_pixel = log_union(bits, failure) / (pixels * light)
    step, rest = math.sqrt(2 * per_pixel * brightest), 2 / 3 * brightest * per_pixel
    near = step + math.sqrt((gap + step) ** 2 + rest)
    return min(near, math.sqrt(gap**2 + 2 * step * brightest + rest))


def published_poisson_mse_bound(
    bits: float, pixels: int, light: float, gap: float = 0.0, eta: float = 1.0
) -> float:
    """The same bound with the constants that ZS-NCD prints; fails with ``2**(2 - eta R)`` at most.

    ``e**2 <= gap**2 + 4 sqrt(ln 2) (sqrt(1 + eta) + sqrt(eta) + 1) sqrt(R / (n light))``, truth and codewords
    in [0, 1]. The constants were rebuilt from the paper's text. The theorem is true: where its second term is
    below 1, more than which no error can be, the second bound of `poisson_mse_bound` is below it. Kept to be
    compared with.

    Args:
        bits: Bits ``R`` of the whole image, at least 0.
        pixels: Number of pixels, at least 1.
        light: Photo-electrons at intensity 1, above 0.
        gap: Rms distance of the truth from the codeword nearest to it, intensities.
        eta: Exponent of the failure, at least 0.

    Raises:
        ValueError: If an argument is out of range.
    """
    check_code(bits, pixels)
    check_at_least("gap", gap, 0.0)
    check_at_least("eta", eta, 0.0)
    check_above("light", light, 0.0)
    factor = 4 * math.sqrt(math.log(2)) * (math.sqrt(1 + eta) + math.sqrt(eta) + 1)
    return math.sqrt(gap**2 + factor * math.sqrt(bits / (pixels * light)))
