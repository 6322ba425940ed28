"""Chunks and shards: whole chunks in a tile, whole shards in a file, small planes together."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from napari_rdpdenoise.io import OutputSpec
from napari_rdpdenoise.io.metadata import ImageMetadata
from napari_rdpdenoise.io.output.sharding import MAX_CHUNK, chunk_edge, planes_per_shard, planes_together

LEADING = st.lists(st.integers(1, 9), max_size=3).map(tuple)


def spec(shape, axes, tile=512):
    return OutputSpec(shape, axes, np.dtype("uint16"), ImageMetadata(axes), tile)


@given(st.integers(1, 5000))
def test_a_tile_is_whole_chunks(tile):
    edge = chunk_edge(tile)
    assert tile % edge == 0
    assert edge <= MAX_CHUNK
    assert edge == tile or tile > MAX_CHUNK


@given(LEADING, st.integers(1, 300))
def test_planes_that_go_together_are_as_many_neighbours_as_fit(leading, most):
    together = planes_together(leading, most)
    assert math.prod(together) <= most
    assert all(n <= size for n, size in zip(together, leading, strict=True))
    if most >= math.prod(leading):
        assert together == leading
    whole = [n == size for n, size in zip(together, leading, strict=True)]
    outer = whole.index(True) if True in whole else len(whole)
    assert all(n == 1 for n in together[: max(0, outer - 1)]), "the last axes first"


def test_small_planes_share_a_shard_and_large_ones_have_their_own():
    small, large = (1000, 64, 64), (1000, 600, 600)
    assert planes_per_shard((1000,), (64, 64), spec(small, "TYX")) == (256,)
    assert planes_per_shard((1000,), (600, 600), spec(large, "TYX")) == (1,)
