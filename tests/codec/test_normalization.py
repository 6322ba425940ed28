"""Normalisation: unit noise in, unbiased counts out."""

from __future__ import annotations

import numpy as np
import pytest

from napari_rdpdenoise.codec import Normalization, fit_normalization
from napari_rdpdenoise.codec.normalization import MAX_RANGE, UNIT
from napari_rdpdenoise.noise import NoiseModel

NOISE = NoiseModel(2.0, 100.0, 5.0)


def test_noise_has_the_same_strength_at_every_brightness():
    rng = np.random.default_rng(0)
    norm = Normalization(NOISE, 10.0, 1.0)
    for light in (30, 300, 3000):
        z = rng.poisson(light, 100_000) * 2.0 + 100 + rng.normal(0, 5, 100_000)
        assert norm.forward(z).std() == pytest.approx(1 / UNIT, rel=0.05)


@pytest.mark.parametrize("scale", [1.0, 0.01])
def test_inverse_undoes_the_target(scale):
    norm = Normalization(NOISE, 12.0, scale)
    counts = np.linspace(90, 20_000, 1000)
    np.testing.assert_allclose(norm.inverse(norm.target(counts)), counts, rtol=1e-4)


def test_fit_centres_and_bounds_the_range():
    rng = np.random.default_rng(0)
    plane = rng.uniform(100, 60_000, (300, 300))
    noise = NoiseModel(0.0, 100.0, 2.0)
    norm = fit_normalization([plane, plane[:50]], noise)
    u = norm.forward(plane)
    assert abs(float(np.median(u))) < 0.05 * MAX_RANGE / UNIT
    assert np.ptp(np.percentile(u, [0.1, 99.9])) == pytest.approx(MAX_RANGE / UNIT, rel=0.01)
    assert fit_normalization([rng.normal(100, 2, (50, 50))], noise).scale == 1.0


def test_missing_values_do_not_count():
    plane = np.array([[100.0, 102.0, 104.0], [np.nan, np.inf, -np.inf]])
    assert fit_normalization([plane], NOISE) == fit_normalization([plane[:1]], NOISE)
    assert fit_normalization([plane[1:]], NOISE) == Normalization(NOISE, 0.0, 1.0)
