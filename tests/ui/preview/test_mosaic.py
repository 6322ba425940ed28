"""Previews of pyramids and of large planes: what a viewer slices is the image with its denoised blocks."""

from __future__ import annotations

import numpy as np
import pytest

from napari_rdpdenoise.tiles import plan_tiles
from napari_rdpdenoise.ui.preview.mosaic import Pyramid, needs_levels
from napari_rdpdenoise.ui.preview.viewport import TileRequest

SIZES = {"Y": 1300, "X": 1100, "T": 3, "C": 2, "S": 3}
TILES = plan_tiles((SIZES["Y"], SIZES["X"]), 512, 128)
AXES = ["YX", "TYX", "CTYX", "TXY", "YXS"]


def image(axes, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 255, tuple(SIZES[letter] for letter in axes)).astype(np.uint8)


def thinned(data, axes, step):
    return data[tuple(slice(None, None, step) if letter in "YX" else slice(None) for letter in axes)]


def with_block(data, axes, index, tile, block):
    """The image with a tile's core in its place."""
    numbers, parts, out = iter(index), dict(zip("YX", tile.core, strict=True)), data.copy()
    key = tuple(parts[letter] if letter in parts else next(numbers) for letter in axes)
    out[key] = block.T if axes.index("X") < axes.index("Y") else block
    return out


def put(pyramid, index, tile, value, level=0):
    pyramid.board(level).part(index, tile)[...] = value
    pyramid.board(level).mark(index, [tile])


@pytest.mark.parametrize("axes", AXES)
def test_every_level_is_the_image_with_its_denoised_blocks(axes):
    data = image(axes)
    half = thinned(data, axes, 2)
    pyramid = Pyramid([data, half], axes)
    lead = [letter for letter in axes if letter not in "YX"]
    block = image("YX", seed=1)[: TILES[4].core_shape[0], : TILES[4].core_shape[1]]
    expected = data
    for index in (tuple(0 for _ in lead), tuple(SIZES[letter] - 1 for letter in lead)):
        put(pyramid, index, TILES[4], block)
        expected = with_block(expected, axes, index, TILES[4], block)
    np.testing.assert_array_equal(np.asarray(pyramid.levels[0]), expected)
    np.testing.assert_array_equal(np.asarray(pyramid.levels[0].noisy), data)
    for number, level in enumerate(pyramid.levels[1:]):  # which hold none of the blocks of the finest
        np.testing.assert_array_equal(np.asarray(level), thinned(half, axes, 2**number))
    for key in (np.s_[..., 100:900, 40:1000], np.s_[..., 5:900:7, 30:31]):
        if axes != "YXS":
            np.testing.assert_array_equal(np.asarray(pyramid.levels[0][key]), expected[key])


@pytest.mark.parametrize("axes", AXES)
def test_below_the_coarsest_resolution_its_blocks_are_thinned_out(axes):
    data = image(axes)
    pyramid = Pyramid([data], axes)
    index = tuple(0 for letter in axes if letter not in "YX")
    put(pyramid, index, TILES[4], 7)
    expected = with_block(data, axes, index, TILES[4], np.full(TILES[4].core_shape, 7, np.uint8))
    assert max(pyramid.levels[-1].shape[axes.index(letter)] for letter in "YX") <= 256
    for number, level in enumerate(pyramid.levels):
        np.testing.assert_array_equal(np.asarray(level), thinned(expected, axes, 2**number))


def test_a_viewer_that_cuts_all_planes_before_it_takes_one_reads_that_one_only():
    class Counted:
        shape, dtype, ndim = (50, 2000, 2000), np.dtype(np.uint16), 3
        read = 0

        def __getitem__(self, key):
            part = np.broadcast_to(np.uint16(3), self.shape)[key]
            self.read += part.size
            return part

    data = Counted()
    level = Pyramid([data], "TYX", "float32").levels[0]
    cut = level[:, 600:900, 100:400]
    assert cut.shape == (50, 300, 300)
    assert data.read == 0
    np.testing.assert_array_equal(np.asarray(cut[7]), np.full((300, 300), 3, np.float32))
    assert data.read == 512**2
    np.testing.assert_array_equal(np.asarray(cut[7, :10]), np.full((10, 300), 3, np.float32))
    assert data.read == 512**2, "what was read once is remembered"


def test_memory_is_bounded_however_much_is_looked_at():
    data = np.broadcast_to(np.uint16(3), (4, 8192, 8192))
    pyramid = Pyramid([data], "TYX", "float32", memory_bytes=8 * 2**20)
    tiles = plan_tiles((8192, 8192), 512, 128)
    for tile in tiles:
        put(pyramid, (0,), tile, 1)
        np.asarray(pyramid.levels[0][(0, *tile.core)])
    board = pyramid.board(0)
    assert sum(block.pixels.nbytes for block in board.blocks((0,))) <= 8 * 2**20
    assert board.share_done((0,), tiles) == pytest.approx(8 / len(tiles))
    assert board.share_done((0,), tiles[-4:]) == 1


def test_other_settings_keep_what_is_in_view_until_it_is_replaced_and_drop_the_rest():
    pyramid = Pyramid([image("TYX")], "TYX")
    board, (near, far) = pyramid.board(0), TILES[:2]
    for tile in (near, far):
        put(pyramid, (1,), tile, 9)
    board.restart([TileRequest((1,), 0, near)])
    assert board.share_done((1,), [near]) == 0
    done = pyramid.levels[0].done((1,))
    assert not done.any()
    plane = np.asarray(pyramid.levels[0][1])
    assert (plane[near.core] == 9).all()
    np.testing.assert_array_equal(plane[far.core], image("TYX")[1][far.core])


def test_what_is_done_is_known_by_pixel():
    pyramid = Pyramid([image("TXY")], "TXY", "float32")
    put(pyramid, (2,), TILES[0], 1)
    done = pyramid.levels[0].done((2,))
    assert done.shape == (1300, 1100)
    assert done[TILES[0].core].all()
    assert done.sum() == TILES[0].core_shape[0] * TILES[0].core_shape[1]
    assert not pyramid.levels[0].done((1,)).any()


def test_levels_are_for_pyramids_and_planes_that_are_too_large_to_draw_as_a_whole():
    small, large = np.broadcast_to(0, (3, 4096, 4096)), np.broadcast_to(0, (3, 4096, 4097))
    assert not needs_levels([small], "TYX")
    assert needs_levels([large], "TYX")
    assert needs_levels([small, small[:, ::2, ::2]], "TYX")
