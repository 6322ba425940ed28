"""Counts in noise standard deviations, and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from napari_rdpdenoise.noise import NoiseModel, stabilize
from napari_rdpdenoise.store.units import to_counts, to_units

noises = some.builds(
    NoiseModel,
    some.one_of(some.just(0.0), some.floats(1e-3, 1e3)),
    some.floats(-1e3, 1e3),
    some.floats(1e-2, 1e3),
)


@given(noises)
def test_units_rise_and_come_back(noise):
    counts = np.linspace(noise.offset - 50 * noise.read_noise, noise.offset + 6e4, 4001)
    units = to_units(counts, noise)
    assert (np.diff(units) > 0).all()
    np.testing.assert_allclose(to_counts(units, noise), counts, rtol=1e-9, atol=1e-6)


@given(noises)
def test_units_are_the_stabilised_values_where_there_is_light(noise):
    counts = noise.offset + np.linspace(0, 1e4, 500)
    np.testing.assert_allclose(to_units(counts, noise), stabilize(counts, noise), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("photons", [0.0, 3.0, 50.0, 4000.0])
def test_noise_is_one_unit(photons):
    noise = NoiseModel(2.0, 100.0, 4.0)
    rng = np.random.default_rng(0)
    counts = 100 + 2 * rng.poisson(photons, 200_000) + rng.normal(0, 4, 200_000)
    assert to_units(counts, noise).std() == pytest.approx(1, abs=0.12)
