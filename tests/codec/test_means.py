"""Block means: exact on any shape, and a correction that keeps them without a seam."""

from __future__ import annotations

import numpy as np
import pytest

from napari_rdpdenoise import tiles
from napari_rdpdenoise.codec.means import block_means, correct_means
from napari_rdpdenoise.tiles import GRID

SHAPES = [(1, 1), (1, 200), (64, 64), (65, 63), (130, 257)]


def test_blocks_lie_on_the_grid_of_tiles():
    assert tiles.GRID % GRID == 0


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [np.uint8, np.float16, np.int32, np.float64])
def test_means_are_those_of_the_blocks(shape, dtype):
    image = (np.random.default_rng(0).random(shape) * 200).astype(dtype)
    found = block_means(image)
    assert found.shape == tuple(-(-n // GRID) for n in shape)
    for (row, column), mean in np.ndenumerate(found):
        block = image[row * GRID : (row + 1) * GRID, column * GRID : (column + 1) * GRID]
        assert mean == pytest.approx(block.mean(dtype=np.float64), rel=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_constant_loss_is_put_back_exactly(shape):
    image = np.random.default_rng(0).random(shape).astype(np.float32)
    corrected = correct_means(image, block_means(image) + 7.5)
    np.testing.assert_allclose(corrected, image + 7.5, rtol=1e-5)


def test_the_correction_is_smooth_and_keeps_the_mean():
    image = np.zeros((256, 320), np.float32)
    wanted = np.random.default_rng(0).normal(100, 5, (4, 5))
    corrected = correct_means(image, wanted)
    assert corrected.dtype == np.float32
    assert corrected.mean() == pytest.approx(wanted.mean(), rel=0.01)
    steps = max(np.abs(np.diff(corrected, axis=axis)).max() for axis in (0, 1))
    assert steps <= np.ptp(wanted) / GRID


@pytest.mark.parametrize("shape", [(64, 64), (192, 128), (200, 130), (130, 257), (65, 449)])
def test_a_ramp_comes_back_exactly_between_the_centres_of_the_blocks(shape):
    """Also where the last block is smaller: its centre lies elsewhere."""
    y, x = np.indices(shape).astype(np.float64)
    ramp = 3 + 0.5 * y - 0.25 * x
    corrected = correct_means(np.zeros(shape, np.float32), block_means(ramp))
    centres = [block_means(part) for part in (y, x)]
    inside = np.ones(shape, bool)
    for part, found in zip((y, x), centres, strict=True):
        inside &= (part >= found.min()) & (part <= found.max())
    if min(shape) > GRID:
        assert inside.any()
    np.testing.assert_allclose(corrected[inside], ramp[inside], atol=1e-3)


def test_one_thing_that_was_decoded_wrongly_is_not_spread():
    """Its block misses far more than the blocks around it, and than noise; all others are corrected."""
    image = np.random.default_rng(0).normal(100, 1, (256, 320)).astype(np.float32)
    missing, noise = np.full((4, 5), 0.3), np.full((4, 5), 5.0)
    for amount in (-500.0, 30.0, 1e6):
        missing[1, 2] = amount
        change = correct_means(image, block_means(image) + missing, noise) - image
        assert np.abs(change).max() <= 3 + 1e-3  # ten times what is missing around
        assert change[200:, :64] == pytest.approx(0.3, abs=1e-3)


def test_large_differences_are_believed_where_all_blocks_have_them():
    image = np.zeros((256, 320), np.float32)
    wanted = np.random.default_rng(0).uniform(60, 100, (4, 5))
    expected = correct_means(image, wanted)
    assert np.array_equal(correct_means(image, wanted, np.full((4, 5), 0.1)), expected)
    one = correct_means(image[:64, :64], wanted[:1, :1], np.full((1, 1), 0.1))
    assert one == pytest.approx(wanted[0, 0], rel=1e-6)
