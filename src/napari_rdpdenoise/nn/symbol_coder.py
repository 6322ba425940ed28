"""Symbols of one kind of latents to bytes and back, with the tables of an entropy model.

Most symbols are 0 because their scale makes them so. Those whose row gives 0 all but a 1024th of the
probability are not coded; where they are something else all the same, their places and values follow by
themselves, as gaps and magnitudes in Rice's code. All others are *live*, and go through `nn.lanes`. A live
symbol outside its row of the table is an escape: the row's last place, and its value as it is.

::

    [ lanes of live symbols | rare ones: none, or their number, powers, bits | escapes | what follows ]
"""

from __future__ import annotations

import math
import struct
import threading
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_rdpdenoise.nn import lanes
from napari_rdpdenoise.nn.lanes import Bytes, Tables

if TYPE_CHECKING:
    from compressai.entropy_models import EntropyModel

_CERTAIN = (1 << lanes.PRECISION) - (1 << lanes.PRECISION) // 1024  # 65536ths of 0
_INT16 = (-32768, 32767)
_ROUNDING = 1e-3  # bits per symbol by which the bytes may be fewer than the symbols ask for
_HEAD = struct.Struct("<IBB")  # of a list of rare symbols that is not empty: their number, two powers
_NONE, _SOME = 0, 1
_POWERS = 24  # largest power of Rice's code
_PREPARING = threading.Lock()  # of all coders: one that holds a lock could not travel to another process


class SymbolCoder:
    """Codes symbols whose row in the tables of an entropy model is known.

    Args:
        model: Entropy model on the CPU, its tables up to date.
        first: Symbols that are coded first (`lanes.encode`).

    Attributes:
        certain: Whether symbols of each row are taken for 0 (bool).
    """

    def __init__(self, model: EntropyModel, first: int) -> None:
        self._first = first
        lengths = model._cdf_length.reshape(-1).numpy().astype(np.int64)
        self._cdf = [
            row[:length] for row, length in zip(model._quantized_cdf.numpy(), lengths.tolist(), strict=True)
        ]
        self._escapes = lengths - 2
        self._offsets = model._offset.reshape(-1).numpy().astype(np.int64)
        widths = [np.diff(row) for row in self._cdf]
        at_zero = np.clip(-self._offsets, 0, self._escapes)
        zero = np.array([width[place] for width, place in zip(widths, at_zero, strict=True)])
        self.certain = (zero >= _CERTAIN) & (self._offsets <= 0) & (-self._offsets < self._escapes)
        self._least = lanes.PRECISION - np.log2([int(width.max()) for width in widths])
        self._tables: Tables | None = None

    def encode(
        self, symbols: NDArray[np.integer], live: NDArray[np.intp], rows: NDArray[np.integer], tail: Bytes
    ) -> Bytes:
        """Bytes of symbols, with others behind them.

        Args:
            symbols: Integers of 16 bits (1-D).
            live: Index of each that is not taken for 0, rising.
            rows: Row of each live one.
            tail: Bytes that follow.
        """
        coded = symbols.take(live).astype(np.int64)
        places, escapes = coded - self._offsets.take(rows), self._escapes.take(rows)
        outside = (places < 0) | (places >= escapes)
        if outside.any():
            places[outside] = escapes[outside]
        rare = symbols != 0
        rare[live] = False
        at = np.flatnonzero(rare)
        far = coded[outside].astype("<i2").view(np.uint8)
        behind = np.concatenate([_packed_rare(at, symbols[at]), far, tail])
        return lanes.encode(self._prepared(), rows, places, behind, self._first)

    def decode(
        self, data: Bytes, count: int, live: NDArray[np.intp], rows: NDArray[np.integer]
    ) -> tuple[NDArray[np.int32], Bytes]:
        """So many symbols (int32), and the bytes that follow; inverts `encode`.

        Raises:
            ValueError: If the bytes do not hold as many symbols of these rows.
        """
        least = float(self._least.take(rows).sum()) - _ROUNDING * len(rows)
        if least > 8 * len(data):
            raise ValueError(f"symbols: expected a stream of {count} symbols, found {len(data)} bytes")
        places, data = lanes.decode(self._prepared(), rows, data, self._first)
        outside = places == self._escapes.take(rows)
        coded = places + self._offsets.take(rows)
        at, values, data = _unpacked_rare(data, count)
        symbols = np.zeros(count, np.int32)
        symbols[at] = values
        if far := 2 * int(np.count_nonzero(outside)):
            if far > len(data):
                raise _damaged()
            coded[outside], data = data[:far].view("<i2"), data[far:]
        symbols[live] = coded
        return symbols, data

    def _prepared(self) -> Tables:
        """Tables, made when they are first used: 8 MB."""
        with _PREPARING:
            if self._tables is None:
                whole = np.array([0, 1 << lanes.PRECISION])
                rows = zip(self._cdf, self.certain, strict=True)
                self._tables = lanes.tables_of([whole if certain else row for row, certain in rows])
            return self._tables


