"""The codec network: one encoder, gains, entropy model, and decoders by name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from napari_rdpdenoise.nn.analysis import Analysis
from napari_rdpdenoise.nn.config import NetworkConfig
from napari_rdpdenoise.nn.decoder_names import FIDELITY, check_decoders
from napari_rdpdenoise.nn.decoders.decoder import Decoder, build_decoders
from napari_rdpdenoise.nn.decoders.place import Place
from napari_rdpdenoise.nn.entropy import Hyperprior, Symbols
from napari_rdpdenoise.nn.layers import RateGains

STRIDE = 16  # image sizes handed to the network are multiples of this, px


class TrainOutput(NamedTuple):
    """Decoded image (b, 1, h, w) and the bits of each sample (b,)."""

    image: Tensor
    bits: Tensor


class Coded(NamedTuple):
    """Decoder input (b, c, h, w) as the integers give it back, and the bits of each sample (b,)."""

    latents: Tensor
    bits: Tensor


class RdpNetwork(nn.Module):
    """Normalised image <-> integer symbols, for any rate.

    ::

        image -> analysis -> x gain(q) -> hyperprior/rounding -> symbols
        symbols -> latents -> x inverse gain(q) -> a decoder -> image

    All images are (b, 1, h, w) float32 with h and w multiples of 16, in the codec's normalised units.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.analysis = Analysis(config)
        self.gains = RateGains(config.latent_channels, config.gain_anchors)
        self.hyperprior = Hyperprior(config)
        for name, decoder in build_decoders(config).items():
            self.add_module(name, decoder)  # under its own name, as in files of weights

    @property
    def decoders(self) -> tuple[str, ...]:
        """Names of the decoders."""
        return self.config.decoders

    @property
    def symbol_channels(self) -> tuple[int, ...]:
        """Channels of each kind of `Symbols`."""
        return self.config.latent_channels, self.config.hyper_channels

    def decoder(self, name: str) -> Decoder:
        """A decoder by name, which is a module of the network.

        Raises:
            DecoderMissing: If there is none of this name.
        """
        check_decoders((name,), self.decoders, "this network")
        return cast(Decoder, getattr(self, name))

    def forward(self, image: Tensor, rate: Tensor) -> TrainOutput:
        """Training pass of encoder and fidelity decoder; ``rate`` is (b,) in [0, 1]."""
        gain, inverse = self.gains(rate)
        latents, bits = self.hyperprior(self.analysis(image) * gain)
        return TrainOutput(self.decoder(FIDELITY)(latents * inverse, rate), bits)

    def quantize(self, features: Tensor, rate: Tensor) -> Symbols:
        """Symbols of features (from ``self.analysis``) at ``rate``; several rates share one analysis."""
        gain, _ = self.gains(rate)
        return self.hyperprior.quantize(features * gain)

    def quantize_and_count(self, features: Tensor, rate: Tensor) -> tuple[Symbols, Tensor]:
        """:meth:`quantize`, and the bits (b,) that the symbols will take when entropy-coded."""
        gain, _ = self.gains(rate)
        return self.hyperprior.quantize_and_count(features * gain)

    def latents(self, symbols: Symbols, rate: Tensor) -> Tensor:
        """Decoder input (b, c, h, w) of symbols."""
        _, inverse = self.gains(rate)
        return _channels_last(self.hyperprior.dequantize(symbols) * inverse)

    def rounded(self, features: Tensor, rate: Tensor) -> Tensor:
        """Decoder input (b, c, h, w) that the integers of features stand for."""
        gain, inverse = self.gains(rate)
        return _channels_last(self.hyperprior.rounded(features * gain) * inverse)

    def coded(self, features: Tensor, rate: Tensor) -> Coded:
        """:meth:`rounded`, and the bits that the integers take."""
        gain, inverse = self.gains(rate)
        rounded, bits = self.hyperprior.rounded_and_counted(features * gain)
        return Coded(_channels_last(rounded * inverse), bits)

    def decode(
        self,
        latents: Tensor,
        rate: Tensor,
        names: Iterable[str] = (FIDELITY,),
        places: Sequence[Place] | None = None,
    ) -> dict[str, Tensor]:
        """Images (b, 1, 8h, 8w) of decoder input by decoder; arguments as for `Decoder`.

        Raises:
            DecoderMissing: If there is no decoder of one of the names.
        """
        return {name: self.decoder(name)(latents, rate, places) for name in names}

    def through(
        self,
        image: Tensor,
        rate: Tensor,
        names: Iterable[str] = (FIDELITY,),
        places: Sequence[Place] | None = None,
    ) -> dict[str, Tensor]:
        """Images by decoder of what the integers keep of an image: encoding and decoding in one pass."""
        return self.decode(self.rounded(self.analysis(image), rate), rate, names, places)


def _channels_last(latents: Tensor) -> Tensor:
    return latents.contiguous(memory_format=torch.channels_last)


def count_macs(network: RdpNetwork, size: int = 256) -> float:
    """Multiply-accumulates per pixel of encoding (with hyperprior) plus one decode, convolutions only."""
    total = 0

    def hook(module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        assert isinstance(module, nn.Conv2d)
        kernel = module.kernel_size[0] * module.kernel_size[1]
        total += output.shape[-1] * output.shape[-2] * module.out_channels * module.in_channels * kernel

    handles = [m.register_forward_hook(hook) for m in network.modules() if isinstance(m, nn.Conv2d)]
    try:
        with torch.no_grad():
            rate = torch.full((1,), 0.5)
            symbols = network.quantize(network.analysis(torch.zeros(1, 1, size, size)), rate)
            network.decode(network.latents(symbols, rate), rate)
    finally:
        for handle in handles:
            handle.remove()
    return total / (size * size)
