"""A series whose planes were multiplied by different numbers is told from one whose light fades."""

from __future__ import annotations

import numpy as np
import pytest

from napari_rdpdenoise.noise import estimate_noise
from napari_rdpdenoise.noise.trend import find_trend
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


@pytest.mark.parametrize("dtype", ["u2", "f4"])
@pytest.mark.parametrize("last", [0.2, 0.3, 4.0])
def test_corrected_series_are_told(last, dtype):
    frames = series(last, True, dtype)
    found = find_trend(frames, PLACES, estimate_noise(frames))
    assert found is not None
    assert (found.factor > 1) == (last < 1)
    assert f"noise of the {'last' if last < 1 else 'first'} planes is about" in found.words
    back = find_trend(frames[::-1], PLACES, estimate_noise(frames))
    assert back is not None
    assert back.factor == pytest.approx(1 / found.factor)


@pytest.mark.parametrize("last", [0.2, 1.0])
def test_light_that_fades_and_steady_light_are_not(last):
    frames = series(last, False)
    assert find_trend(frames, PLACES, estimate_noise(frames)) is None


def test_counted_photons_that_decay_are_not():
    rng = np.random.default_rng(0)
    frames = [rng.poisson(light() / 30 * np.exp(-t / 3)).astype("u1") for t in range(8)]
    assert find_trend(frames, PLACES, estimate_noise(frames)) is None


def test_it_is_found_along_the_axis_on_which_it_is():
    frames = series(0.2, True)
    places = [(time, depth, 0) for depth, time in enumerate([4, 1, 7, 3, 0, 6, 2, 5])]
    found = find_trend(frames, places, estimate_noise(frames))
    assert found is not None
    assert found.axis == 1


def test_few_planes_blank_ones_and_single_noisier_ones_say_nothing():
    frames = series(0.2, True)
    assert find_trend(frames[:4], PLACES[:4], estimate_noise(frames)) is None
    assert find_trend([np.zeros((160, 160), "u2")] * 8, PLACES, estimate_noise(frames)) is None
    frames = series(1.0, False)
    frames[4] = stored(3 * frames[4].astype(float), "u2")
    assert find_trend(frames, PLACES, estimate_noise(frames)) is None
