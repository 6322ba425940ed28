"""Images and assertions that all tests of the input and output share."""

from __future__ import annotations

import numpy as np
import pytest


def make_image(shape, dtype="uint16", seed=0):
    """Random values over a wide part of the dtype's range."""
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return rng.normal(100, 30, shape).astype(dtype)
    limits = np.iinfo(dtype)
    return rng.integers(max(limits.min, -(2**20)), min(limits.max, 2**20), shape, dtype=dtype, endpoint=True)


def canonical(array, axes):
    """The array as sources present it, and its axes."""
    leading = "".join(letter for letter in axes if letter not in "YX")
    order = leading + "YX"
    return np.transpose(array, [axes.index(letter) for letter in order]), order


def assert_same_pixels(source, array, axes, regions=12, seed=0):
    """Whatever region is read equals the same region of the whole image."""
    expected, order = canonical(array, axes)
    assert source.metadata.axes == order
    assert source.shape == expected.shape
    assert source.dtype == expected.dtype.newbyteorder("=")
    rng = np.random.default_rng(seed)
    for number in range(regions):
        index = tuple(int(rng.integers(size)) for size in expected.shape[:-2])
        (y0, y1), (x0, x1) = (sorted(rng.integers(0, size + 1, 2)) for size in expected.shape[-2:])
        if number == 0:
            (y0, y1), (x0, x1) = (0, expected.shape[-2]), (0, expected.shape[-1])
        block = source.read(index, slice(int(y0), int(y1)), slice(int(x0), int(x1)))
        assert block.dtype == source.dtype
        np.testing.assert_array_equal(block, expected[(*index, slice(y0, y1), slice(x0, x1))])


@pytest.fixture
def image():
    return make_image


@pytest.fixture
def same_pixels():
    return assert_same_pixels
