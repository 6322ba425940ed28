"""Patchwise codec for one image: 8x8 patches to a handful of integer latents and back.

ZS-NCD (2506.12693, NeurIPS 2025) and DeCompress (2503.22015): three stride-2 convolutions to a 1x1 latent
with generalised divisive normalisation (GDN, Balle et al. 2016), or three fully connected layers each side;
a factorised prior. Additive uniform noise while it learns, rounding otherwise.

Values are in [0, 1]; bits are the prior's estimate. Beside ``nn.entropy`` the one module that imports
compressai, so it is imported only when such a codec is built.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from napari_rdpdenoise.nn import _compressai

_compressai.prepare()
from compressai.entropy_models import EntropyBottleneck  # noqa: E402
from compressai.layers import GDN  # noqa: E402

PATCH = 8  # px
_CHANNELS = 128
_HIDDEN = 1024


class PatchOutput(NamedTuple):
    """Decoded patches (n, 1, 8, 8) and the bits of each (n,)."""

    image: Tensor
    bits: Tensor


class PatchCodec(nn.Module):
    """(n, 1, 8, 8) -> (n, 1, 8, 8) through ``latents`` numbers.

    Args:
        kind: "conv" (0.4 M parameters) or "mlp" (2.3 M, published as better by 0.3 to 0.6 dB).
        latents: Latents per patch; 16 as published for grey images.
        width: Channels of "conv", hidden units of "mlp"; None as published.
    """

    def __init__(
        self, kind: Literal["conv", "mlp"] = "conv", latents: int = 16, width: int | None = None
    ) -> None:
        super().__init__()
        build = _convolutions if kind == "conv" else _dense
        self.analysis, self.synthesis = build(latents, width)
        self.prior = EntropyBottleneck(latents)

    def forward(self, patches: Tensor) -> PatchOutput:
        latents, likelihood = self.prior(self.analysis(patches - 0.5))
        bits = -torch.log2(likelihood).flatten(1).sum(1)
        return PatchOutput(self.synthesis(latents) + 0.5, bits)

    def aux_loss(self) -> Tensor:
        """Loss of the prior's quantiles (medians and tails)."""
        return self.prior.loss()


def _convolutions(latents: int, width: int | None) -> tuple[nn.Sequential, nn.Sequential]:
    c = width or _CHANNELS
    analysis = nn.Sequential(_down(1, c), GDN(c), _down(c, c), GDN(c), _down(c, latents))
    synthesis = nn.Sequential(
        _up(latents, c), GDN(c, inverse=True), _up(c, c), GDN(c, inverse=True), _up(c, 1)
    )
    return analysis, synthesis


def _down(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, 2, 1)


def _up(inputs: int, outputs: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(inputs, outputs, 3, 2, 1, output_padding=1)


def _dense(latents: int, width: int | None) -> tuple[nn.Sequential, nn.Sequential]:
    c, pixels = width or _HIDDEN, PATCH * PATCH
    analysis = nn.Sequential(nn.Flatten(), *_layers(pixels, c, latents), nn.Unflatten(1, (latents, 1, 1)))
    synthesis = nn.Sequential(nn.Flatten(), *_layers(latents, c, pixels), nn.Unflatten(1, (1, PATCH, PATCH)))
    return analysis, synthesis


def _layers(inputs: int, hidden: int, outputs: int) -> list[nn.Module]:
    return [
        nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, outputs)
    ]  # fmt: skip
