"""The line between lowest error and perfect realism, on a sparse source in Gaussian noise (Monte Carlo)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from napari_rdpdenoise.theory import blend_for, distortion_at, distortion_without_shared_randomness

COUNT, DENSITY, NOISE = 150_000, 0.3, 0.6


def wasserstein(a, b):
    """Distance of two samples of one size on a line: they are paired in their order."""
    return float(np.sqrt(np.mean(np.square(np.sort(a) - np.sort(b)))))


@dataclass(frozen=True)
class Sample:
    truth: np.ndarray
    mean: np.ndarray  # posterior mean
    drawn: np.ndarray  # from the posterior
    realistic: np.ndarray  # the posterior mean, transported to the truth's distribution

    def error(self, estimate):
        return float(np.mean(np.square(estimate - self.truth)))

    @property
    def least(self):
        return self.error(self.mean)

    @property
    def farthest(self):
        return wasserstein(self.mean, self.truth)


@pytest.fixture(scope="module")
def sample():
    rng = np.random.default_rng(7)
    truth = rng.standard_normal(COUNT) * (rng.random(COUNT) < DENSITY)
    seen = truth + NOISE * rng.standard_normal(COUNT)
    wide, narrow = 1 + NOISE**2, NOISE**2
    there = DENSITY * np.exp(-(seen**2) / (2 * wide)) / np.sqrt(wide)
    empty = (1 - DENSITY) * np.exp(-(seen**2) / (2 * narrow)) / np.sqrt(narrow)
    probability = there / (there + empty)
    local = seen / wide  # posterior mean of what is not 0
    spread = np.sqrt(narrow / wide)
    drawn = (local + spread * rng.standard_normal(COUNT)) * (rng.random(COUNT) < probability)
    mean = probability * local
    realistic = np.empty(COUNT)
    realistic[np.argsort(mean)] = np.sort(rng.standard_normal(COUNT) * (rng.random(COUNT) < DENSITY))
    return Sample(truth, mean, drawn, realistic)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.8, 1.0])
def test_the_blend_with_the_transported_mean_is_on_the_line(sample, share):
    perception = share * sample.farthest
    blended = sample.mean + blend_for(perception, sample.farthest) * (sample.realistic - sample.mean)
    assert wasserstein(blended, sample.truth) == pytest.approx(perception, abs=0.02)
    expected = distortion_at(perception, sample.least, sample.farthest)
    assert sample.error(blended) == pytest.approx(expected, rel=0.02)


def test_no_other_estimate_is_below_the_line(sample):
    rng = np.random.default_rng(8)
    others = [sample.mean + a * (sample.drawn - sample.mean) for a in (0.2, 0.6, 1.0)]
    others += [factor * sample.mean for factor in (0.7, 1.1, 1.3)]
    others += [sample.mean + 0.2 * rng.standard_normal(COUNT), np.zeros(COUNT), np.round(sample.mean)]
    for other in others:
        perception = wasserstein(other, sample.truth)
        line = distortion_at(perception, sample.least, sample.farthest)
        assert sample.error(other) >= line * 0.99


def test_drawing_from_the_posterior_costs_twice_and_the_line_less(sample):
    assert wasserstein(sample.drawn, sample.truth) < 0.02
    twice = distortion_without_shared_randomness(sample.least)
    assert sample.error(sample.drawn) == pytest.approx(twice, rel=0.02)
    assert distortion_at(0.0, sample.least, sample.farthest) < twice


def test_with_the_bits_alone_perfect_realism_costs_twice():
    """A quantiser of its best cells: no draw of the truth's distribution from its index does better."""
    rng = np.random.default_rng(9)
    truth = rng.standard_normal(COUNT)
    levels = np.array([-1.510, -0.4528, 0.4528, 1.510])  # Lloyd-Max, 2 bits
    index = np.abs(truth[:, None] - levels).argmin(1)
    least = float(np.mean(np.square(truth - levels[index])))
    assert least == pytest.approx(0.1175, rel=0.01)  # as in the tables
    drawn = np.empty(COUNT)
    for number in range(4):
        drawn[index == number] = rng.permutation(truth[index == number])
    twice = distortion_without_shared_randomness(least)
    assert np.mean(np.square(truth - drawn)) == pytest.approx(twice, rel=0.02)


def test_limits():
    assert distortion_at(np.inf, 0.3, 0.5) == distortion_at(0.5, 0.3, 0.5) == 0.3
    assert distortion_at(0.0, 0.3, 0.5) == pytest.approx(0.55)
    assert (blend_for(0.0, 0.5), blend_for(0.25, 0.5), blend_for(9.0, 0.5)) == (1.0, 0.5, 0.0)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: distortion_at(-1, 1, 1), "perception"),
        (lambda: distortion_at(0, -1, 1), "least"),
        (lambda: distortion_at(0, 1, -1), "farthest"),
        (lambda: blend_for(0, 0), "farthest"),
        (lambda: distortion_without_shared_randomness(-1), "least"),
    ],
)
def test_what_is_out_of_range_is_refused_by_name(call, name):
    with pytest.raises(ValueError, match=f"{name}: expected .* found"):
        call()
