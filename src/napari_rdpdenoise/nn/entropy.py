"""Mean-scale hyperprior and real entropy coding, on CompressAI's entropy models.

The one module that imports compressai (3 s), so it is imported only when a network is built.

Symbols: ``y`` gained latents (b, c, h, w); ``z`` hyper-latents at half that resolution; ``mu``, ``sigma``
mean and scale of y given z. ``y_sym = round(y - mu)`` and ``z_sym = round(z - median)`` are the integers
that are kept; both sides recompute mu and sigma from ``z_sym``, so nothing else has to be stored.

Source: Minnen, Balle, Toderici, "Joint autoregressive and hierarchical priors", NeurIPS 2018 (mean-scale
part).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from napari_rdpdenoise.nn._triton import keep_triton_out
from napari_rdpdenoise.nn.config import NetworkConfig
from napari_rdpdenoise.nn.layers import conv

keep_triton_out()
from compressai.entropy_models import EntropyBottleneck, EntropyModel, GaussianConditional  # noqa: E402

_SCALE_FLOOR = 0.05
_INT16 = (-32768, 32767)  # symbols are kept in 16 bits
_WIDEST = 4096  # symbols to each side in the tables of costs
_SCALES = torch.exp(torch.linspace(math.log(0.11), math.log(256.0), 64)).tolist()


class Symbols(NamedTuple):
    """Integer latents of one batch: y (b, c, h, w) and z (b, k, h/2, w/2), int32 within 16 bits."""

    y: Tensor
    z: Tensor


class Hyperprior(nn.Module):
    """Entropy model of the latents.

    The hyper-latents are at 1/16 of the image only: every level more would widen the context that a tile
    needs to give the same numbers as the whole image.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        latent, hyper = config.latent_channels, config.hyper_channels
        self.analysis = nn.Sequential(
            conv(latent, hyper), nn.LeakyReLU(0.1, inplace=True), conv(hyper, hyper, stride=2)
        )
        self.synthesis = nn.Sequential(
            conv(hyper, 4 * hyper, kernel=1),
            nn.PixelShuffle(2),
            nn.LeakyReLU(0.1, inplace=True),
            conv(hyper, 2 * latent),
        )
        self.bottleneck = EntropyBottleneck(hyper)
        self.conditional = GaussianConditional(_SCALES)
        self._edges = torch.tensor(_SCALES[:-1])
        self._coder: _Coder | None = None

    def forward(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Training pass: straight-through rounded latents and bits per sample (b,)."""
        z = self.analysis(y)
        _, z_likelihood = self.bottleneck(z)
        median = self._medians()
        z_hat = _round_through(z - median) + median
        mu, sigma = self._moments(z_hat)
        _, y_likelihood = self.conditional(y, sigma, means=mu, training=self.training)
        y_hat = _round_through(y - mu) + mu
        return y_hat, _bits(y_likelihood) + _bits(z_likelihood)

    def quantize(self, y: Tensor) -> Symbols:
        """Integer symbols of gained latents."""
        return self._symbols(y)[0]

    def dequantize(self, symbols: Symbols) -> Tensor:
        """Latents (float32) that the symbols stand for; inverts :meth:`quantize` up to the rounding."""
        mu, _ = self._moments(symbols.z.to(self._medians().dtype) + self._medians())
        return symbols.y.to(mu.dtype) + mu

    def estimated_bits(self, symbols: Symbols) -> Tensor:
        """Bits (b,) that the symbols will take, looked up in the coder's own tables, without coding them.

        Needs :meth:`prepare_coder`. A look-up takes a tenth of the time of evaluating the likelihoods.
        """
        _, sigma = self._moments(symbols.z.to(self._medians().dtype) + self._medians())
        return self._cost(symbols, sigma)

    def quantize_and_count(self, y: Tensor) -> tuple[Symbols, Tensor]:
        """:meth:`quantize` and :meth:`estimated_bits` at the cost of one."""
        symbols, _, sigma = self._symbols(y)
        return symbols, self._cost(symbols, sigma)

    def rounded(self, y: Tensor) -> Tensor:
        """:meth:`quantize` and :meth:`dequantize` at the cost of one."""
        symbols, mu, _ = self._symbols(y)
        return symbols.y.to(mu.dtype) + mu

    def rounded_and_counted(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """:meth:`rounded` and :meth:`estimated_bits` at the cost of one."""
        symbols, mu, sigma = self._symbols(y)
        return symbols.y.to(mu.dtype) + mu, self._cost(symbols, sigma)

    def _symbols(self, y: Tensor) -> tuple[Symbols, Tensor, Tensor]:
        median = self._medians()
        z_sym = torch.round(self.analysis(y) - median).clamp(*_INT16)
        mu, sigma = self._moments(z_sym + median)
        y_sym = torch.round(y - mu).clamp(*_INT16)
        return Symbols(y_sym.to(torch.int32), z_sym.to(torch.int32)), mu, sigma

    def _cost(self, symbols: Symbols, sigma: Tensor) -> Tensor:
        coder = self._prepared()
        scale = torch.bucketize(sigma.contiguous(), self._edges.to(sigma.device), out_int32=True)
        channel = torch.arange(symbols.z.shape[1], device=sigma.device, dtype=torch.int32)[:, None, None]
        y, z = coder.y_cost(scale, symbols.y), coder.z_cost(channel[None], symbols.z)
        return y.flatten(1).sum(1) + z.flatten(1).sum(1)

    def encode(self, symbols: Symbols) -> list[tuple[bytes, ...]]:
        """Entropy-code each sample of a batch to one payload for each kind of symbols."""
        return self._prepared().encode(symbols)

    def decode(self, payloads: Sequence[bytes], shape: tuple[int, int]) -> Symbols:
        """Symbols (batch of one, CPU) from its payloads; hyper-latents are of ``shape``, (h/2, w/2)."""
        return self._prepared().decode(payloads, shape)

    def prepare_coder(self) -> None:
        """Build the coder and its tables; needed once after the weights are loaded or have changed."""
        self._coder = _Coder(self)

    def _prepared(self) -> _Coder:
        if self._coder is None:
            raise RuntimeError("the entropy coder has no tables yet: call prepare_coder() first")
        return self._coder

    def aux_loss(self) -> Tensor:
        """Loss of the bottleneck's quantiles (medians and tails of z)."""
        return self.bottleneck.loss()

    def _moments(self, z_hat: Tensor) -> tuple[Tensor, Tensor]:
        mu, raw = self.synthesis(z_hat).chunk(2, 1)
        return mu, nn.functional.softplus(raw) + _SCALE_FLOOR

    def _medians(self) -> Tensor:
        return self.bottleneck.quantiles[:, 0, 1].reshape(1, -1, 1, 1).detach()


class _Coder:
    """Range coder and tables of a hyperprior, on the CPU wherever the network is.

    Holds copies, and is no module: neither the network's parameters nor its state know of it.
    """

    def __init__(self, hyperprior: Hyperprior) -> None:
        self._bottleneck = copy.deepcopy(hyperprior.bottleneck).cpu()
        self._conditional = copy.deepcopy(hyperprior.conditional).cpu()
        self._bottleneck.update(force=True)
        self._conditional.update_scale_table(_SCALES, force=True)
        self._synthesis = copy.deepcopy(hyperprior.synthesis).double().cpu()
        self._medians = hyperprior._medians().cpu()
        self.y_cost, self.z_cost = _CostTable(self._conditional), _CostTable(self._bottleneck)

    def encode(self, symbols: Symbols) -> list[tuple[bytes, ...]]:
        out: list[tuple[bytes, ...]] = []
        for y, z in zip(symbols.y.cpu()[:, None], symbols.z.cpu()[:, None], strict=True):
            z_bytes = self._bottleneck.compress(z.float() + self._medians)[0]
            y_bytes = self._conditional.compress(y.float(), self._scale_indexes(z))[0]
            out.append((y_bytes, z_bytes))
        return out

    def decode(self, payloads: Sequence[bytes], shape: tuple[int, int]) -> Symbols:
        y_bytes, z_bytes = payloads
        z_hat = self._bottleneck.decompress([z_bytes], list(shape))
        z = torch.round(z_hat - self._medians).to(torch.int32)
        y = self._conditional.decompress([y_bytes], self._scale_indexes(z))
        return Symbols(torch.round(y).to(torch.int32), z)

    def _scale_indexes(self, z_sym: Tensor) -> Tensor:
        """Table index of every latent's scale, from z alone.

        In float64: writer and reader must agree on every index, whatever the batch size, threads or machine;
        differences in the last bit of float32 would not.
        """
        with torch.no_grad():
            raw = self._synthesis(z_sym.double() + self._medians.double()).chunk(2, 1)[1]
        sigma = nn.functional.softplus(raw) + _SCALE_FLOOR
        return torch.bucketize(sigma.float().contiguous(), torch.tensor(_SCALES[:-1])).to(torch.int32)


class _CostTable:
    """Bits per symbol by row of the coder's cumulative distributions (a scale, or a channel of z).

    Every row is centred and as wide as the widest, so that one index finds the cost; beyond a row's own end
    stands the cost of the escape: its own bits and two groups of four for what follows.
    """

    def __init__(self, model: EntropyModel) -> None:
        cdf, lengths, offsets = (
            t.cpu() for t in (model._quantized_cdf.double(), model._cdf_length.long(), model._offset.long())
        )
        reach = min(int((lengths + offsets.abs()).max()), _WIDEST)
        bits = torch.empty(len(cdf), 2 * reach + 1)
        for row, (length, offset) in enumerate(zip(lengths.tolist(), offsets.tolist(), strict=True)):
            cost = 16.0 - torch.log2((cdf[row, 1:length] - cdf[row, : length - 1]).clamp(min=1.0))
            bits[row] = float(cost[-1]) + 8.0
            first, inside = reach + offset, cost[:-1]
            low, high = max(first, 0), min(first + len(inside), 2 * reach + 1)
            bits[row, low:high] = inside[low - first : high - first].float()
        self._reach, self._bits = reach, bits

    def __call__(self, row: Tensor, symbols: Tensor) -> Tensor:
        """Bits of integer symbols (int32), given the row of each (int32, of a shape that broadcasts)."""
        if self._bits.device != symbols.device:
            self._bits = self._bits.to(symbols.device)
        place = symbols.clamp(-self._reach, self._reach).add_(row * self._bits.shape[1] + self._reach)
        return torch.take(self._bits, place.long())


def _round_through(x: Tensor) -> Tensor:
    return x + (torch.round(x) - x).detach()


def _bits(likelihood: Tensor) -> Tensor:
    return -torch.log2(likelihood).flatten(1).sum(1)
