"""A series whose planes were multiplied by different numbers is told from one whose light fades."""

from __future__ import annotations

import numpy as np
import pytest

from napari_rdpdenoise.noise import NoiseModel, estimate_noise, stabilize
from napari_rdpdenoise.noise.trend import Trend, evened, find_trend, unsteady_words
from tests.support.exposures import GAIN, OFFSET, READ, light, stored

PLACES = [(3 * t,) for t in range(8)]


def series(last, corrected, dtype="u2"):
    """Eight planes whose light falls to a share of itself, and is made good or not."""
    rng, frames = np.random.default_rng(3), []
    for t in range(8):
        share = last ** (t / 7)
        photons = light() * share
        counts = GAIN * rng.poisson(photons) + rng.normal(0, READ, photons.shape)
        frames.append(stored(counts / (share if corrected else 1) + OFFSET, dtype))
    return frames


def multiplied(factor, seed=0):
    """A frame of a camera whose gain is so many times as high."""
    rng = np.random.default_rng(seed)
    counts = GAIN * rng.poisson(light()) + rng.normal(0, READ, light().shape)
    return stored(factor * counts + OFFSET, "u2")


@pytest.mark.parametrize("dtype", ["u2", "f4"])
@pytest.mark.parametrize("last", [0.2, 0.3, 4.0])
def test_each_plane_of_a_corrected_series_has_its_own_noise(last, dtype):
    frames = series(last, True, dtype)
    found = find_trend(frames, PLACES, estimate_noise(frames))
    assert found is not None
    assert "the noise of some planes is about" in found.words
    most = max(last, 1 / last)
    assert 0.95 * most**0.5 < found.factor < 1.05 * most, "of light alone, and of read noise alone"
    for t, (place,) in enumerate(PLACES):
        share = last ** (t / 7)
        true = NoiseModel(GAIN / share, OFFSET, READ / share)
        level = OFFSET + GAIN * 30  # bright, for an image that is dark for the most part
        assert found.at((place,)).variance(level) == pytest.approx(true.variance(level), rel=0.25)


@pytest.mark.parametrize("last", [0.2, 1.0])
def test_light_that_fades_and_steady_light_have_one_noise(last):
    frames = series(last, False)
    assert find_trend(frames, PLACES, estimate_noise(frames)) is None


def test_counted_photons_that_decay_have_one_noise():
    rng = np.random.default_rng(0)
    frames = [rng.poisson(light() / 30 * np.exp(-t / 3)).astype("u1") for t in range(8)]
    assert find_trend(frames, PLACES, estimate_noise(frames)) is None


def test_it_is_found_along_the_axis_on_which_it_is():
    frames = series(0.2, True)
    places = [(time, depth, 0) for depth, time in enumerate([4, 1, 7, 3, 0, 6, 2, 5])]
    found = find_trend(frames, places, estimate_noise(frames))
    assert found is not None
    assert found.axis == 1


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("times", [range(8), range(0, 16, 2), [0, 0, 1, 2, 3, 4, 5, 6]])
def test_where_the_sample_rises_along_two_axes_other_planes_tell_which_it_is(axis, times):
    frames = series(0.2, True)
    places = [(time, min(7, 7 * number) if times[1] == 0 else number) for number, time in enumerate(times)]

    def plane(place):
        return frames[round(7 * place[axis] / max(end[axis] for end in places))]

    def read(number, along, at):
        return plane([at if k == along else old for k, old in enumerate(places[number])])

    sample = [plane(place) for place in places]
    found = find_trend(sample, places, estimate_noise(sample), read)
    assert found is not None
    assert found.axis == axis


def test_few_planes_and_blank_ones_say_nothing():
    frames = series(0.2, True)
    assert find_trend(frames[:4], PLACES[:4], estimate_noise(frames)) is None
    assert find_trend([np.zeros((160, 160), "u2")] * 8, PLACES, estimate_noise(frames)) is None


@pytest.mark.parametrize("at", [5, 9, 20])
def test_the_plane_is_found_from_which_on_the_gain_is_another(at):
    frames = [multiplied(1 if t < at else 4, t) for t in range(22)]
    asked = []

    def read(number, axis, place):
        asked.append(place)
        assert (number, axis) == (min(range(8), key=lambda n: (abs(3 * n - place), n)), 0)
        return frames[place]

    sample = frames[::3]
    found = find_trend(sample, PLACES, estimate_noise(sample), read)
    assert found is not None
    assert len(asked) <= 2
    for t in range(22):
        assert found.at((t,)).gain == pytest.approx(GAIN * (1 if t < at else 4), rel=0.3)


def test_noise_between_measured_planes_is_in_between_and_beyond_the_ends_as_there():
    models = (NoiseModel(1.0, 100.0, 3.0), NoiseModel(3.0, 100.0, 5.0))
    found = Trend(1, (2, 10), models, 2.0, 150.0)
    assert found.at((0, 0, 5)) == models[0]
    assert found.at((7, 40, 0)) == models[1]
    assert found.at((0, 6)).variance(150.0) == pytest.approx((59 + 175) / 2)
    assert found.at((0, 2)) == models[0]


def test_planes_of_much_more_or_less_noise_say_little_of_one_another():
    models = (NoiseModel(2.0, 100.0, 3.0), NoiseModel(8.0, 100.0, 6.0))
    found = Trend(0, (0, 1), models, 2.0, 150.0)
    assert found.alike((0,), (0,), 1.0, 100.0)
    assert not found.alike((0,), (1,), 1.0, 100.0)
    assert not found.alike((1,), (0,), 1.0, 100.0)
    assert found.alike((1,), (0,), 4.0, 100.0), "as bright as the gain makes it"


def test_evened_counts_stabilise_as_their_own_do():
    own, noise = NoiseModel(5.0, 90.0, 8.0), NoiseModel(2.0, 100.0, 3.0)
    image = np.ma.masked_array(multiplied(2.5), np.eye(160, dtype=bool))
    even = evened(image, own, noise)
    np.testing.assert_allclose(stabilize(even.data, noise), stabilize(image.data, own), atol=1e-3)
    assert (even.mask == image.mask).all()
    even = evened(image.data, NoiseModel(0.0, 90.0, 8.0), noise)
    lit = image.data > 200
    expected = stabilize(image.data, NoiseModel(0.0, 90.0, 8.0))
    np.testing.assert_allclose(stabilize(even, noise)[lit], expected[lit], atol=1e-3)


@pytest.mark.parametrize("factors", [(1, 6), (1, 6, 1, 6, 1, 6, 1, 6), (1, 1, 6, 1, 5, 5, 1, 6)])
def test_noise_that_changes_without_a_trend_is_told(factors):
    """Few planes, jumps up and down: fault: one noise model for all of them, without a word."""
    frames = [multiplied(factor, seed) for seed, factor in enumerate(factors)]
    places = [(t,) for t in range(len(factors))]
    noise = estimate_noise(frames)
    assert find_trend(frames, places, noise) is None
    assert "not steadily along one axis" in unsteady_words(frames, places, noise)
    assert not unsteady_words([multiplied(1, seed) for seed in range(4)], places[:1] * 4, noise)


@pytest.mark.parametrize("last", [0.2, 1.0])
def test_light_that_fades_is_not_told_as_unsteady(last):
    frames = series(last, False)
    assert not unsteady_words(frames, PLACES, estimate_noise(frames))
    assert not unsteady_words([], [], NoiseModel(GAIN, OFFSET, READ))
