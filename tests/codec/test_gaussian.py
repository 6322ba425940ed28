"""Means under a wide window."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_rdpdenoise.codec.gaussian import gaussian_mean


@pytest.mark.parametrize("shape", [(1, 1), (5, 300), (128, 128), (129, 257), (300, 40), (601, 33)])
def test_they_are_those_of_scipy(shape):
    values = np.random.default_rng(0).chisquare(1, shape).astype(np.float32)
    found = gaussian_mean(values, 12.0, 36)
    expected = ndimage.gaussian_filter(values.astype(float), 12.0, mode="reflect", radius=36)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_block_is_that_of_the_whole_beyond_the_reach():
    values = np.random.default_rng(1).random((256, 384), np.float32)
    part = gaussian_mean(values[64:, 128:], 12.0, 36)[64:, 64:]
    np.testing.assert_allclose(part, gaussian_mean(values, 12.0, 36)[128:, 192:], rtol=1e-5)
