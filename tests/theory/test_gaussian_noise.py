"""The bounds under Gaussian noise, on real codebooks that are searched whole."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from napari_rdpdenoise.theory import (
    decoding_error_bound,
    error_bound,
    published_error_bound,
    useful_bpp,
)

DRAWS = 1500


def nearest(codebook, noisy):
    """Index of the codeword nearest to each noisy image (draws, pixels)."""
    return np.argmin(np.square(codebook).sum(1) - 2 * noisy @ codebook.T, axis=1)


def errors(codebook, truth, sigma, rng, draws=DRAWS):
    """Rms errors of the decoded images, and whether the codeword nearest to the truth was missed."""
    noisy = truth + sigma * rng.standard_normal((draws, truth.size))
    found = nearest(codebook, noisy)
    (own,) = nearest(codebook, truth[None])
    return np.sqrt(np.mean(np.square(codebook[found] - truth), axis=1)), found != own


def gap_of(codebook, truth):
    return float(np.sqrt(np.square(codebook - truth).mean(1).min()))


def worst_codebook(truth, count, radius, rng):
    """The truth, and all others at one distance from it (per pixel), in directions of their own."""
    directions = rng.standard_normal((count - 1, truth.size))
    directions /= np.sqrt(np.square(directions).mean(1, keepdims=True))
    return np.concatenate([truth[None], truth + radius * directions])


@pytest.mark.parametrize("pixels", [6, 64, 1024])
@pytest.mark.parametrize("bits", [2, 8])
@pytest.mark.parametrize("spread", [0.3, 1.0, 3.0])
def test_no_more_draws_than_stated_are_beyond_the_bound(pixels, bits, spread):
    rng = np.random.default_rng(pixels + bits)
    sigma, failure = 2.0, 0.05
    codebook = spread * sigma * rng.standard_normal((2**bits, pixels))
    for truth in (codebook[0], codebook[0] + 0.2 * sigma * rng.standard_normal(pixels), np.zeros(pixels)):
        found, _ = errors(codebook, truth, sigma, rng)
        bound = error_bound(bits, pixels, sigma, gap_of(codebook, truth), failure)
        assert np.mean(found > bound) <= failure


def test_the_bound_is_reached_but_for_a_tenth_where_codewords_are_in_the_worst_places():
    """It is not vacuous: some code of that size has an error nearly as large."""
    rng = np.random.default_rng(1)
    bits, pixels = 10, 2000
    truth = rng.standard_normal(pixels)
    bound = error_bound(bits, pixels, failure=0.05)
    assert bound < 0.25  # noise standard deviations: a quarter of the error of the noisy image
    found, _ = errors(worst_codebook(truth, 2**bits, 0.8 * bound, rng), truth, 1.0, rng, draws=400)
    assert np.mean(found > 0.79 * bound) > 0.05
    found, _ = errors(worst_codebook(truth, 2**bits, 1.01 * bound, rng), truth, 1.0, rng, draws=400)
    assert np.mean(found > bound) <= 0.05


def test_a_sparse_code_denoises_as_the_bound_says():
    """Useful where it is claimed to be: with few bits for many pixels the bound is below the noise."""
    rng = np.random.default_rng(2)
    pixels, count = 512, 128
    codebook = np.zeros((count, pixels))
    for word in codebook:
        word[rng.choice(pixels, 8, replace=False)] = 2.0
    bits = math.log2(count)
    assert bits / pixels < useful_bpp()
    bound = error_bound(bits, pixels, failure=0.05)
    found, _ = errors(codebook, codebook[3], 1.0, rng)
    assert np.mean(found > bound) <= 0.05
    assert bound < 0.5
    assert found.mean() < bound


@pytest.mark.parametrize(("bpp", "below"), [(0.2, True), (0.215, False)])
def test_above_a_fifth_of_a_bit_the_bound_says_less_than_the_noisy_image(bpp, below):
    n = 10**7
    assert (error_bound(bpp * n, n) < 1.0) is below
    assert useful_bpp() == pytest.approx(0.2075, abs=1e-4)
    assert useful_bpp(1.0) == useful_bpp(3.0) == 0.0
    for gap in (0.1, 0.5):
        assert error_bound(useful_bpp(gap) * n, n, gap=gap) == pytest.approx(1.0, abs=0.002)


@given(
    bits=st.floats(1, 1e6),
    pixels=st.integers(2, 10**7),
    eta=st.floats(1e-3, 5),
    sigma=st.floats(0.01, 100),
    gap=st.floats(0, 100),
)
def test_the_published_constants_follow_from_the_proof(bits, pixels, eta, sigma, gap):
    """At the same failure, or a smaller one, our bound is below theirs."""
    failure = max(2 ** -(eta * bits), 1e-300)
    if failure == 1e-300:  # theirs then fails even less often
        eta = -math.log2(failure) / bits
    ours = error_bound(bits, pixels, sigma, gap, min(failure, 0.999))
    assert ours <= published_error_bound(bits, pixels, sigma, gap, eta) * (1 + 1e-9)


def test_limits():
    assert error_bound(0, 100, gap=0.3) == 0.3  # one codeword
    rates = [error_bound(bits, 10_000) for bits in (1, 10, 100, 1000, 10_000, 100_000)]
    assert rates == sorted(rates)
    assert 2.0 < rates[-1] < 2.1  # twice the noise's length, however many codewords there are
    assert error_bound(100, 100, sigma=3.0) == pytest.approx(3 * error_bound(100, 100))
    assert error_bound(10, 100, failure=1e-6) > error_bound(10, 100, failure=0.1)
    assert error_bound(100, 1) == pytest.approx(2 * stats.norm.isf(0.01 / (2.0**100 - 1)))


@pytest.mark.parametrize("distance", [1.0, 3.0, 5.0])
def test_two_codewords_are_confused_as_often_as_the_formula_says(distance):
    rng = np.random.default_rng(3)
    codebook = np.zeros((2, 9))
    codebook[1] = distance / 3
    _, missed = errors(codebook, codebook[0], 1.0, rng, draws=40_000)
    bound = decoding_error_bound(1, distance)
    assert np.mean(missed) == pytest.approx(bound, abs=4 * math.sqrt(bound / 40_000))


@pytest.mark.parametrize("scale", [2.2, 3.0, 5.0])
@pytest.mark.parametrize("leaning", [0.0, 0.2])
def test_the_nearest_codeword_is_missed_no_more_often_than_stated(scale, leaning):
    rng = np.random.default_rng(4)
    bits, pixels = 5, 16
    codebook = scale * np.sign(rng.standard_normal((2**bits, pixels)))
    own = codebook[0]
    least = float(np.sqrt(np.square(codebook[1:] - own).sum(1).min()))
    assert least > 0
    other = codebook[1 + np.argmin(np.square(codebook[1:] - own).sum(1))]
    truth = own + leaning * (other - own)  # the worst direction
    _, missed = errors(codebook, truth, 2.0, rng, draws=20_000)
    bound = decoding_error_bound(bits, least, 2.0, leaning * least)
    assert np.mean(missed) <= bound + 4 * math.sqrt(bound / 20_000)


def test_limits_of_the_decoding_error():
    assert decoding_error_bound(0, 1.0) == 0.0
    assert decoding_error_bound(20, 1e-9) == 1.0
    assert decoding_error_bound(8, 4.0, gap=2.0) == 1.0
    assert decoding_error_bound(1e6, 1e4) == 0.0  # far codewords are never taken, however many
    assert 0 < decoding_error_bound(8, 10.0) < 1e-4


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: error_bound(-1, 10), "bits"),
        (lambda: error_bound(1, 0), "pixels"),
        (lambda: error_bound(1, 10, sigma=0), "sigma"),
        (lambda: error_bound(1, 10, gap=-1), "gap"),
        (lambda: error_bound(1, 10, failure=1), "failure"),
        (lambda: error_bound(math.nan, 10), "bits"),
        (lambda: published_error_bound(1, 10, eta=-1), "eta"),
        (lambda: useful_bpp(-0.1), "gap"),
        (lambda: decoding_error_bound(1, -1), "distance"),
    ],
)
def test_what_is_out_of_range_is_refused_by_name(call, name):
    with pytest.raises(ValueError, match=f"{name}: expected .* found"):
        call()
