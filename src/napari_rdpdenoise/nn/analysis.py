"""Analysis transform: normalised image to latents at 1/8 resolution."""

from __future__ import annotations

from torch import Tensor, nn

from napari_rdpdenoise.nn.config import NetworkConfig
from napari_rdpdenoise.nn.layers import ResidualBlock, conv


class Analysis(nn.Module):
    """(b, 1, 8h, 8w) -> (b, latent_channels, h, w).

    The stem folds 4x4 pixels into channels, because at full resolution, with few channels, a CPU spends most
    of its time on few multiply-accumulates.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        quarter, eighth = config.quarter_channels, config.eighth_channels
        self.layers = nn.Sequential(
            nn.PixelUnshuffle(4),
            conv(16, quarter),
            *(ResidualBlock(quarter) for _ in range(config.encoder_blocks[0])),
            conv(quarter, eighth, stride=2),
            *(ResidualBlock(eighth) for _ in range(config.encoder_blocks[1])),
            conv(eighth, config.latent_channels),
        )

    def forward(self, image: Tensor) -> Tensor:
        return self.layers(image)
