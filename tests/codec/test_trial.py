"""Estimated errors: near the true ones, and each found only once."""

from __future__ import annotations

import numpy as np
import pytest

from napari_rdpdenoise.codec import Normalization
from napari_rdpdenoise.codec.normalization import UNIT, fit_normalization
from napari_rdpdenoise.codec.trial import Trial
from napari_rdpdenoise.noise import NoiseModel

NORM = Normalization(NoiseModel(0.0, 0.0, 1.0), 0.0, 1.0)
RATES = (0.0, 0.25, 0.5, 1.0)


class FakeCodec:
    """Leaves an error of as many noise variances as the rate is in a black image; counts what it did."""

    analyses = decodes = 0

    def fit(self, planes, noise):
        return fit_normalization(planes, noise)

    def sweep(self, tile, normalization, rates, neighbours=None):
        self.analyses += 1
        pattern = np.random.default_rng(99).choice([-1.0, 1.0], tile.shape)
        for rate in rates:
            self.decodes += 1
            yield (np.sqrt(rate) * pattern).astype(np.float32) / UNIT, rate


class Averages(FakeCodec):
    """Answers with the mean of the planes that it is given and of the truth, which is 0."""

    def sweep(self, tile, normalization, rates, neighbours=None):
        planes = [0 * tile, tile, *(other for other in neighbours or () if other is not None)]
        for rate in rates:
            yield np.mean([normalization.forward(plane) for plane in planes], 0).astype(np.float32), rate


@pytest.fixture
def tile():
    return np.random.default_rng(0).normal(0, 1, (400, 400))


@pytest.mark.parametrize("error", [0.02, 0.2, 0.8])
def test_the_estimated_error_is_the_true_one(tile, error):
    """Of an error that no residual can show, in variances of the noise that the codec was given."""
    assert Trial(FakeCodec(), [tile], NORM).errors((error,)).bare[0] == pytest.approx(error, abs=0.02)


def test_the_estimate_with_neighbours_meets_their_error(tile):
    """Mean of the truth and three planes: 3/16 of their noise is left."""
    rng = np.random.default_rng(2)
    pair = tuple(rng.normal(0, 1, tile.shape) for _ in range(2))
    errors = Trial(Averages(), [tile], NORM, [pair]).errors((0.5,))
    assert errors.bare[0] == pytest.approx(3 / 16, abs=0.045)


def test_what_was_tried_is_not_tried_again(tile):
    codec = FakeCodec()
    trial = Trial(codec, [tile, tile[:50]], NORM)
    highest = trial.errors((1.0,))
    errors = trial.errors(RATES)
    assert (codec.analyses, codec.decodes) == (2, 2 * len(RATES))
    assert (errors.bare[-1], errors.filled[-1]) == (highest.bare[0], highest.filled[0])
    whole = Trial(codec, [tile, tile[:50]], NORM).errors(RATES)
    np.testing.assert_array_equal([errors.bare, errors.filled], [whole.bare, whole.filled])


def test_tiles_without_any_image_count_nowhere(tile):
    blank = np.ma.masked_array(tile, True)
    (found,), (alone,) = (
        Trial(FakeCodec(), tiles, NORM).errors((0.2,)).bare for tiles in ([tile, blank], [tile])
    )
    assert found == pytest.approx(alone, rel=1e-4)


def test_trials_that_go_on_in_turns_are_those_that_do_not(tiny_codec, tile):
    """A sweep that waits for its next rate leaves the thread as it found it."""
    import torch

    norm = tiny_codec.fit([tile], NoiseModel(0.0, 0.0, 1.0))
    one, other = (Trial(tiny_codec, [part], norm) for part in (tile[:64, :64], tile[64:128, :64]))
    found = [trial.errors((rate,)).bare[0] for rate in (0.2, 0.8) for trial in (one, other)]
    assert not torch.is_inference_mode_enabled()
    del one
    assert not torch.is_inference_mode_enabled()
    again = [Trial(tiny_codec, [part], norm) for part in (tile[:64, :64], tile[64:128, :64])]
    assert found == [trial.errors((rate,)).bare[0] for rate in (0.2, 0.8) for trial in again]
