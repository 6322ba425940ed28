"""The detectors of the false-spot benchmark: what is planted is found, and nothing is found in nothing."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.spots import (
    FIELDS,
    SIZE,
    WAYS,
    Field,
    detect,
    expose,
    log_response,
    matched,
    maxima,
    planted_spots,
    robust_sd,
)

NOTHING = np.zeros((SIZE, SIZE))


@pytest.fixture(scope="module")
def white() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((SIZE, SIZE))


def test_planted_spots_have_their_heights_and_are_all_found(white):
    heights, places, spots = planted_spots()
    np.testing.assert_allclose(spots[tuple(places.T)], heights, rtol=0.01)
    found = detect(spots + 0.01 * white, white)
    assert matched(places, found["above the noise"]).all()
    assert matched(places, found["by itself"]).all()
    # half the height against 5 standard deviations of the response to white noise, 0.266 each
    np.testing.assert_array_equal(matched(places, found["as in the input"]), heights >= 3)


def test_nothing_is_found_where_there_is_nothing(white):
    for image in (NOTHING, np.full((SIZE, SIZE), -3.0), np.indices((SIZE, SIZE))[0] * 1e-3):
        found = detect(image, white)
        assert {way: len(places) for way, places in found.items()} == dict.fromkeys(WAYS, 0)


def test_white_noise_has_almost_no_significant_spot(white):
    found = detect(white, white)
    assert len(found["as in the input"]) <= 1
    assert len(found["by itself"]) <= 1
    assert len(found["above the noise"]) > 5000


def test_a_faint_spot_counts_for_the_detector_that_adapts_only(white):
    spots = planted_spots()[2] / 20  # at most 0.4 noise standard deviations
    found = detect(spots + 0.001 * white, white)
    assert [len(found[way]) > 0 for way in WAYS] == [False, False, True]


def test_the_response_of_a_spot_is_half_its_height():
    heights, places, spots = planted_spots()
    np.testing.assert_allclose(log_response(spots)[tuple(places.T)], heights / 2, rtol=0.05)


def test_robust_sd_ignores_outliers(white):
    spoiled = white.copy()
    spoiled[::20, ::20] = 1e6
    assert robust_sd(spoiled) == pytest.approx(1.0, abs=0.02)


def test_maxima_at_the_edge_are_left_out():
    image = np.zeros((64, 64))
    image[0, 30] = image[5, 5] = image[30, 40] = 9.0
    assert maxima(image, 1.0).tolist() == [[30, 40]]


@pytest.mark.parametrize("field", FIELDS, ids=str)
def test_the_noise_of_a_field_is_the_one_that_heights_are_measured_by(field: Field):
    relative = expose(field, NOTHING, 0)
    inside = relative.relative(relative.image)[16:-16, 16:-16]
    assert inside.mean() == pytest.approx(0, abs=0.02)
    assert inside.std() == pytest.approx(1, abs=0.03)
