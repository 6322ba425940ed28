"""Synthesis transform: latents to a normalised image. The fidelity and the realism decoder are both this."""

from __future__ import annotations

from torch import Tensor, nn

from napari_rdpdenoise.nn.config import NetworkConfig
from napari_rdpdenoise.nn.layers import ResidualBlock, conv


class Synthesis(nn.Module):
    """(b, latent_channels, h, w) -> (b, 1, 8h, 8w)."""

    def __init__(self, config: NetworkConfig) -> None:
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

    def forward(self, latents: Tensor) -> Tensor:
        return self.layers(latents)
