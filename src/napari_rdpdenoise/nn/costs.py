"""Bits that symbols take, looked up in the tables of their coder without coding them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from compressai.entropy_models import EntropyModel

_WIDEST = 4096  # symbols to each side in the tables of costs
_ESCAPE = 16.0  # bits of a value outside its row


class CostTable:
    """Bits per symbol by row of the coder's cumulative distributions (a scale, or a channel of z).

    Every row is centred and as wide as the widest, so that one index finds the cost; beyond a row's own end
    stands the cost of the escape: its own bits and 16 for the value.

    Args:
        model: Entropy model with its tables.
        borders: Raw scales, rising, up to which each row goes but the last; none where rows are channels.
    """

    def __init__(self, model: EntropyModel, borders: Sequence[float] = ()) -> None:
        cdf, lengths, offsets = (
            t.cpu() for t in (model._quantized_cdf.double(), model._cdf_length.long(), model._offset.long())
        )
        reach = min(int((lengths + offsets.abs()).max()), _WIDEST)
        bits = torch.empty(len(cdf), 2 * reach + 1)
        for row, (length, offset) in enumerate(zip(lengths.tolist(), offsets.tolist(), strict=True)):
            cost = 16.0 - torch.log2((cdf[row, 1:length] - cdf[row, : length - 1]).clamp(min=1.0))
            bits[row] = float(cost[-1]) + _ESCAPE
            first, inside = reach + offset, cost[:-1]
            low, high = max(first, 0), min(first + len(inside), 2 * reach + 1)
            bits[row, low:high] = inside[low - first : high - first].float()
        self._reach, self._bits = reach, bits
        # the place of symbol 0 in the row of each bfloat16, in the order of their bits as signed integers
        raw = torch.arange(-(2**15), 2**15, dtype=torch.int32).to(torch.int16).view(torch.bfloat16).float()
        self._starts = torch.bucketize(raw, torch.tensor(borders), out_int32=True) * bits.shape[1] + reach

    def by_raw(self, raw: Tensor, symbols: Tensor) -> Tensor:
        """Bits (b,) of symbols of latents (int32), given the raw scale of each (floating, same shape).

        Raw scales count as the bfloat16 nearest to them: of each of these the row is known.
        """
        if self._starts.device != raw.device:
            self._starts = self._starts.to(raw.device)
        last = raw.is_contiguous(memory_format=torch.channels_last)
        order = torch.channels_last if last else torch.contiguous_format
        raw, symbols = (part.contiguous(memory_format=order) for part in (raw.to(torch.bfloat16), symbols))
        number = in_memory(raw).view(torch.int16).to(torch.int32).add_(2**15)
        place = in_memory(symbols).clamp(-self._reach, self._reach).add_(self._starts.index_select(0, number))
        return self._table(symbols.device).index_select(0, place).view(len(symbols), -1).sum(1)

    def _table(self, device: torch.device) -> Tensor:
        if self._bits.device != device:
            self._bits = self._bits.to(device)
        return self._bits.view(-1)

    def __call__(self, row: Tensor, symbols: Tensor) -> Tensor:
        """Bits (b,) of integer symbols (int32), given the row of each (int32, of a shape that broadcasts)."""
        place = symbols.clamp(-self._reach, self._reach).add_(row * self._bits.shape[1] + self._reach)
        return self._table(symbols.device).index_select(0, in_memory(place)).view(len(symbols), -1).sum(1)


def in_memory(x: Tensor) -> Tensor:
    """All values in the order in which they lie in memory, one sample after the other."""
    if x.is_contiguous(memory_format=torch.channels_last):
        x = x.permute(0, 2, 3, 1)
    return x.reshape(-1)
