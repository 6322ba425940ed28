"""The bounds under Poisson noise, on real codebooks that are searched whole."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_rdpdenoise.theory import (
    error_bound,
    poisson_error_bound,
    poisson_mse_bound,
    published_poisson_mse_bound,
    stabilised_error_bound,
)

DRAWS, FAILURE = 1500, 0.05


def codebook_of(bits, pixels, rng, low=0.02, high=1.0):
    """Random images of intensities between two limits, dark ones and bright ones."""
    return low * (high / low) ** rng.random((2**bits, pixels))


def most_likely(codebook, counts, light):
    return np.argmin(light * codebook.sum(1) - counts @ np.log(codebook).T, axis=1)


def nearest(codebook, image):
    return np.argmin(np.square(codebook).sum(1) - 2 * image @ codebook.T, axis=1)


def rms(values):
    return np.sqrt(np.mean(np.square(values), axis=-1))


def near_to(codeword, rng, share):
    return np.clip(codeword * (1 + share * rng.standard_normal(codeword.size)), 1e-3, 1.0)


@pytest.mark.parametrize("light", [2.0, 30.0, 1000.0])
@pytest.mark.parametrize(("bits", "pixels"), [(3, 8), (8, 64), (8, 1024)])
@pytest.mark.parametrize("share", [0.0, 0.1])
def test_the_most_likely_codeword_is_within_the_bound(light, bits, pixels, share):
    rng = np.random.default_rng(bits + pixels)
    codebook = codebook_of(bits, pixels, rng)
    truth = near_to(codebook[0], rng, share)
    counts = rng.poisson(light * truth, (DRAWS, pixels))
    found = codebook[most_likely(codebook, counts, light)]
    (own,) = nearest(np.sqrt(codebook), np.sqrt(truth)[None])
    gap = float(rms(2 * np.sqrt(light * codebook[own]) - 2 * np.sqrt(light * truth)))
    contrast = float(np.sqrt(truth / codebook[own]).max())
    bound = stabilised_error_bound(bits, pixels, gap, contrast, FAILURE)
    stabilised = rms(2 * np.sqrt(light * found) - 2 * np.sqrt(light * truth))
    assert np.mean(stabilised > bound) <= FAILURE
    assert np.mean(rms(found - truth) > poisson_error_bound(bound, light)) <= FAILURE


def test_it_is_useful_where_few_bits_describe_many_pixels():
    """Below the noise of the image itself, and reached but for a factor of two by codewords in bad places."""
    rng = np.random.default_rng(5)
    bits, pixels, light = 8, 1500, 50.0
    truth = 0.02 * 50.0 ** rng.random(pixels)
    bound = stabilised_error_bound(bits, pixels, failure=FAILURE)
    assert bound < 0.35  # the stabilised image has an error of 1
    others = np.sqrt(truth) + 0.6 * bound / (2 * math.sqrt(light)) * rng.standard_normal(
        (2**bits - 1, pixels)
    )
    codebook = np.concatenate([truth[None], np.square(np.maximum(others, 1e-3))])
    counts = rng.poisson(light * truth, (DRAWS, pixels))
    found = codebook[most_likely(codebook, counts, light)]
    stabilised = rms(2 * np.sqrt(light * found) - 2 * np.sqrt(light * truth))
    assert np.mean(stabilised > bound) <= FAILURE
    assert np.mean(stabilised > 0.5 * bound) > 0.05


def test_it_is_the_gaussian_bound_where_the_codebook_holds_the_truth():
    n = 10**6
    for bpp in (0.001, 0.01):
        poisson, gaussian = stabilised_error_bound(bpp * n, n), error_bound(bpp * n, n)
        assert gaussian <= poisson <= 1.02 * gaussian
    assert stabilised_error_bound(0, n, gap=0.2) == 0.2


@pytest.mark.parametrize("light", [5.0, 100.0, 10_000.0])
@pytest.mark.parametrize(("bits", "pixels"), [(3, 8), (8, 256)])
@pytest.mark.parametrize("share", [0.0, 0.1])
def test_the_nearest_codeword_is_within_its_bound(light, bits, pixels, share):
    rng = np.random.default_rng(bits * pixels)
    codebook = codebook_of(bits, pixels, rng)
    truth = near_to(codebook[0], rng, share)
    found = codebook[nearest(codebook, rng.poisson(light * truth, (DRAWS, pixels)) / light)]
    gap = float(rms(codebook - truth).min())
    bound = poisson_mse_bound(bits, pixels, light, gap, failure=FAILURE)
    assert np.mean(rms(found - truth) > bound) <= FAILURE


def test_the_nearest_codeword_is_bounded_below_the_noise_where_light_is_enough():
    bits, pixels, light = 8, 1024, 100.0
    noise = math.sqrt(1 / light)  # of the brightest pixels
    assert poisson_mse_bound(bits, pixels, light) < 0.5 * noise
    lights = [poisson_mse_bound(bits, pixels, light) for light in (1e8, 1e10)]
    assert lights[0] / lights[1] == pytest.approx(10, rel=1e-3)  # falls as the noise does, not as its root
    assert poisson_mse_bound(0, 10, 1.0, gap=0.1) == 0.1
    assert poisson_mse_bound(1e6, 10, 1e12, gap=0.1) == pytest.approx(0.1, abs=2e-3)


@given(
    bits=st.floats(1, 1e4),
    pixels=st.integers(1, 10**7),
    light=st.floats(0.1, 1e5),
    eta=st.floats(1e-3, 0.05),
    gap=st.floats(0, 1),
)
def test_the_published_constants_for_the_nearest_codeword_follow_from_the_proof(
    bits, pixels, light, eta, gap
):
    theirs = published_poisson_mse_bound(bits, pixels, light, gap, eta)
    if theirs**2 - gap**2 < 1:  # no two images of intensities in [0, 1] differ by more
        ours = poisson_mse_bound(bits, pixels, light, gap, failure=2 ** -(eta * bits))
        assert ours <= theirs * (1 + 1e-9)


def test_the_constant_of_the_paper_for_the_most_likely_codeword_cannot_be_right():
    """``C1 = x_max**5 / x_min**2``, as rebuilt from the paper, promises less than the nearest distance."""
    rng = np.random.default_rng(6)
    pixels, light, low, high = 64, 1e9, 0.4, 0.5
    truth = np.full(pixels, 0.45)
    codebook = rng.choice([low + 0.01, high - 0.01], (4, pixels))
    found = codebook[most_likely(codebook, rng.poisson(light * truth, (50, pixels)), light)]
    nearest_distance = np.square(codebook - truth).mean(1).min()
    constant = high**5 / low**2
    assert constant < 0.2
    assert (np.square(found - truth).mean(1) > 4 * constant * nearest_distance).all()


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: stabilised_error_bound(-1, 10), "bits"),
        (lambda: stabilised_error_bound(1, 10, gap=-1), "gap"),
        (lambda: stabilised_error_bound(1, 10, contrast=math.inf), "contrast"),
        (lambda: stabilised_error_bound(1, 10, failure=0), "failure"),
        (lambda: poisson_error_bound(1, 0), "light"),
        (lambda: poisson_error_bound(1, 1, 0), "brightest"),
        (lambda: poisson_mse_bound(1, 0, 1), "pixels"),
        (lambda: published_poisson_mse_bound(1, 10, 1, eta=-1), "eta"),
    ],
)
def test_what_is_out_of_range_is_refused_by_name(call, name):
    with pytest.raises(ValueError, match=f"{name}: expected .* found"):
        call()
