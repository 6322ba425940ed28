"""The closed forms, against numerical optimisation over all channels on a grid, and against their limits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from napari_rdpdenoise.theory import (
    bernoulli_gaussian_distortion,
    distortion_without_shared_randomness,
    gaussian_distortion,
    gaussian_rate,
)

GRID = np.linspace(-4.5, 4.5, 181)  # holds 0


def gaussian(spread):
    weights = np.exp(-(GRID**2) / (2 * spread**2))
    return weights / weights.sum()


def sparse(density, spread=1.0):
    weights = density * gaussian(spread)
    weights[GRID.size // 2] += 1 - density
    return weights


def point(channel, source):
    """Rate in bits and distortion of a channel (source, reconstruction) whose rows are conditional."""
    joint = source[:, None] * channel
    marginal = joint.sum(0)
    used = joint > 1e-300
    independent = np.broadcast_to(source[:, None] * marginal, joint.shape)
    rate = float(np.sum(joint[used] * np.log2(joint[used] / independent[used])))
    return rate, float(np.sum(joint * np.square(GRID[:, None] - GRID)))


def without_perception(source, slope, rounds=3000):
    """Blahut-Arimoto: the best of all channels."""
    kernel = np.exp(-slope * np.square(GRID[:, None] - GRID))
    out = np.full(GRID.size, 1 / GRID.size)
    for _ in range(rounds):
        channel = kernel * out
        channel /= channel.sum(1, keepdims=True)
        out = source @ channel
    return point(channel, source)


def with_distribution(source, out, slope, rounds=1500):
    """Sinkhorn: the best of all channels whose reconstructions have one distribution."""
    kernel = np.exp(-slope * np.square(GRID[:, None] - GRID)) + 1e-300
    right = np.ones(GRID.size)
    for _ in range(rounds):
        left = 1 / (kernel @ (right * out))
        right = 1 / (kernel.T @ (left * source))
    channel = left[:, None] * kernel * (right * out)
    return point(channel / channel.sum(1, keepdims=True), source)


@pytest.mark.parametrize("slope", [0.6, 1.0, 3.0, 12.0])
def test_gaussian_without_perception_is_the_best_of_all_channels(slope):
    rate, distortion = without_perception(gaussian(1.0), slope)
    assert distortion == pytest.approx(gaussian_distortion(rate), rel=0.01)
    assert distortion == pytest.approx(2 ** (-2 * rate), rel=0.01)


@pytest.mark.parametrize(
    ("perception", "slope"),
    [(0.0, 0.2), (0.0, 1.0), (0.0, 3.0), (0.0, 12.0), (0.05, 0.2), (0.05, 1.0), (0.05, 3.0), (0.3, 0.2)],
)
def test_gaussian_with_perception_is_the_best_of_all_channels(slope, perception):
    """Reconstructions whose spread is the least that the perception allows, where it binds."""
    rate, distortion = with_distribution(gaussian(1.0), gaussian(1.0 - perception), slope)
    assert 1 - perception > math.sqrt(1 - 2 ** (-2 * rate))  # the perception binds
    assert distortion == pytest.approx(gaussian_distortion(rate, perception), rel=0.01)
    assert rate == pytest.approx(gaussian_rate(distortion, perception), abs=0.02)


def test_reconstructions_of_another_distribution_are_no_better():
    """A Laplacian in the place of the Gaussian, as near in its spread as the perception allows."""
    weights = np.exp(-np.abs(GRID) * math.sqrt(2) / 0.8)
    rate, distortion = with_distribution(gaussian(1.0), weights / weights.sum(), 2.0)
    assert distortion > gaussian_distortion(rate, 0.2)


@pytest.mark.parametrize("noise", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("rate", [0.2, 1.0, 3.0])
@pytest.mark.parametrize("perception", [0.0, 0.2, math.inf])
def test_through_noise_no_gaussian_channel_is_better(noise, rate, perception):
    """Channels ``a y + b w`` of that rate: numbers a and b by a numerical optimiser."""
    sigma = 1.5
    seen = sigma**2 + noise**2

    def error(a):
        rest = a**2 * seen / (4**rate - 1)  # variance b**2 that makes the rate
        spread = math.sqrt(a**2 * seen + rest)
        price = 1e4 * max(abs(sigma - spread) - perception, 0.0) ** 2
        return (1 - a) ** 2 * sigma**2 + a**2 * noise**2 + rest + price

    best = min(
        minimize(lambda p: error(p[0]), [start], method="Nelder-Mead", tol=1e-10).fun
        for start in (0.1, 0.5, 1.0)
    )
    assert best == pytest.approx(gaussian_distortion(rate, perception, sigma, noise), rel=1e-3)


def test_limits_of_the_gaussian():
    assert gaussian_distortion(0.0, sigma=2.0) == 4.0
    assert gaussian_distortion(0.0, 0.0, sigma=2.0) == 8.0  # an image of its own
    assert gaussian_distortion(math.inf, 0.0) == 0.0
    assert gaussian_distortion(math.inf, sigma=2.0, noise=1.0) == pytest.approx(4 / 5)  # Wiener's error
    assert gaussian_distortion(0.5, noise=0.7) == pytest.approx(gaussian_distortion(0.5, 1.0, noise=0.7))
    fine = gaussian_distortion(4.0, 0.0) / gaussian_distortion(4.0)
    assert fine == pytest.approx(1.0, abs=2e-3)  # at a high rate realism is free with shared random numbers
    for rate in (0.1, 1.0, 4.0):
        least, real = gaussian_distortion(rate), gaussian_distortion(rate, 0.0)
        assert least < real < distortion_without_shared_randomness(least)
    assert gaussian_rate(2.0) == gaussian_rate(1.0) == gaussian_rate(2.0, 0.0) == 0.0
    assert gaussian_rate(1.5, 0.0) > 0.0  # an error above the variance still takes bits if it is to look real


@given(
    rate=st.floats(0.01, 8),
    perception=st.one_of(st.floats(0, 2), st.just(math.inf)),
    sigma=st.floats(0.1, 10),
)
def test_rate_and_distortion_are_inverse(rate, perception, sigma):
    distortion = gaussian_distortion(rate, perception, sigma)
    assert gaussian_rate(distortion, perception, sigma) == pytest.approx(rate, rel=1e-4, abs=1e-6)


@given(
    rate=st.floats(0, 6), more=st.floats(0.01, 2), perception=st.floats(0, 1.5), density=st.floats(0.01, 1)
)
def test_more_bits_and_less_realism_never_cost_error(rate, more, perception, density):
    def values(r, p):
        return [gaussian_distortion(r, p, noise=0.5), *bernoulli_gaussian_distortion(r, p, density=density)]

    for here, there in zip(values(rate, perception), values(rate + more, perception), strict=True):
        assert there <= here + 1e-12
    for here, there in zip(values(rate, perception), values(rate, perception + more), strict=True):
        assert there <= here + 1e-12


@pytest.mark.parametrize("density", [0.1, 0.3])
@pytest.mark.parametrize("slope", [1.0, 4.0, 20.0])
def test_the_best_channel_of_a_sparse_source_lies_between_the_limits(density, slope):
    source = sparse(density)
    rate, distortion = without_perception(source, slope)
    lower, upper = bernoulli_gaussian_distortion(rate, density=density)
    assert lower * 0.99 <= distortion <= upper * 1.01
    rate, distortion = with_distribution(source, source, slope)
    lower, upper = bernoulli_gaussian_distortion(rate, 0.0, density=density)
    assert lower * 0.99 <= distortion <= upper * 1.01


def test_the_smaller_the_error_of_a_sparse_source_the_nearer_is_the_upper_limit():
    """In bits above the value, which is at most the entropy of where the source is 0."""
    density, entropy = 0.2, 0.7219
    excess = []
    for slope in (3.0, 12.0, 80.0):
        rate, distortion = without_perception(sparse(density), slope)
        excess.append(entropy + density * gaussian_rate(distortion / density) - rate)
    assert entropy > excess[0] > excess[1] > excess[2] > 0
    assert excess[2] < 0.3 * entropy


def test_limits_of_the_sparse_source():
    density, sigma = 0.2, 3.0
    entropy = -(0.2 * math.log2(0.2) + 0.8 * math.log2(0.8))
    nothing = bernoulli_gaussian_distortion(0.0, sigma=sigma, density=density)
    assert nothing.lower == pytest.approx(density * sigma**2)
    assert nothing.upper == pytest.approx(density * sigma**2)
    assert bernoulli_gaussian_distortion(0.0, 0.0, sigma, density).lower == pytest.approx(2 * 9 * density)
    assert bernoulli_gaussian_distortion(math.inf, 0.0, sigma, density) == (0.0, 0.0)
    dense = bernoulli_gaussian_distortion(0.7, 0.1, sigma, density=1.0)
    assert dense.lower == dense.upper == pytest.approx(gaussian_distortion(0.7, 0.1, sigma))
    below = bernoulli_gaussian_distortion(entropy - 1e-9, 0.1, sigma, density).upper
    assert below == pytest.approx(bernoulli_gaussian_distortion(entropy, 0.1, sigma, density).upper)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: gaussian_distortion(-1), "rate"),
        (lambda: gaussian_distortion(1, -1), "perception"),
        (lambda: gaussian_distortion(1, sigma=0), "sigma"),
        (lambda: gaussian_distortion(1, noise=-1), "noise"),
        (lambda: gaussian_distortion(math.nan), "rate"),
        (lambda: gaussian_rate(0), "distortion"),
        (lambda: bernoulli_gaussian_distortion(1, density=0), "density"),
        (lambda: bernoulli_gaussian_distortion(1, density=1.1), "density"),
    ],
)
def test_what_is_out_of_range_is_refused_by_name(call, name):
    with pytest.raises(ValueError, match=f"{name}: expected .* found"):
        call()
