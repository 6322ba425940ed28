"""Automatic rate: the smallest one beyond which the residual no longer falls, from the noise alone."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from napari_rdpdenoise.codec import Normalization
from napari_rdpdenoise.codec.autorate import (
    RATES,
    RateChoice,
    choose_neighbours,
    choose_rate,
)
from napari_rdpdenoise.codec.normalization import UNIT, fit_normalization
from napari_rdpdenoise.codec.trial import Trial
from napari_rdpdenoise.noise import NoiseModel

NORM = Normalization(NoiseModel(0.0, 0.0, 1.0), 0.0, 1.0)
RATES5 = (0.0, 0.25, 0.5, 0.75, 1.0)


class FakeCodec:
    """Leaves a known error in what it decodes: ``errors[place]`` noise variances at each rate, white."""

    def __init__(self, clean, errors):
        self.clean, self.errors, self.calls = clean, errors, 0

    def fit(self, planes, noise):
        return fit_normalization(planes, noise)

    def sweep(self, tile, normalization, rates, neighbours=None):
        self.calls += 1
        pattern = np.random.default_rng(99).choice([-1.0, 1.0], tile.shape)
        for place, rate in enumerate(rates):
            yield (self.clean + np.sqrt(self.errors[place]) * pattern).astype(np.float32) / UNIT, rate + 0.1


def shared(norm):
    notes = ("neighbouring pixels share their noise (as after a blur of 0.8 px)",)
    return Normalization(NoiseModel(0.0, 0.0, 1.0, notes), norm.center, norm.scale)


@pytest.fixture
def tile():
    return np.random.default_rng(0).normal(0, 1, (400, 400))


def pick(tile, errors):
    """The choice by the residual, which is all there is where neighbouring pixels share their noise."""
    return choose_rate(Trial(FakeCodec(np.zeros(tile.shape), errors), [tile], shared(NORM)), RATES5)


def test_the_last_settled_rate_is_taken(tile):
    choice = pick(tile, [0.5, 0.2, 0.05, 0.05, 0.5])
    assert choice.rate == 0.75
    assert choice.bpp == pytest.approx(0.85)
    assert choice.found == pytest.approx(1.05, abs=0.02)
    assert choice.expected == 1.0
    assert choice.message is None
    assert [row[0] for row in choice.curve] == list(RATES5)


def test_a_residual_has_settled_within_a_hundredth_of_the_noise(tile):
    # the noise is common to all rates, so even its chance correlation with the error nearly cancels
    assert pick(tile, [0.2, 0.05, 0.05, 0.05, 0.05 + 0.006]).rate == 1.0
    assert pick(tile, [0.2, 0.05, 0.05, 0.05, 0.05 + 0.016]).rate == 0.75


def test_half_a_thousandth_of_the_noise_is_not_seen(tile):
    def rate(last):
        errors = [0.5, 0.05, 0.05, 0.05, 0.05 + last]
        codec = FakeCodec(np.zeros(tile.shape), errors)
        return choose_rate(Trial(codec, [tile], NORM), RATES5, structure=False).rate

    assert rate(0.0003) == 1.0
    assert rate(0.0007) == 0.75


def test_where_bits_count_the_smallest_of_nearly_the_same_error_is_taken(tile):
    def rate(errors, norm=NORM):
        trial = Trial(FakeCodec(np.zeros(tile.shape), errors), [tile], norm)
        return choose_rate(trial, RATES5, structure=False, compact=True).rate

    assert rate([0.5, 0.2, 0.1, 0.1, 0.1]) == 0.5
    assert rate([0.5, 0.1015, 0.105, 0.1, 0.1]) == 0.25
    assert rate([0.5, 0.1025, 0.1015, 0.1, 0.1]) == 0.5
    # where the estimate is blind the residual decides
    assert rate([0.5, 0.2, 0.05, 0.05, 0.05], shared(NORM)) == 0.5


def test_a_residual_that_keeps_falling_takes_the_last_rate(tile):
    assert pick(tile, [0.5, 0.4, 0.3, 0.2, 0.1]).rate == 1.0


def test_tiles_are_pooled_by_their_pixels(tile):
    codec = FakeCodec(np.zeros((1, 1)), [0.5, 0.2, 0.05, 0.2, 0.2])
    assert choose_rate(Trial(codec, [tile, tile[:50]], shared(NORM)), RATES5).rate == 0.5
    assert codec.calls == 2
    choose_rate(Trial(codec, [tile, tile[:50]], NORM), RATES5)
    assert codec.calls == 2 + 4  # of each tile its residual, and its estimated error


@pytest.mark.parametrize(
    ("factor", "words"), [(0.5, "weaker than estimated"), (2.0, "stronger than estimated")]
)
def test_a_noise_estimate_that_does_not_fit_is_told(tile, factor, words):
    choice = pick(factor * tile, [0.05] * 5)
    assert choice.message is not None
    assert words in choice.message
    assert f"{choice.found:.2f} times" in choice.message


def test_a_dim_image_expects_less_than_one():
    noise = NoiseModel(1.0, 0.0, 0.05)
    norm = Normalization(noise, 0.0, 1.0)
    tile = np.random.default_rng(0).poisson(0.3, (200, 200)).astype(np.float64)
    clean = norm.target(np.full(tile.shape, 0.3)) * UNIT
    choice = choose_rate(Trial(FakeCodec(clean, [0.0] * 5), [tile], norm), RATES5)
    assert choice.expected < 0.6
    assert choice.found == pytest.approx(choice.expected, rel=0.03)
    assert choice.message is None


def test_a_real_codec_gives_a_choice_that_survives_json(tiny_codec, tile):
    choice = choose_rate(Trial(tiny_codec, [tile[:64, :64]], NORM))
    assert choice.rate in RATES
    choice.check()
    with pytest.raises(ValueError, match="choice: expected a rate from 0 to 1 and numbers"):
        replace(choice, rate=9.0).check()
    assert tiny_codec.encoder_calls == 2


@pytest.mark.parametrize(
    ("tiles", "rates", "message"),
    [
        ([], RATES5, "at least 1 tile and 2 rates, found 0 and 5"),
        ([np.zeros((4, 4))], (0.5,), "found 1 and 1"),
        ([np.zeros((4, 4))], (0.5, 0.2), "ascending"),
    ],
)
def test_wrong_arguments_are_refused(tiny_codec, tiles, rates, message):
    with pytest.raises(ValueError, match=message):
        choose_rate(Trial(tiny_codec, tiles, NORM), rates)


def test_a_flat_image_is_called_flat() -> None:
    from napari_rdpdenoise.codec.autorate import _doubt

    assert "blank or flat" in str(_doubt(found=0.0, expected=1.0))
    assert "weaker than estimated" in str(_doubt(found=0.5, expected=1.0))
    assert "stronger than estimated" in str(_doubt(found=2.0, expected=1.0))
    assert _doubt(found=1.1, expected=1.0) is None


def test_of_rates_that_cannot_be_told_from_the_best_the_largest_is_taken(tile):
    def rate(errors):
        return choose_rate(Trial(FakeCodec(np.zeros(tile.shape), errors), [tile], NORM), RATES5).rate

    assert rate([0.5, 0.2, 0.05, 0.05, 0.05]) == 1.0
    assert rate([0.5, 0.2, 0.05, 0.08, 0.12]) == 0.5
    assert rate([0.05, 0.05 + 0.0001, 0.2, 0.2, 0.2]) == 0.25
    assert rate([0.05, 0.05 + 0.003, 0.2, 0.2, 0.2]) == 0.0


def test_the_least_error_wins_over_the_smallest_residual(tile):
    """A codec that copies noise has a small residual and a large error."""

    class Copies(FakeCodec):
        def sweep(self, tile, normalization, rates, neighbours=None):
            u = normalization.forward(tile)
            yield np.zeros_like(u), 0.1
            yield 0.5 * u, 0.2

    choice = choose_rate(Trial(Copies(np.zeros(tile.shape), []), [tile], NORM), (0.0, 1.0))
    assert choice.rate == 0.0
    assert choice.error == pytest.approx(0.0, abs=0.03)
    # by the residual alone, which is all there is where neighbours share their noise, it would have won
    blind = choose_rate(Trial(Copies(np.zeros(tile.shape), []), [tile], shared(NORM)), (0.0, 1.0))
    assert blind.rate == 1.0
    assert blind.error is None
    assert not blind.structure


class Smooths(FakeCodec):
    """Decodes a flat image whatever it is given."""

    def sweep(self, tile, normalization, rates, neighbours=None):
        for _ in rates:
            yield np.full(tile.shape, normalization.forward(tile).mean(), np.float32), 0.1


def test_structure_goes_back_where_a_texture_was_smoothed(tile):
    rows, columns = np.indices(tile.shape)
    texture = 3 * np.where((rows // 2 + columns // 2) % 2, 1.0, -1.0)
    codec = Smooths(None, [])
    assert choose_rate(Trial(codec, [tile + texture], NORM), (0.0, 1.0)).structure
    assert not choose_rate(Trial(codec, [tile + texture], NORM), (0.0, 1.0), structure=False).structure
    assert not choose_rate(Trial(codec, [tile], NORM), (0.0, 1.0)).structure


def test_where_nothing_is_gained_the_image_is_left_alone(tile):
    texture = 10 * np.random.default_rng(1).normal(size=tile.shape)
    choice = choose_rate(Trial(Smooths(None, []), [tile + texture], NORM), (0.0, 1.0))
    assert choice.left_alone
    assert choice.error == 1.0
    assert "as it went in" in str(choice.message)
    assert RateChoice(**json.loads(json.dumps(asdict(choice)))).left_alone
    nearly = choose_rate(Trial(Smooths(None, []), [tile + 1.6 * texture / 10], NORM), (0.0, 1.0))
    assert 0.6 < nearly.error < 1
    assert not json.loads(json.dumps(asdict(nearly)))["left_alone"]
    without = choose_rate(Trial(Smooths(None, []), [tile + texture], NORM), (0.0, 1.0), structure=False)
    assert not without.left_alone
    assert not choose_rate(Trial(Smooths(None, []), [tile], NORM), (0.0, 1.0)).left_alone
    part = np.where(np.arange(400) < 40, texture, 0)  # a tenth of the image
    assert not choose_rate(Trial(Smooths(None, []), [tile + part], NORM), (0.0, 1.0)).left_alone


def doubted(norm, doubt):
    return replace(norm, noise=replace(norm.noise, doubt=doubt))


def test_what_is_doubted_to_be_noise_goes_back_whatever_the_errors(tile):
    codec = Smooths(None, [])
    for norm in (doubted(NORM, 1.0), doubted(shared(NORM), 0.5)):
        assert choose_rate(Trial(codec, [tile], norm), (0.0, 1.0)).structure
        assert not choose_rate(Trial(codec, [tile], norm), (0.0, 1.0), structure=False).structure
    # the result is then the input, whose error is the noise
    choice = choose_rate(Trial(codec, [tile], doubted(NORM, 1.0)), (0.0, 1.0))
    assert choice.error == pytest.approx(1.0, abs=0.06)


class Averages(FakeCodec):
    """Answers with the mean of the planes that it is given and of the truth, which is 0."""

    def sweep(self, tile, normalization, rates, neighbours=None):
        planes = [0 * tile, tile, *(other for other in neighbours or () if other is not None)]
        for rate in rates:
            yield (
                np.mean([normalization.forward(plane) for plane in planes], 0).astype(np.float32),
                rate + 0.1,
            )


def choose(tile, candidates, norm=NORM):
    codec = Averages(np.zeros(tile.shape), [])
    return choose_neighbours(codec, [tile], norm, {name: [pair] for name, pair in candidates.items()})[0]


def test_neighbours_are_taken_where_they_lessen_the_error(tile):
    rng = np.random.default_rng(1)
    same, other = (rng.normal(mean, 1, tile.shape) for mean in (0.0, 4.0))
    further = np.where(np.arange(400) % 2, 0.5, -0.5) + same
    assert choose(tile, {"T": (same, None)}) == "T"
    assert choose(tile, {"T": (other, other)}) is None
    assert choose(tile, {"T": (other, None), "Z": (None, same)}) == "Z"
    assert choose(tile, {"T": (further, None), "Z": (same, None)}) == "Z"
    assert choose(tile, {}) is None
    assert choose(tile, {"T": (None, None)}) is None


def test_where_noise_is_shared_nobody_knows_of_neighbours(tile):
    same = np.random.default_rng(1).normal(0, 1, tile.shape)
    assert choose(tile, {"T": (same, None)}, shared(NORM)) is None


def test_the_choice_of_neighbours_leaves_its_trial_to_that_of_the_rate(tile):
    same = np.random.default_rng(1).normal(0, 1, tile.shape)
    codec = Averages(np.zeros(tile.shape), [])
    name, trial = choose_neighbours(codec, [tile], NORM, {"T": [(same, None)]})
    alone = choose_rate(Trial(codec, [tile], NORM, [(same, None)]), RATES)
    assert name == "T"
    assert choose_rate(trial, RATES) == alone
