"""Symbols in lanes: they come back with what follows them, at the cost that their tables promise."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from napari_rdpdenoise.nn import lanes

WHOLE = 1 << lanes.PRECISION


def random_tables(rng: np.random.Generator, rows: int = 6) -> lanes.Tables:
    """Rows of 2 to 3000 symbols, some nearly certain and some a single 65536th."""
    found = []
    for row in range(rows):
        weights = rng.random(int(rng.integers(2, 3000 if row else 3))) ** rng.choice([1, 8, 40])
        spare = WHOLE - len(weights)
        widths = 1 + np.floor(weights / weights.sum() * spare).astype(np.int64)
        widths[np.argmax(widths)] += WHOLE - widths.sum()
        found.append(np.append(0, widths.cumsum()))
    return lanes.tables_of(found)


def drawn(rng: np.random.Generator, tables: lanes.Tables, count: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Rows, symbols as likely as their tables say, and the bits that they cost."""
    rows = rng.integers(0, len(tables.first), count)
    symbols = tables.lookup[(rows << lanes.PRECISION) + rng.integers(0, WHOLE, count)].astype(np.int64)
    widths = tables.width[tables.first[rows] + symbols]
    return rows, symbols, float((lanes.PRECISION - np.log2(widths)).sum())


@settings(max_examples=60, deadline=None)
@given(
    some.integers(0, 10**6),
    some.integers(0, 9000),
    some.integers(0, 3000),
    some.sampled_from([64, 512, 2**16]),
)
def test_symbols_and_what_follows_come_back(seed, count, behind, first):
    rng = np.random.default_rng(seed)
    tables = random_tables(rng)
    rows, symbols, _ = drawn(rng, tables, count)
    tail = rng.integers(0, 256, behind).astype(np.uint8)
    again, rest = lanes.decode(tables, rows, lanes.encode(tables, rows, symbols, tail, first), first)
    np.testing.assert_array_equal(again, symbols)
    np.testing.assert_array_equal(rest[:behind], tail)
    assert not rest[behind:].any()


@pytest.mark.parametrize("count", [100, 5000, 200_000])
def test_symbols_take_the_bits_that_their_tables_promise(count):
    rng = np.random.default_rng(count)
    tables = random_tables(rng)
    rows, symbols, bits = drawn(rng, tables, count)
    data = lanes.encode(tables, rows, symbols, np.zeros(0, np.uint8), 512)
    assert bits - 8 <= 8 * len(data) < 1.002 * bits + 120


def test_symbols_that_are_unlikely_come_back_too():
    rng = np.random.default_rng(0)
    tables = random_tables(rng)
    sizes = np.diff(np.append(tables.first, len(tables.width)))
    rows = rng.integers(0, len(sizes), 4000)
    symbols = rng.integers(0, sizes[rows])
    data = lanes.encode(tables, rows, symbols, np.zeros(0, np.uint8), 512)
    np.testing.assert_array_equal(lanes.decode(tables, rows, data, 512)[0], symbols)


@pytest.mark.parametrize("wanted", [2, 3, 16, 37, 200, 4095, 4096])
def test_codes_of_lanes_lose_an_eighth_at_most(wanted):
    code = lanes._lane_code_of(wanted)
    assert wanted * 8 / 9 - 2 <= lanes._lanes(code) <= wanted < lanes._lanes(code + 8)


@settings(max_examples=60, deadline=None)
@given(some.integers(0, 10**6), some.integers(0, 3000))
def test_any_bytes_are_symbols_or_refused(seed, size):
    """Numbers within the tables, or an error in words: never an index beyond its end."""
    rng = np.random.default_rng(seed)
    tables = random_tables(rng)
    rows = rng.integers(0, len(tables.first), 2000)
    sizes = np.diff(np.append(tables.first, len(tables.width)))
    try:
        symbols, _ = lanes.decode(tables, rows, rng.integers(0, 256, size).astype(np.uint8), 512)
    except ValueError:
        return
    assert (symbols < sizes[rows]).all()


def test_few_lanes_cannot_make_a_reader_wait():
    """Bytes that ask for two lanes of a million symbols are refused before a step is taken."""
    rng = np.random.default_rng(0)
    tables = random_tables(rng)
    began = time.monotonic()
    with pytest.raises(ValueError, match="expected bytes of"):
        lanes.decode(tables, np.zeros(10**6, np.int64), np.zeros(10**6, np.uint8), 512)
    assert time.monotonic() - began < 2
