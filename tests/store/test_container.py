"""Bytes of stored tiles: back as they were, or refused in words."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from napari_rdpdenoise.store.container import (
    MAX_PIXELS,
    Layer,
    StoredTile,
    StoreError,
    pack,
    pack_chunk,
    unpack,
    unpack_chunk,
)

sizes = some.tuples(some.integers(1, 4096), some.integers(1, 4096))
places = some.tuples(some.integers(0, 2**32 - 1), some.integers(0, 2**32 - 1))
layers = some.dictionaries(
    some.sampled_from("RSWLX"),
    some.builds(Layer, some.binary(max_size=40), some.sampled_from([0.0, 0.5, 1.0])),
)
tiles = some.builds(
    StoredTile,
    some.sampled_from(["u1", "u2", "u4", "i1", "i2", "i4", "f2", "f4", "f8"]).map(np.dtype),
    sizes,
    some.binary(max_size=60),
    places,
    places,
    some.integers(0, 2**64 - 1),
    layers,
)
TILE = StoredTile(np.dtype("u2"), (20, 30), b"latents", (1, 2), (64, 0), 7, {"R": Layer(b"steps", 0.5)})


@given(tiles)
def test_a_tile_comes_back(tile):
    assert unpack(pack(tile)) == tile


@given(some.lists(some.binary(max_size=30), min_size=1, max_size=5))
def test_a_chunk_comes_back(parts):
    assert unpack_chunk(pack_chunk(parts), len(parts)) == parts


def test_every_byte_is_watched():
    data = pack(TILE)
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 64
        with pytest.raises(StoreError, match=r"^chunk: expected"):
            unpack(bytes(changed))


def test_every_length_is_watched():
    data = pack(TILE)
    for length in range(len(data)):
        with pytest.raises(StoreError, match=r"^chunk: expected"):
            unpack(data[:length])
    with pytest.raises(StoreError, match=r"^chunk: expected"):
        unpack(data + b"\0")


@pytest.mark.parametrize("planes", [1, 3])
def test_a_chunk_of_other_planes_is_refused(planes):
    with pytest.raises(StoreError, match=f"expected {planes} coded plane"):
        unpack_chunk(pack_chunk([b"a", b"b"]), planes)


def test_a_newer_version_is_told():
    data = bytearray(pack(TILE))
    data[4] += 1
    with pytest.raises(StoreError, match="expected version 1 of the layout, found 2; update"):
        unpack(bytes(data))


def test_no_tile_is_larger_than_memory():
    with pytest.raises(ValueError, match=f"expected at most {MAX_PIXELS} pixels"):
        pack(StoredTile(np.dtype("u1"), (2**16, 2**16)))
