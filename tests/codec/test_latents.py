"""Latents: their two byte forms, for the cache and for block means."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_rdpdenoise.codec import Latents, Normalization
from napari_rdpdenoise.codec.latents import pack_means, unpack_means
from napari_rdpdenoise.noise import NoiseModel

means = hnp.arrays(
    np.int32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.integers(-(2**30), 2**30)
)


@given(means)
@example(np.array([[-(2**30), 2**30, -(2**30)]], np.int32))
def test_block_means_come_back(values):
    again = unpack_means(pack_means(values), values.shape)
    assert again.dtype == np.int32
    assert np.array_equal(again, values)


def test_smooth_means_take_few_bytes():
    field = np.add.outer(np.arange(16), np.arange(16)).astype(np.int32) * 3 + 5000
    assert len(pack_means(field)) < 0.4 * field.size


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"no", "damaged"),
        (pack_means(np.zeros((1, 2), np.int32)), "found more or fewer"),
        (pack_means(np.zeros((2, 2), np.int32))[:-1], "found more or fewer"),
        (pack_means(np.full((2, 2), 2**31 - 1, np.int32)), "at most 1073741824 steps"),
        (zlib.compress(bytes(200_000_000), 9), "found more or fewer"),  # 200 kB
        (pack_means(np.zeros((2, 3), np.int32)), "expected 2 x 2 values, found more"),
    ],
)
def test_damaged_means_are_refused(data, message):
    with pytest.raises(ValueError, match=message):
        unpack_means(data, (2, 2))


@pytest.mark.parametrize("kinds", [1, 2, 3])
@pytest.mark.parametrize("shape", [(1, 1), (17, 65), (512, 480)])
def test_cache_bytes_come_back(shape, kinds):
    rng = np.random.default_rng(0)
    high, wide = (-(-n // 16) for n in shape)
    sizes = [(16, 2 * high, 2 * wide), (8, high, wide), (4, 4 * high, 4 * wide)][:kinds]
    latents = Latents(
        tuple(rng.integers(-32768, 32767, size).astype(np.int16) for size in sizes),
        rng.integers(-(2**20), 2**20, (-(-shape[0] // 64), -(-shape[1] // 64))).astype(np.int32),
        shape,
        0.25,
        Normalization(NoiseModel(1.5, 100.0, 3.0), -2.0, 0.5),
        1234.5,
    )
    again = Latents.from_bytes(latents.to_bytes())
    for found, kept in zip((*again.symbols, again.means), (*latents.symbols, latents.means), strict=True):
        assert np.array_equal(found, kept)
        assert found.dtype == kept.dtype
    assert (again.shape, again.rate, again.normalization, again.bits) == (
        shape,
        0.25,
        latents.normalization,
        1234.5,
    )
    assert again.bpp == pytest.approx(1234.5 / np.prod(shape))


def test_cache_bytes_decode_alike_and_are_small(tiny_codec):
    tile = np.random.default_rng(0).poisson(50, (256, 256)).astype(np.uint16)
    norm = Normalization(NoiseModel(1.0, 0.0, 0.3), 14.0, 1.0)
    (latents,) = tiny_codec.encode([tile], norm, 0.3)
    data = latents.to_bytes()
    assert len(data) < latents.symbols[0].nbytes / 1.5
    again = tiny_codec.decode([Latents.from_bytes(data)])[0]["fidelity"]
    assert np.array_equal(again, tiny_codec.decode([latents])[0]["fidelity"])
