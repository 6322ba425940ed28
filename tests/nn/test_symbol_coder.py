"""Symbols of an entropy model's rows: live, rare and far ones come back."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some

from napari_rdpdenoise.nn import symbol_coder
from napari_rdpdenoise.nn.config import NetworkConfig
from napari_rdpdenoise.nn.entropy import Hyperprior
from napari_rdpdenoise.nn.symbol_coder import SymbolCoder

CONFIG = NetworkConfig(quarter_channels=32, eighth_channels=32, latent_channels=16, hyper_channels=16)


@pytest.fixture(scope="module")
def coder() -> SymbolCoder:
    torch.manual_seed(3)
    model = Hyperprior(CONFIG).eval()
    model.prepare_coder()
    return model._prepared()._coder


def made(seed: int, count: int, rare: float, far: float):
    """Symbols of which a third are live."""
    rng = np.random.default_rng(seed)
    live = np.flatnonzero(rng.random(count) < 0.3)
    rows = rng.integers(3, 64, len(live))
    symbols = np.where(rng.random(count) < rare, rng.integers(-9, 9, count), 0).astype(np.int32)
    symbols[live] = np.rint(rng.normal(0, 1.1, len(live)) ** 3)
    distant = rng.random(count) < far
    symbols[distant] = rng.integers(-32768, 32768, distant.sum())
    return symbols, live, rows, rng.integers(0, 256, 50).astype(np.uint8)


@settings(max_examples=40, deadline=None)
@given(
    some.integers(0, 10**6),
    some.integers(0, 5000),
    some.sampled_from([0, 0.001, 0.2]),
    some.sampled_from([0, 0.01, 1.0]),
)
def test_symbols_come_back(coder, seed, count, rare, far):
    symbols, live, rows, tail = made(seed, count, rare, far)
    data = coder.encode(symbols, live, rows, tail)
    again, rest = coder.decode(data, count, live, rows)
    np.testing.assert_array_equal(again, symbols)
    np.testing.assert_array_equal(rest[:50], tail)
    assert not rest[50:].any()


def test_rows_that_are_nearly_always_zero_are_not_coded(coder):
    certain = np.flatnonzero(coder.certain)
    np.testing.assert_array_equal(certain, np.arange(len(certain)))  # the smallest scales
    assert 1 <= len(certain) < 8
    nothing = np.zeros(0, np.int64)
    data = coder.encode(np.zeros(100_000, np.int32), nothing, nothing, np.zeros(0, np.uint8))
    assert len(data) == 1
    assert not coder.decode(data, 100_000, nothing, nothing)[0].any()


def test_rare_symbols_take_the_bits_of_their_places():
    rng = np.random.default_rng(0)
    at = np.flatnonzero(rng.random(10**6) < 1e-3)
    data = symbol_coder._packed_rare(at, rng.choice([-1, 1], len(at)))
    share = len(at) / 10**6
    entropy = -(10**6) * (share * np.log2(share) + (1 - share) * np.log2(1 - share)) + len(at)
    assert 8 * len(data) < 1.06 * entropy


@settings(max_examples=100, deadline=None)
@given(some.integers(0, 10**6), some.integers(0, 600), some.integers(1, 3000))
def test_any_bytes_are_symbols_or_refused(coder, seed, size, count):
    rng = np.random.default_rng(seed)
    _, live, rows, _ = made(seed, count, 0, 0)
    data = rng.integers(0, rng.choice([2, 256]), size).astype(np.uint8)
    try:
        symbols, _ = coder.decode(data, count, live, rows)
    except ValueError:
        return
    assert symbols.shape == (count,)
    assert np.abs(symbols).max() <= 32768


def test_more_symbols_than_bytes_can_hold_are_refused_at_once(coder):
    rows = np.full(10**6, 40)
    with pytest.raises(ValueError, match="expected a stream of 1000000 symbols, found 1000 bytes"):
        coder.decode(np.zeros(1000, np.uint8), 10**6, np.arange(10**6), rows)
