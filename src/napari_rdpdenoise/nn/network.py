"""The codec network: one encoder, gains, entropy model, a fidelity decoder, perhaps a realism decoder."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from napari_rdpdenoise.nn.analysis import Analysis
from napari_rdpdenoise.nn.config import NetworkConfig
from napari_rdpdenoise.nn.decoders.synthesis import Synthesis
from napari_rdpdenoise.nn.entropy import Hyperprior, Symbols
from napari_rdpdenoise.nn.layers import RateGains

STRIDE = 16  # image sizes handed to the network are multiples of this, px


class TrainOutput(NamedTuple):
    """Decoded image (b, 1, h, w) and the bits of each sample (b,)."""

    image: Tensor
    bits: Tensor


class RdpNetwork(nn.Module):
    """Normalised image <-> integer symbols, for any rate.

    ::

        image -> analysis -> x gain(q) -> hyperprior/rounding -> symbols
        symbols -> latents -> x inverse gain(q) -> fidelity | realism -> image

    All images are (b, 1, h, w) float32 with h and w multiples of 16, in the codec's normalised units.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.analysis = Analysis(config)
        self.gains = RateGains(config.latent_channels, config.gain_anchors)
        self.hyperprior = Hyperprior(config)
        self.fidelity = Synthesis(config)
        self.realism = Synthesis(config, config.grain_channels) if config.realism else None

    def forward(self, image: Tensor, rate: Tensor) -> TrainOutput:
        """Training pass of encoder and fidelity decoder; ``rate`` is (b,) in [0, 1]."""
        gain, inverse = self.gains(rate)
        latents, bits = self.hyperprior(self.analysis(image) * gain)
        return TrainOutput(self.fidelity(latents * inverse), bits)

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
        return self.hyperprior.dequantize(symbols) * inverse


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
            network.fidelity(network.latents(symbols, rate))
    finally:
        for handle in handles:
            handle.remove()
    return total / (size * size)
