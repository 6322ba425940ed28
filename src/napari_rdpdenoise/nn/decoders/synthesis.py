"""Synthesis transform: latents to a normalised image. The fidelity and the realism decoder are both this."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from napari_rdpdenoise.nn.config import NetworkConfig
from napari_rdpdenoise.nn.decoders.grain import grain_of
from napari_rdpdenoise.nn.decoders.place import Place
from napari_rdpdenoise.nn.layers import ResidualBlock, conv, start_small


class Synthesis(nn.Module):
    """(b, latent_channels, h, w) -> (b, 1, 8h, 8w), at any rate.

    Details (b, detail_channels, 2h, 2w), where the network has them, are added before the blocks at 1/4. With
    ``grain_channels`` it also takes random numbers (b, grain_channels, 2h, 2w), see ``grain``, which enter at
    both resolutions.
    """

    def __init__(self, config: NetworkConfig, grain_channels: int = 0) -> None:
        super().__init__()
        quarter, eighth = config.quarter_channels, config.eighth_channels
        self.layers = nn.Sequential(
            conv(config.latent_channels, eighth),
            *(ResidualBlock(eighth) for _ in range(config.decoder_blocks[1])),
            conv(eighth, 4 * quarter, kernel=1),
            nn.PixelShuffle(2),
            *(ResidualBlock(quarter) for _ in range(config.decoder_blocks[0])),
            conv(quarter, 16),
            nn.PixelShuffle(4),
        )
        self.detail: nn.Conv2d | None = None
        if config.detail_channels:
            self.detail = conv(config.detail_channels, quarter)
            start_small(self.detail)
        self.grain_channels = grain_channels
        self._quarter_at = config.decoder_blocks[1] + 3  # the first layer at 1/4 resolution
        self.grain: nn.ModuleList | None = None
        if grain_channels:
            convs = conv(4 * grain_channels, eighth, kernel=1), conv(grain_channels, quarter, kernel=1)
            self.grain = nn.ModuleList(convs)
            with torch.no_grad():  # a decoder that was trained without goes on as it was
                for parameter in self.grain.parameters():
                    parameter.zero_()

    def forward(
        self, latents: tuple[Tensor, ...], rate: Tensor, places: Sequence[Place] | None = None
    ) -> Tensor:
        return self.synthesize(latents, grain_of(self.grain_channels, latents[0], places))

    def synthesize(self, latents: tuple[Tensor, ...], grain: Tensor | None) -> Tensor:
        """The image, given the random numbers; None where the decoder takes none."""
        x = self.layers[0](latents[0])
        if self.grain is not None and grain is not None:
            x = x + self.grain[0](nn.functional.pixel_unshuffle(grain, 2))
        for layer in self.layers[1 : self._quarter_at]:  # here, for a called function's caller would keep x
            x = layer(x)
        if self.detail is not None:
            x = self.detail(latents[1]).add_(x)
        if self.grain is not None and grain is not None:
            x = x + self.grain[1](grain)
        for layer in self.layers[self._quarter_at :]:
            x = layer(x)
        return x.to(latents[0].dtype)
