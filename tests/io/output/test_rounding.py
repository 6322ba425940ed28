"""Rounding that keeps sums."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_rdpdenoise.io.output.convert import to_output
from napari_rdpdenoise.io.output.rounding import round_keeping_sums


def block_sums(image, edge):
    rows, columns = (size // edge * edge for size in image.shape)
    parts = image[:rows, :columns].astype(np.float64).reshape(rows // edge, edge, columns // edge, edge)
    return parts.sum(axis=(1, 3))


@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 150),
    st.integers(1, 150),
    st.sampled_from([0.01, 0.3, 2.0, 400.0]),
)
def test_every_pixel_goes_down_or_up_and_blocks_keep_their_sums(seed, rows, columns, level):
    values = np.random.default_rng(seed).gamma(1, level, (rows, columns)).astype(np.float32)
    result = round_keeping_sums(values, 0, 65535, seed)
    assert ((result == np.floor(values)) | (result == np.ceil(values))).all()
    for edge, most in ((64, 0.51), (32, 1.5), (8, 2), (2, 2)):
        assert np.abs(block_sums(result, edge) - block_sums(values, edge)).max(initial=0) <= most + 0.01


@pytest.mark.parametrize("level", [0.02, 0.12, 0.5, 3.3, 100.4])
def test_flat_light_is_kept_where_the_nearest_integer_loses_it(level):
    values = np.full((256, 192), level, np.float32)
    result, clipped = to_output(values, "uint8", (3, 0, 0))
    assert clipped == 0
    assert result.mean() == pytest.approx(level, rel=5e-3)
    # and is spread evenly, more so than independent random numbers would be
    rough = np.std(block_sums(result, 8))
    assert rough < 0.5 * np.sqrt(64 * level % 1 * (1 - level % 1) * 64 + 1e-9) + 0.6


def test_the_error_is_little_more_than_that_of_the_nearest_integer():
    values = np.random.default_rng(0).uniform(0, 50, (256, 256)).astype(np.float32)
    assert np.mean((round_keeping_sums(values, 0, 255) - values) ** 2) < 0.105


def test_parts_agree_with_the_whole():
    values = np.random.default_rng(0).gamma(1, 1, (300, 400)).astype(np.float32)
    whole = round_keeping_sums(values, 0, 255, 5)
    for y, x in ((0, 0), (64, 128), (128, 256)):
        part = round_keeping_sums(values[y : y + 128, x : x + 128], 0, 255, 5, (y, x))
        np.testing.assert_array_equal(part, whole[y : y + 128, x : x + 128])
    assert (round_keeping_sums(values, 0, 255, 6) != whole).any()


def test_whole_numbers_stay_and_bounds_hold():
    values = np.random.default_rng(0).integers(0, 256, (100, 90)).astype(np.float32)
    np.testing.assert_array_equal(round_keeping_sums(values, 0, 255), values)
    beyond = np.random.default_rng(0).normal(254.8, 2, (128, 128)).astype(np.float32)
    result = round_keeping_sums(beyond, 0, 255)
    assert result.max() == 255
    assert result.mean() == pytest.approx(np.clip(beyond, 0, 255).mean(), abs=0.01)


def test_noise_around_zero_is_not_turned_into_light():
    values = np.random.default_rng(0).normal(0.02, 0.05, (256, 256)).astype(np.float32)
    assert round_keeping_sums(values, 0, 255).mean() == pytest.approx(values.mean(), abs=2e-4)


def test_what_is_no_number_does_not_spread():
    values = np.full((64, 64), 0.25, np.float32)
    values[3, 4], values[5, 6] = np.nan, np.inf
    result, clipped = to_output(values, "uint8", (0, 0, 0))
    assert (clipped, result[3, 4], result[5, 6]) == (2, 0, 255)
    assert result.sum() - 255 == pytest.approx(0.25 * 4094, abs=1)


def test_random_numbers_of_large_tiles_are_not_kept():
    tracemalloc.start()
    try:
        for plane in range(3):
            round_keeping_sums(np.zeros((2048, 2048), np.float32), 0, 255, 1000 + plane)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 2048 * 2048 * 4 * 1.5
