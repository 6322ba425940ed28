"""Layers of a tile: exact where they promise it, small where there is nothing, refused when damaged."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from hypothesis.extra import numpy as arrays

from napari_rdpdenoise.store import layers
from napari_rdpdenoise.store.container import StoreError

shapes = some.tuples(some.integers(1, 20), some.integers(1, 20))
steps = arrays.arrays(
    np.int32,
    shapes,
    elements=some.one_of(some.integers(-9, 9), some.integers(-(2**31) + 1, 2**31 - 1)),
)
TYPES = ["uint8", "uint16", "uint32", "int8", "int16", "int32", "float16", "float32", "float64"]


@given(steps)
def test_steps_come_back(values):
    np.testing.assert_array_equal(layers.unpack_steps(layers.pack_steps(values), values.shape), values)


@pytest.mark.parametrize("step", [1.0, 0.5])
def test_steps_of_noise_take_hardly_more_than_their_entropy(step):
    values = layers.to_steps(np.random.default_rng(0).normal(size=(512, 512)), step)
    shares = np.unique(values, return_counts=True)[1] / values.size
    entropy = -(shares * np.log2(shares)).sum()
    assert 8 * len(layers.pack_steps(values)) / values.size < 1.03 * entropy


def test_steps_of_nothing_take_nothing():
    assert len(layers.pack_steps(np.zeros((512, 512), np.int32))) < 600


@given(arrays.arrays(np.float32, shapes, elements=some.floats(0, 1, width=32)))
def test_shares_are_those_of_their_blocks(values):
    found = layers.unpack_share(layers.pack_share(values), values.shape)
    assert found.shape == values.shape
    assert found.dtype == np.float32
    assert values.min() - 0.003 <= found.min()
    assert found.max() <= values.max() + 0.003


def test_a_smooth_share_is_kept():
    y, x = np.mgrid[:70, :90]
    share = (0.5 + 0.5 * np.sin(y / 20) * np.cos(x / 25)).astype(np.float32)
    assert np.abs(layers.unpack_share(layers.pack_share(share), share.shape) - share).max() < 0.1


@pytest.mark.parametrize("dtype", TYPES)
def test_exact_pixels_are_exact(dtype, rng):
    values = rng.normal(50, 20, (13, 17)).astype(dtype)
    classes = rng.integers(0, 3, values.shape).astype(np.uint8)
    found, kept = layers.unpack_exact(layers.pack_exact(classes, values), values.shape, values.dtype)
    np.testing.assert_array_equal(found, classes)
    np.testing.assert_array_equal(kept, values[classes > 0])
    assert kept.dtype == values.dtype


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (33, 20)])
def test_lossless_is_lossless(dtype, shape, rng):
    with np.errstate(over="ignore"):
        values = rng.integers(0, 2**32, shape, dtype=np.uint32).view(np.int32).astype(dtype)
    found = layers.unpack_lossless(layers.pack_lossless(values), shape, values.dtype)
    np.testing.assert_array_equal(found, values)
    assert found.dtype == values.dtype


def test_lossless_keeps_nan():
    values = np.array([[np.nan, 1.5], [-np.inf, 0]], np.float32)
    np.testing.assert_array_equal(
        layers.unpack_lossless(layers.pack_lossless(values), (2, 2), values.dtype), values
    )


def damaged(data, rng):
    data = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        data[rng.integers(len(data))] = rng.integers(256)
    return bytes(data[: rng.integers(len(data) + 1)] if rng.random() < 0.3 else data)


SHAPE, COUNTS = (24, 31), np.random.default_rng(0).integers(0, 40, (24, 31)).astype(np.uint16)
FORMS = {
    "steps": (layers.pack_steps(COUNTS.astype(np.int32) - 20), lambda data: layers.unpack_steps(data, SHAPE)),
    "share": (
        layers.pack_share(np.full(SHAPE, 0.5, np.float32)),
        lambda data: layers.unpack_share(data, SHAPE),
    ),
    "exact": (
        layers.pack_exact((COUNTS > 20).astype(np.uint8), COUNTS),
        lambda data: layers.unpack_exact(data, SHAPE, COUNTS.dtype)[0],
    ),
    "lossless": (
        layers.pack_lossless(COUNTS),
        lambda data: layers.unpack_lossless(data, SHAPE, COUNTS.dtype),
    ),
    "floats": (
        layers.pack_lossless(COUNTS.astype(np.float32)),
        lambda data: layers.unpack_lossless(data, SHAPE, np.dtype(np.float32)),
    ),
}


@pytest.mark.parametrize("kind", FORMS)
def test_damaged_layers_are_refused_or_of_their_size(kind, rng):
    packed, read = FORMS[kind]
    for _ in range(200):
        try:
            found = read(damaged(packed, rng))
        except StoreError as error:
            assert str(error).startswith("chunk: expected")  # noqa: PT017
        else:
            assert found.shape == SHAPE


def test_a_promise_of_much_is_not_believed():
    bomb = zlib.compress(bytes(10**8), 9)
    with pytest.raises(StoreError, match="damaged bytes"):
        layers.unpack_share(bomb, (80, 80))


@pytest.fixture
def rng():
    return np.random.default_rng(0)
