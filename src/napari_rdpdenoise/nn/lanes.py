"""Range coding of many symbols at once: asymmetric numeral systems in lanes, in NumPy's whole numbers.

Symbols: ``x`` state of a lane, 2**20 to 2**21; ``f``, ``c`` width and start of a symbol in its row, 65536ths.

::

    encode   b = bits that bring x >> b into [16 f, 32 f); they are written; x <- 2**16 (x // f) + c + x % f
    decode   symbol of x % 2**16; x <- f (x >> 16) + x % 2**16 - c; the bits that bring x back are read

All lanes take one step with one call of each operation, so that a symbol takes tens of nanoseconds without
any compiled code of our own; whole numbers below 2**31 are the same on every machine. A lane that starts and
ends costs a 16th of a bit: its last state is 20 bits of information, its first one holds 20 bits of what was
coded before. So the last symbols are coded first, in few lanes, what they give starts more lanes for the
symbols before them, and so on (`_parts`); what is left of the bytes behind a part follows its own::

    [ states of the lanes | bits of a part | rest of the bytes of the parts behind it ]

Others: CompressAI's coder, which layout 3 of the bitstream used, takes lists of Python integers, 150 to 300
ns a symbol with all that it needs. constriction (0.5.0, in Rust, well kept) takes 10 and 20 ns where symbols
are sorted by their table, this module 40 to 50; with a table for each symbol it takes 60 and 150. It has no
wheels for Linux on ARM, and how it rounds probabilities would be part of the format. Here the coder is no
longer what takes the time: the layers that lead to the rows are more than half of it (`nn.scale_rows`).

Source: Duda, "Asymmetric numeral systems", arXiv:1311.2540; Giesen, "Interleaved entropy coders",
arXiv:1402.3392.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

PRECISION = 16
"""Bits of the tables."""

_STATE = 20  # bits of a state below its leading one
_HALF = _STATE // 2  # states are kept in two halves, as no more than 17 bits are read at once
_BYTE, _PAIR = 8, 16  # bits
_LEAST, _MOST = 2, 4096  # lanes, in pairs: 2 states are 5 whole bytes
_GROWTH = 4  # how much longer each part is than the one that is coded before it
_FEWEST, _LONGEST = 4, 2048  # steps of a part; at most so many whatever bytes say
_EXPONENT = 127 + _STATE  # of the float32 of a state, as its bits have it

Bytes = NDArray[np.uint8]


class Tables(NamedTuple):
    """Rows of symbols, one after the other.

    Attributes:
        start: Start of each symbol, 65536ths (int32).
        width: Width of each symbol, 65536ths, at least 1 (int32).
        first: Index of the first symbol of each row (int64).
        lookup: Number of the symbol within its row for every 65536th of every row (uint16).
    """

    start: NDArray[np.int32]
    width: NDArray[np.int32]
    first: NDArray[np.int64]
    lookup: NDArray[np.uint16]


def tables_of(rows: list[NDArray[np.integer]]) -> Tables:
    """Tables from rising cumulative 65536ths, 0 and 65536 included, of each row."""
    widths = [np.diff(row).astype(np.int32) for row in rows]
    starts = [np.asarray(row[:-1], np.int32) for row in rows]
    lookup = [np.repeat(np.arange(len(width), dtype=np.uint16), width) for width in widths]
    first = np.cumsum([0, *(len(width) for width in widths[:-1])])
    return Tables(np.concatenate(starts), np.concatenate(widths), first, np.concatenate(lookup))


def encode(
    tables: Tables, rows: NDArray[np.integer], symbols: NDArray[np.integer], tail: Bytes, first: int
) -> Bytes:
    """Code symbols in front of other bytes.

    Args:
        tables: Tables of both sides.
        rows: Row of each symbol (1-D).
        symbols: Number of each symbol within its row.
        tail: Bytes that follow; `decode` returns them, with zeros behind them if they are very few.
        first: Symbols of the part that is coded first: few, unless the tail can start many lanes.
    """
    index = tables.first.take(rows) + symbols
    width, start = tables.width.take(index), tables.start.take(index)
    # bits to write, as (x + delta) >> 24: one fewer than `most` where that is enough
    most = (_EXPONENT - _STATE + PRECISION) - (width.astype(np.float32).view(np.int32) >> 23)
    delta = (most << 24) - (width << (most + (_STATE - PRECISION)))
    codes, data = [], tail
    for part in reversed(_parts(len(symbols), first)):
        code = _lane_code(len(data), part.stop - part.start)
        data = _encoded(width[part], start[part], delta[part], data, _lanes(code))
        codes.append(code)
    return np.concatenate([np.array(codes[::-1], np.uint8), data])


def decode(
    tables: Tables, rows: NDArray[np.integer], data: Bytes, first: int
) -> tuple[NDArray[np.uint16], Bytes]:
    """Number of each symbol within its row, and the bytes that follow; inverts `encode`.

    Raises:
        ValueError: If the bytes do not hold as many symbols of these rows.
    """
    symbols = np.empty(len(rows), np.uint16)
    parts = _parts(len(rows), first)
    if len(data) < len(parts):
        raise _damaged(len(rows))
    codes, data = data[: len(parts)].tolist(), data[len(parts) :]
    for part, code in zip(parts, codes, strict=True):
        least = _least_code(part.stop - part.start)
        if not least <= code <= max(_lane_code_of(_MOST), least):
            raise _damaged(len(rows))
        symbols[part], data = _decoded(tables, rows[part], data, _lanes(code))
    return symbols, data


def _parts(count: int, size: int) -> list[slice]:
    """Parts of so many symbols, from front to back, the last one of that size at most."""
    parts = []
    while count > 0:
        parts.append(slice(max(0, count - size), count))
        count, size = count - size, size * _GROWTH
    return parts[::-1]


def _lanes(code: int) -> int:
    """Lanes of a code of one byte: 8 numbers in each octave."""
    return _LEAST * ((8 + (code & 7) << (code >> 3)) >> 3)


def _lane_code_of(lanes: int) -> int:
    """Largest code of at most so many lanes."""
    steps = max(1, lanes // _LEAST)
    octave = steps.bit_length() - 1
    return 8 * octave + ((steps << 3 >> octave) & 7)


def _least_code(size: int) -> int:
    """Code of so many lanes that a part of that size does not take for ever."""
    return _lane_code_of(-(-size // _LONGEST)) + 1 if size > _LEAST * _LONGEST else 0


def _lane_code(length: int, size: int) -> int:
    """Lanes of a part of that size: as many as bytes can start, so many that each has a few steps."""
    wanted = min(length * _BYTE // _STATE, size // _FEWEST, _MOST)
    return max(_least_code(size), _lane_code_of(wanted))


def _encoded(
    width: NDArray[np.int32], start: NDArray[np.int32], delta: NDArray[np.int32], tail: Bytes, lanes: int
) -> Bytes:
    """One part in so many lanes, in front of the bytes that its lanes do not hold."""
    held = lanes * _STATE // _BYTE
    state = _states(np.concatenate([tail[:held], np.zeros(max(0, held - len(tail)), np.uint8)]), lanes)
    rest, divisor = (1 << PRECISION) - width, width.astype(np.float32)
    before, bits = np.empty(len(width), np.int32), np.empty(len(width), np.int32)
    for end in range(len(width), 0, -lanes):
        at = slice(max(0, end - lanes), end)
        x = state[: end - at.start]
        before[at] = x
        shift = (x + delta[at]) >> 24
        bits[at] = shift
        x = x >> shift
        # 16 to 32, and where not whole 2**-16 below the next one or more: float32 finds the whole part
        times = (x.astype(np.float32) / divisor[at]).astype(np.int32)
        state[: len(x)] = x + start[at] + times * rest[at]
    own = _packed(before & ((1 << bits) - 1), bits)
    return np.concatenate([_halves(state), own, tail[held:]])


def _decoded(
    tables: Tables, rows: NDArray[np.integer], data: Bytes, lanes: int
) -> tuple[NDArray[np.uint16], Bytes]:
    """One part, and the bytes behind it."""
    held, count = lanes * _STATE // _BYTE, len(rows)
    if len(data) < held:
        raise _damaged(count)
    state, data = _states(data[:held], lanes), data[held:]
    windows = _windows(data)
    base, first = rows.astype(np.int64) << PRECISION, tables.first.take(rows)
    symbols = np.empty(count, np.uint16)
    at, begin = 0, 0
    for end in range(count % lanes or lanes, count + 1, lanes):
        x = state[: end - begin]
        slot = np.bitwise_and(x, (1 << PRECISION) - 1)
        found = tables.lookup.take(base[begin:end] + slot)
        symbols[begin:end] = found
        index = first[begin:end] + found
        x = tables.width.take(index) * (x >> PRECISION) + (slot - tables.start.take(index))
        bits = _EXPONENT - (x.astype(np.float32).view(np.int32) >> 23)
        ends = bits.cumsum(dtype=np.int64)
        place = ends - bits
        place += at
        read = windows.take(place >> 3, mode="clip") >> (place & 7)
        state[: len(x)] = (x << bits) | (read & ((1 << bits) - 1))
        at, begin = at + int(ends[-1]), end
    used = -(-at // _BYTE)
    if used > len(data):
        raise _damaged(count)
    return symbols, np.concatenate([_halves(state), data[used:]])


def _states(data: Bytes, lanes: int) -> NDArray[np.int32]:
    """States from bytes that hold 20 bits of each."""
    place = np.arange(2 * lanes) * _HALF
    halves = (_windows(data).take(place >> 3) >> (place & 7)) & ((1 << _HALF) - 1)
    return halves[::2] | (halves[1::2] << _HALF) | (1 << _STATE)


def _halves(state: NDArray[np.int32]) -> Bytes:
    """Bytes of states; inverts `_states`."""
    values = np.stack([state & ((1 << _HALF) - 1), (state >> _HALF) & ((1 << _HALF) - 1)], 1).ravel()
    return _packed(values, np.full(len(values), _HALF, np.int32))


def _windows(data: Bytes) -> NDArray[np.int32]:
    """The 24 bits from the beginning of each byte on, with one window of zeros behind them."""
    wide = np.zeros(len(data) + 3, np.int32)
    wide[:-3] = data
    return wide[:-2] | (wide[1:-1] << _BYTE) | (wide[2:] << (2 * _BYTE))


def _packed(values: NDArray[np.int32], bits: NDArray[np.int32]) -> Bytes:
    """Bytes of values of so many bits, up to 16, the lowest bit first."""
    kept = np.flatnonzero(bits != 0)
    if not len(kept):
        return np.zeros(0, np.uint8)
    bits = bits.take(kept)
    ends = bits.cumsum(dtype=np.int64)
    place = ends - bits
    shifted = values.take(kept).astype(np.uint32) << (place & 15).astype(np.uint32)
    place >>= 4
    # every pair of bytes but the last has the beginning of a value in it, as none has more than 16 bits
    begins = np.flatnonzero(place[1:] != place[:-1]) + 1
    sums = np.add.reduceat(shifted, np.concatenate([[0], begins]), dtype=np.uint32)  # of disjoint bits
    pairs = np.zeros(len(sums) + 1, "<u2")
    pairs[:-1] = sums & 0xFFFF
    pairs[1:] |= (sums >> _PAIR).astype(np.uint16)
    return pairs.view(np.uint8)[: -(-int(ends[-1]) // _BYTE)]


def _damaged(count: int) -> ValueError:
    return ValueError(f"symbols: expected bytes of {count} symbols, found too few or altered ones")
