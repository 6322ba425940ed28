"""Every real dtype can be filtered and searched for defects."""

from __future__ import annotations

import numpy as np
import pytest

from napari_rdpdenoise.noise import NoiseModel
from napari_rdpdenoise.noise.constant import Limits, find_constant
from napari_rdpdenoise.noise.dead import find_dead
from napari_rdpdenoise.noise.numbers import filterable, places_of_few

DTYPES = ["u1", "i2", ">u2", "u4", "i8", "f2", ">f2", "f4", ">f4", "f8", "g"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_values_stay(dtype):
    plane = np.arange(64).reshape(8, 8).astype(dtype)
    assert np.array_equal(filterable(plane), plane)


@pytest.mark.parametrize("dtype", DTYPES)
def test_defects_are_found(dtype):
    plane = np.random.default_rng(0).integers(90, 110, (40, 40)).astype(dtype)
    plane[20, 20] = 1
    plane[:10, :10] = 99
    assert np.argwhere(find_dead(plane, NoiseModel(1.0, 0.0, 1.0))).tolist() == [[20, 20]]
    assert find_constant(plane, Limits(1.0, 109.0))[:9, :9].all()


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5])
def test_places_are_those_that_numpy_finds(share):
    at = np.random.default_rng(0).random((70, 90)) < share
    for found, expected in zip(places_of_few(at), np.nonzero(at), strict=True):
        np.testing.assert_array_equal(found, expected)