def _packed_rare(at: NDArray[np.intp], values: NDArray[np.integer]) -> Bytes:
    """Bytes of values (none of them 0) at rising places."""
    if not len(at):
        return np.array([_NONE], np.uint8)
    gaps = np.diff(at, prepend=-1) - 1
    values = values.astype(np.int64)
    sizes = np.where(values < 0, -2 * values - 1, 2 * values) - 1
    powers = [_power(gaps), _power(sizes)]
    unary = np.concatenate([gaps >> powers[0], sizes >> powers[1]]) + 1
    ones = np.zeros(int(unary.sum()), np.uint8)
    ones[unary.cumsum() - 1] = 1
    low = [_low_bits(numbers, power) for numbers, power in zip((gaps, sizes), powers, strict=True)]
    head = np.frombuffer(bytes([_SOME]) + _HEAD.pack(len(at), *powers), np.uint8)
    return np.concatenate([head, np.packbits(np.concatenate([ones, *low]), bitorder="little")])


def _unpacked_rare(data: Bytes, size: int) -> tuple[NDArray[np.intp], NDArray[np.int64], Bytes]:
    """Places below a size, values, and the bytes that follow; inverts `_packed_rare`."""
    nothing = np.zeros(0, np.int64)
    if len(data) and data[0] == _NONE:
        return nothing, nothing, data[1:]
    if len(data) <= _HEAD.size or data[0] != _SOME:
        raise _damaged()
    count, *powers = _HEAD.unpack_from(data[1:].tobytes())
    data = data[1 + _HEAD.size :]
    if not 0 < count <= size or max(powers) > _POWERS:
        raise _damaged()
    bits = np.unpackbits(data, bitorder="little")
    ones = np.flatnonzero(bits)[: 2 * count]
    if len(ones) < 2 * count:
        raise _damaged()
    first = int(ones[-1]) + 1
    end = first + count * sum(powers)
    if end > len(bits):
        raise _damaged()
    unary = np.diff(ones, prepend=-1) - 1
    gaps = _with_low(unary[:count], bits[first:], powers[0])
    sizes = _with_low(unary[count:], bits[first + count * powers[0] :], powers[1])
    at = (gaps + 1).cumsum() - 1
    values = np.where(sizes % 2, (sizes + 1) // 2, -(sizes // 2) - 1)
    if at[-1] >= size or not _INT16[0] <= values.min() <= values.max() <= _INT16[1]:
        raise _damaged()
    return at, values, data[-(-end // 8) :]


def _power(numbers: NDArray[np.integer]) -> int:
    """Power of Rice's code that suits numbers."""
    return min(_POWERS, math.ceil(math.log2(max(1.0, float(numbers.mean()) * math.log(2)))))


def _low_bits(numbers: NDArray[np.integer], power: int) -> NDArray[np.uint8]:
    return ((numbers[:, None] >> np.arange(power)) & 1).astype(np.uint8).ravel()


def _with_low(high: NDArray[np.intp], bits: NDArray[np.uint8], power: int) -> NDArray[np.int64]:
    low = bits[: len(high) * power].reshape(len(high), power).astype(np.int64)
    return (high << power) + (low << np.arange(power)).sum(1)


def _damaged() -> ValueError:
    return ValueError("symbols: expected a list of rare ones behind the others, found altered bytes")
