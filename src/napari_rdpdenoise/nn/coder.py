"""The coder of all kinds of symbols of a tile, with its tables.

::

    z symbols --nn.scale_rows--> row of each y and d --+
        |                                              |
        bytes of z, in whose lanes begin those of y and d together

Layout 3 of the bitstream had a stream for each kind: `Coder.decode_by_kind` reads it, `nn.range_coder` and
`nn.exact` are for that alone.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_rdpdenoise.nn import _compressai, exact
from napari_rdpdenoise.nn.costs import CostTable
from napari_rdpdenoise.nn.scale_rows import RowTable, ScaleRows, row_borders

_compressai.prepare()
from compressai.entropy_models import EntropyBottleneck, GaussianConditional  # noqa: E402

from napari_rdpdenoise.nn.range_coder import RangeCoder  # noqa: E402
from napari_rdpdenoise.nn.symbol_coder import SymbolCoder  # noqa: E402

SCALE_FLOOR = 0.05
"""Least scale of a latent."""

# from .11 to 256, so rounded that all machines have the same
SCALES = [round(0.11 * (256 / 0.11) ** (k / 63) * 2**16) / 2**16 for k in range(64)]
"""Largest scale of each row of the tables."""

_FIRST, _FIRST_Z = 512, 2**16  # symbols that are coded first; those of z have the others' bytes behind them
_ZEROS = 16  # bytes that may be left, beside one for 500 symbols: a coder fills its lanes with them


class _Live(NamedTuple):
    """Symbols of several kinds, one after the other, that are not taken for 0."""

    places: NDArray[np.intp]
    rows: NDArray[np.integer]


class Coder:
    """Coder and tables of a hyperprior, on the CPU wherever the network is.

    Holds copies, and is no module: neither the network's parameters nor its state know of it.

    Args:
        bottleneck: Entropy model of the hyper-latents, its weights loaded.
        conditional: Entropy model of the latents.
        first: Layers of the hyper-synthesis that all kinds of latents share.
        last: Layers behind them: one sequence or convolution for each kind.

    Attributes:
        cost: Bits of symbols of latents by row.
        z_cost: Bits of symbols of hyper-latents by channel.
    """

    def __init__(
        self,
        bottleneck: EntropyBottleneck,
        conditional: GaussianConditional,
        first: nn.Sequential,
        last: Sequence[nn.Module],
    ) -> None:
        self._medians = bottleneck.quantiles[:, 0, 1].reshape(1, -1, 1, 1).detach().cpu()
        self._bottleneck = copy.deepcopy(bottleneck).cpu().double()
        self._conditional = copy.deepcopy(conditional).cpu()
        _update_bottleneck(self._bottleneck)
        _update_conditional(self._conditional)
        self._first = copy.deepcopy(first).cpu()
        self._last = [copy.deepcopy(layer).cpu() for layer in last]
        changes = [math.log(math.expm1(scale - SCALE_FLOOR)) for scale in SCALES[:-1]]
        self.cost, self.z_cost = CostTable(self._conditional, changes), CostTable(self._bottleneck)
        self._coder, self._z_coder = (
            SymbolCoder(self._conditional, _FIRST),
            SymbolCoder(self._bottleneck, _FIRST_Z),
        )
        self._z_live = np.flatnonzero(~self._z_coder.certain)
        borders = row_borders(SCALES[:-1], SCALE_FLOOR)
        self._rows = RowTable(borders)
        self._border = float(borders[int(np.argmin(self._coder.certain)) - 1])
        self._raw = ScaleRows(self._first, self._last, self._medians)

    def encode(self, y: Tensor, z: Tensor, *finer: Tensor) -> bytes:
        """Bytes of the symbols of one tile, (1, channels, rows, columns) each, on the CPU."""
        symbols = np.concatenate([part.numpy().ravel() for part in (y, *finer)][::-1])
        behind = self._coder.encode(symbols, *self._live(z), np.zeros(0, np.uint8))
        return self._z_coder.encode(z.numpy().ravel(), *self._z_places(z.shape[2:]), behind).tobytes()

    def decode(self, data: bytes, shape: tuple[int, int]) -> tuple[Tensor, ...]:
        """Symbols y, z and finer ones (int32) from their bytes; hyper-latents are of ``shape``.

        Raises:
            ValueError: If the bytes are not of such symbols.
        """
        channels = len(self._z_coder.certain)
        count = channels * shape[0] * shape[1]
        found, rest = self._z_coder.decode(np.frombuffer(data, np.uint8), count, *self._z_places(shape))
        z = torch.from_numpy(found.reshape(1, channels, *shape))
        raw = self._raw(z)
        sizes = [part.size for part in raw]
        found, rest = self._coder.decode(rest, sum(sizes), *self._live_of(raw))
        count += sum(sizes)
        if rest.any() or len(rest) > _ZEROS + count // 500:
            raise ValueError(f"symbols: expected {count} to take all the bytes, found {len(rest)} left")
        parts = np.split(found, np.cumsum(sizes[::-1])[:-1])[::-1]
        y, *finer = (
            torch.from_numpy(part.reshape(1, *like.shape)) for part, like in zip(parts, raw, strict=True)
        )
        return y, z, *finer

    def decode_by_kind(self, payloads: Sequence[bytes], shape: tuple[int, int]) -> tuple[Tensor, ...]:
        """Symbols from a stream for each kind, as layout 3 of the bitstream has them; else as `decode`."""
        y_bytes, z_bytes, *finer_bytes = payloads
        z = self._old_coders[1].decode(z_bytes, _channels((1, self._medians.shape[1], *shape)))
        y, *finer = (
            self._old_coders[0].decode(coded, rows)
            for coded, rows in zip((y_bytes, *finer_bytes), self._old_rows(z), strict=True)
        )
        return y, z, *finer

    def _live(self, z: Tensor) -> _Live:
        """What is coded of y and finer kinds, from z alone: exactly the same on every machine."""
        return self._live_of(self._raw(z))

    def _live_of(self, raw: list[NDArray[np.float32]]) -> _Live:
        index, rows, at = [], [], 0
        for part in reversed(raw):  # y last: it has most bits, and what is last is coded first
            flat = part.ravel()
            live = np.flatnonzero(flat >= self._border)
            rows.append(self._rows(flat.take(live)))
            index.append(live + at)
            at += len(flat)
        return _Live(np.concatenate(index), np.concatenate(rows))

    def _z_places(self, shape: Sequence[int]) -> _Live:
        """What is coded of hyper-latents."""
        size = shape[0] * shape[1]
        index = (self._z_live[:, None] * size + np.arange(size)).ravel()
        return _Live(index, self._z_live.repeat(size))

    @cached_property
    def _old_coders(self) -> tuple[RangeCoder, RangeCoder]:
        return RangeCoder(self._conditional), RangeCoder(self._bottleneck)

    @cached_property
    def _old_layers(self) -> exact.ExactLayers:
        return exact.ExactLayers(self._first, self._last)

    def _old_rows(self, z: Tensor) -> list[Tensor]:
        """Row of the tables for every latent by kind."""
        borders = exact.borders_between(SCALES[:-1], SCALE_FLOOR)
        found = self._old_layers(z.double() + self._medians.double())
        return [torch.bucketize(raw.chunk(2, 1)[1].contiguous(), borders).to(torch.int32) for raw in found]


def _update_bottleneck(bottleneck: EntropyBottleneck) -> None:
    """Make the tables of an entropy model (float64) from its weights, rounded as all machines round them."""
    to_cdf = bottleneck._pmf_to_cdf

    def rounded(pmf: Tensor, tail: Tensor, *rest: Any) -> Tensor:
        return to_cdf(exact.rounded_probabilities(pmf), exact.rounded_probabilities(tail), *rest)

    bottleneck._pmf_to_cdf = rounded
    try:
        bottleneck.update(force=True)
    finally:
        del bottleneck._pmf_to_cdf  # of the object: its class has the usual one, and no function travels


def _update_conditional(conditional: GaussianConditional) -> None:
    """Make the tables of all scales, rounded as all machines round them."""
    pmf, tail, reach = exact.gaussian_probabilities(SCALES, conditional.tail_mass)
    lengths = 2 * reach + 1
    conditional._quantized_cdf = conditional._pmf_to_cdf(
        exact.rounded_probabilities(pmf), exact.rounded_probabilities(tail), lengths, int(lengths.max())
    )
    conditional._offset, conditional._cdf_length = -reach, lengths + 2


def _channels(shape: Sequence[int]) -> Tensor:
    """Number of its channel in the place of every number of a tensor of that shape."""
    return torch.arange(shape[1])[None, :, None, None].expand(*shape)
