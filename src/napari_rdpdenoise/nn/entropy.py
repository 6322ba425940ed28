"""Mean-scale hyperprior and real entropy coding, on CompressAI's entropy models.

With ``nn.coder`` the module that imports compressai (3 s): imported only when a network is built.

Symbols: ``y`` gained latents (b, c, h, w); ``d`` details at twice that resolution, where the network has
them; ``z`` hyper-latents at half of it; ``mu``, ``sigma`` mean and scale of y, and of d, given z.
``y_sym = round(y - mu)``, d alike, and ``z_sym = round(z - median)`` are the integers that are kept; both
sides recompute mu and sigma from ``z_sym``, so nothing else has to be stored.

Source: Minnen, Balle, Toderici, "Joint autoregressive and hierarchical priors", NeurIPS 2018 (mean-scale
part).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from napari_rdpdenoise.nn import _compressai
from napari_rdpdenoise.nn.coder import SCALE_FLOOR, SCALES, Coder
from napari_rdpdenoise.nn.config import NetworkConfig
from napari_rdpdenoise.nn.layers import conv, in_turn, numbers_in, start_small

_compressai.prepare()
from compressai.entropy_models import EntropyBottleneck, GaussianConditional  # noqa: E402

_ROWS = 8  # of latents that are rounded and counted at once: what a processor's cache holds
_INT16 = (-32768, 32767)  # symbols are kept in 16 bits


class Symbols(tuple[Tensor, ...]):
    """Integers of one batch by kind, int32 within 16 bits: y, z and, where there are details, d.

    Cached and coded latents keep this order.
    """

    def __new__(cls, y: Tensor, z: Tensor, *finer: Tensor) -> Symbols:
        """Symbols of the kinds that a network has."""
        return super().__new__(cls, (y, z, *finer))

    @property
    def y(self) -> Tensor:
        """Symbols of the latents (b, c, h, w)."""
        return self[0]

    @property
    def z(self) -> Tensor:
        """Symbols of the hyper-latents (b, k, h/2, w/2)."""
        return self[1]

    @property
    def latents(self) -> tuple[Tensor, ...]:
        """Symbols of what decoders read: y and all finer kinds."""
        return (self[0], *self[2:])


class Moments(NamedTuple):
    """Mean and scale of the latents of one kind."""

    mu: Tensor
    sigma: Tensor


class Counted(NamedTuple):
    """Integers, the latents (float32) that they stand for by kind, and the bits (b,) that they will take."""

    symbols: Symbols
    restored: tuple[Tensor, ...]
    bits: Tensor


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
        self.detail_analysis: nn.Sequential | None = None
        self.detail_synthesis: nn.Sequential | None = None
        if detail := config.detail_channels:
            first = conv(4 * detail, hyper)
            start_small(first)
            self.detail_analysis = nn.Sequential(nn.PixelUnshuffle(2), first)
            self.detail_synthesis = nn.Sequential(conv(hyper, 8 * detail), nn.PixelShuffle(2))
        self.bottleneck = EntropyBottleneck(hyper)
        self.conditional = GaussianConditional(SCALES)
        self._coder: Coder | None = None

    @property
    def kinds(self) -> tuple[str, ...]:
        """Names of the kinds of symbols, in their order."""
        return ("y", "z") if self.detail_analysis is None else ("y", "z", "d")

    def forward(self, *latents: Tensor) -> tuple[tuple[Tensor, ...], Tensor]:
        """Training pass: straight-through rounded latents by kind and bits per sample (b,)."""
        z = self._hyper_latents(latents)
        _, z_likelihood = self.bottleneck(z)
        median = self._medians()
        moments = self._moments(_round_through(z - median) + median)
        likelihoods = [
            self.conditional(y, sigma, means=mu, training=self.training)[1]
            for y, (mu, sigma) in zip(latents, moments, strict=True)
        ]
        hats = [_round_through(y - mu) + mu for y, (mu, _) in zip(latents, moments, strict=True)]
        bits = sum((_bits(likelihood) for likelihood in likelihoods[1:]), _bits(likelihoods[0]))
        return tuple(hats), bits + _bits(z_likelihood)

    def quantize(self, *latents: Tensor) -> Symbols:
        """Integer symbols of gained latents of each kind."""
        return self._symbols(latents)[0]

    def dequantize(self, symbols: Symbols) -> tuple[Tensor, ...]:
        """Latents (float32) that the symbols stand for; inverts :meth:`quantize` up to the rounding."""
        return _restored(symbols, self._means(self._expanded(symbols)))

    def estimated_bits(self, symbols: Symbols) -> Tensor:
        """Bits (b,) that the symbols will take, looked up in the coder's own tables, without coding them.

        Needs :meth:`prepare_coder`. A look-up takes a tenth of the time of evaluating the likelihoods.
        """
        return self._cost(symbols, self._expanded(symbols))

    def quantize_and_count(self, *latents: Tensor) -> Counted:
        """:meth:`quantize`, :meth:`dequantize` and :meth:`estimated_bits` at the cost of one."""
        symbols, restored, expanded = self._symbols(latents)
        return Counted(symbols, restored, self._cost(symbols, expanded))

    def rounded(self, *latents: Tensor) -> tuple[Tensor, ...]:
        """:meth:`quantize` and :meth:`dequantize` at the cost of one."""
        return self._symbols(latents)[1]

    def _symbols(self, latents: tuple[Tensor, ...]) -> tuple[Symbols, tuple[Tensor, ...], Tensor]:
        """Symbols, the latents that they stand for by kind, and what means and scales follow from."""
        z = torch.round(self._hyper_latents(latents) - self._medians()).clamp(*_INT16).to(torch.int32)
        expanded = self._expanded((z, z))
        kept, restored = [], []
        for part, mu in zip(latents, self._means(expanded), strict=True):
            kept.append(torch.empty_like(part, dtype=torch.int32))
            restored.append(torch.empty_like(part))
            for given, mean, whole, back in _strips(part, mu, kept[-1], restored[-1]):
                torch.sub(given, mean, out=back).round_().clamp_(*_INT16)
                whole.copy_(back)
                back.add_(mean)
        y, *finer = kept
        return Symbols(y, z, *finer), tuple(restored), expanded

    def _cost(self, symbols: Symbols, expanded: Tensor) -> Tensor:
        coder = self._prepared()
        channel = torch.arange(symbols.z.shape[1], device=symbols.z.device, dtype=torch.int32)[:, None, None]
        cost = coder.z_cost(channel[None], symbols.z)
        for kept, raw in zip(symbols.latents, self._halves(expanded, 1), strict=True):
            strips = zip(kept.split(_ROWS, -2), raw.split(_ROWS, -2), strict=True)
            cost = sum((coder.cost.by_raw(there, part) for part, there in strips), cost)
        return cost

    def encode(self, symbols: Symbols) -> list[tuple[bytes]]:
        """Entropy-code each sample of a batch to one payload."""
        coder, samples = self._prepared(), zip(*(part.cpu()[:, None] for part in symbols), strict=True)
        return [(coder.encode(*parts),) for parts in samples]

    def decode(self, payloads: Sequence[bytes], shape: tuple[int, int]) -> Symbols:
        """Symbols (batch of one, CPU) from their payload; hyper-latents are of ``shape``, (h/2, w/2).

        Raises:
            ValueError: If the payload is not of such symbols.
        """
        (data,) = payloads
        return Symbols(*self._prepared().decode(data, shape))

    def decode_by_kind(self, payloads: Sequence[bytes], shape: tuple[int, int]) -> Symbols:
        """Symbols from a stream for each kind, as layout 3 of the bitstream has them; else as `decode`."""
        return Symbols(*self._prepared().decode_by_kind(payloads, shape))

    def prepare_coder(self) -> None:
        """Build the coder and its tables; needed once after the weights are loaded or have changed."""
        finer = [] if self.detail_synthesis is None else [self.detail_synthesis]
        last = [self.synthesis[-1], *finer]
        self._coder = Coder(self.bottleneck, self.conditional, self.synthesis[:-1], last)

    def _prepared(self) -> Coder:
        if self._coder is None:
            raise RuntimeError("the entropy coder has no tables yet: call prepare_coder() first")
        return self._coder

    def aux_loss(self) -> Tensor:
        """Loss of the bottleneck's quantiles (medians and tails of z)."""
        return self.bottleneck.loss()

    def _hyper_latents(self, latents: tuple[Tensor, ...]) -> Tensor:
        x = self.analysis[0](latents[0])
        if self.detail_analysis is not None:
            x = x + self.detail_analysis(latents[1])
        return in_turn(self.analysis[1:], x).to(latents[0].dtype)

    def _moments(self, z_hat: Tensor) -> list[Moments]:
        """Moments of y and, where there are details, of d; both follow from one tensor at y's resolution."""
        expanded = in_turn(self.synthesis[:-1], z_hat)
        found = [self.synthesis[-1](expanded)]
        if self.detail_synthesis is not None:
            found.append(self.detail_synthesis(expanded))
        pairs = (out.chunk(2, 1) for out in found)
        return [Moments(mu, nn.functional.softplus(raw) + SCALE_FLOOR) for mu, raw in pairs]

    def _expanded(self, symbols: Sequence[Tensor]) -> Tensor:
        """What moments follow from by one layer each, given y and z."""
        with numbers_in(None):  # a reader must find the same means
            median = self._medians()
            return in_turn(self.synthesis[:-1], symbols[1].to(median.dtype) + median)

    def _means(self, expanded: Tensor) -> list[Tensor]:
        with numbers_in(None):
            return self._halves(expanded, 0)

    def _halves(self, expanded: Tensor, number: int) -> list[Tensor]:
        """Means (0) or raw scales (1) by kind."""
        found = [self.synthesis[-1](expanded, number)]
        if self.detail_synthesis is not None:
            layer, shuffle = self.detail_synthesis
            found.append(shuffle(layer(expanded, number)))
        return found

    def _medians(self) -> Tensor:
        return self.bottleneck.quantiles[:, 0, 1].reshape(1, -1, 1, 1).detach()


def _strips(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Some rows of each, where that is faster; a traced module would keep the number of parts."""
    if torch.jit.is_tracing() or tensors[0].device.type != "cpu":  # type: ignore[attr-defined]
        return iter([tensors])
    return zip(*(tensor.split(_ROWS, -2) for tensor in tensors), strict=True)


def _restored(symbols: Symbols, means: Iterable[Tensor]) -> tuple[Tensor, ...]:
    """Latents by kind that symbols stand for."""
    return tuple(kept.to(mu.dtype) + mu for kept, mu in zip(symbols.latents, means, strict=True))


def _round_through(x: Tensor) -> Tensor:
    return x + (torch.round(x) - x).detach()


def _bits(likelihood: Tensor) -> Tensor:
    return -torch.log2(likelihood).flatten(1).sum(1)
