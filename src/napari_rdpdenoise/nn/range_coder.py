"""Bytes to integers with the tables of an entropy model, by CompressAI's range coder, for layout 3.

The coder itself trusts its input: it reads on beyond the end of a stream that was altered. Here it is given
what it may read, and only streams and rows that can belong together: ``n`` symbols of ``b`` bits, where every
row of a table has a least cost, take ``b + 32`` to ``b + 64`` bits.

A symbol outside its row of the table is an escape: the row's last place, a count of groups, groups of 4 bits.
"""

from __future__ import annotations

import torch
from torch import Tensor

from napari_rdpdenoise.nn import _compressai

_compressai.prepare()
from compressai.ans import RansDecoder  # noqa: E402
from compressai.entropy_models import EntropyModel  # noqa: E402

_PRECISION = 16  # bits of the tables
_GROUP = 4  # bits
_WORD = 4  # bytes
_STATE_BITS = 32, 64  # least and most that a stream has beyond its symbols
_ROUNDING = 1e-3  # bits per symbol by which a stream may differ from that
_INT16 = (-32768, 32767)
# What the coder reads of a stream that was altered ends, but not at once: an escape whose count is all the
# stream reads 15 times as much, and behind the end each symbol reads less than a word until the last word
# of the stream is used up.
_RUN = 15
_SLACK = 2**16  # bytes


class RangeCoder:
    """Reads tensors of symbols whose row in the tables of an entropy model is known.

    Args:
        model: Entropy model on the CPU, its tables up to date.
    """

    def __init__(self, model: EntropyModel) -> None:
        lengths, offsets = model._cdf_length.reshape(-1), model._offset.reshape(-1)
        self._tables = model._quantized_cdf.tolist(), lengths.tolist(), offsets.tolist()
        self._cdf, self._escapes, self._offsets = (
            model._quantized_cdf.long(),
            lengths.long() - 2,
            offsets.long(),
        )
        widths = (self._cdf[:, 1:] - self._cdf[:, :-1]).double().clamp(min=1.0)
        self._costs = _PRECISION - torch.log2(widths)
        inside = torch.arange(widths.shape[1]) <= self._escapes[:, None]
        self._least = torch.where(inside, self._costs, torch.inf).amin(1)

    def decode(self, data: bytes, rows: Tensor) -> Tensor:
        """Symbols (int32) of the shape of their rows.

        Raises:
            ValueError: If the bytes do not hold as many symbols of these rows.
        """
        flat = rows.reshape(-1).long()
        count = len(flat)
        least = float(self._least[flat].sum()) + _STATE_BITS[0] - _ROUNDING * count
        if len(data) % _WORD or not max(least, 2 * 8 * _WORD) <= 8 * len(data) <= 8 * _WORD * count:
            raise ValueError(f"symbols: expected a stream of {count} symbols, found {len(data)} bytes")
        room = bytes(_RUN * len(data) + _WORD * count + _SLACK)
        found = RansDecoder().decode_with_indexes(data + room, flat.tolist(), *self._tables)
        symbols = torch.tensor(found, dtype=torch.int64)
        if not _INT16[0] <= int(symbols.min()) <= int(symbols.max()) <= _INT16[1]:
            raise ValueError("symbols: expected integers of 16 bits, found larger ones")
        rest = 8 * len(data) - self._bits(symbols, flat)
        if not _STATE_BITS[0] - _ROUNDING * count - 1 <= rest <= _STATE_BITS[1] + _ROUNDING * count + 1:
            raise ValueError(
                f"symbols: expected {count} of them to take all the bytes, found {rest:.0f} bits left"
            )
        return symbols.to(torch.int32).reshape(rows.shape)

    def _bits(self, symbols: Tensor, rows: Tensor) -> float:
        """Bits of symbols (1-D) in rows."""
        place, escape = symbols - self._offsets[rows], self._escapes[rows]
        outside = (place < 0) | (place >= escape)
        bits = self._costs[rows, torch.where(outside, escape, place)].sum()
        beyond = torch.where(place < 0, -2 * place - 1, 2 * (place - escape))[outside]
        groups = sum((beyond >> (_GROUP * k)) > 0 for k in range(8)) + torch.zeros_like(beyond)
        return float(bits + _GROUP * (groups + 1).sum())
