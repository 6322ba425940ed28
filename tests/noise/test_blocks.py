"""Blocks in masks are those that SciPy finds."""

from __future__ import annotations

import numpy as np
import pytest
import scipy

from napari_rdpdenoise.noise.blocks import count_touching, opened, widened


@pytest.mark.parametrize("shape", [(2, 3), (3, 2), (1, 4), (4, 1), (2, 2), (4, 4), (2, 12), (12, 2), (1, 1)])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 1.0])
@pytest.mark.parametrize("size", [(1, 1), (3, 40), (40, 3), (61, 47)])
def test_blocks_are_those_of_an_opening(shape, share, size):
    at = np.random.default_rng(0).random(size) < share
    assert np.array_equal(opened(at, shape), scipy.ndimage.binary_opening(at, np.ones(shape, bool)))


@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 1.0])
@pytest.mark.parametrize("size", [(1, 1), (1, 30), (61, 47)])
def test_pixels_that_touch_are_those_of_regions_of_two_and_more(share, size):
    at = np.random.default_rng(0).random(size) < share
    labels, _ = scipy.ndimage.label(at, np.ones((3, 3), bool))
    sizes = np.bincount(labels.ravel(), minlength=2)[1:]
    assert count_touching(at) == sizes[sizes > 1].sum()


@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 1.0])
@pytest.mark.parametrize("size", [(1, 1), (1, 30), (61, 47)])
def test_pixels_beside_are_those_of_a_dilation(share, size):
    at = np.random.default_rng(0).random(size) < share
    assert np.array_equal(widened(at), scipy.ndimage.binary_dilation(at, np.ones((3, 3), bool)))
