"""The sizes of a codec network, as saved in a model's card."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class NetworkConfig(BaseModel):
    """Widths and depths of the codec network; the strides (stem 4, latents 8, hyper-latents 16) are fixed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    quarter_channels: int = Field(64, multiple_of=32, description="channels at 1/4 resolution")
    eighth_channels: int = Field(128, multiple_of=32, description="channels at 1/8 resolution")
    latent_channels: int = Field(64, multiple_of=16, description="latent channels at 1/8 resolution")
    hyper_channels: int = Field(64, multiple_of=16, description="hyper-latent channels at 1/16 resolution")
    encoder_blocks: tuple[int, int] = Field((3, 2), description="residual blocks at 1/4 and 1/8, analysis")
    decoder_blocks: tuple[int, int] = Field((2, 2), description="residual blocks at 1/4 and 1/8, synthesis")
    gain_anchors: int = Field(8, ge=2, description="positions of the rate axis that own a gain vector")
    realism: bool = Field(False, description="whether a realism decoder is present")
    grain_channels: int = Field(
        0, ge=0, le=64, description="random numbers per 4x4 px that the realism decoder is given; 0 for none"
    )


SIZES: dict[Literal["light", "base"], NetworkConfig] = {
    "light": NetworkConfig(grain_channels=8),
    "base": NetworkConfig(
        quarter_channels=96,
        eighth_channels=192,
        latent_channels=96,
        hyper_channels=96,
        encoder_blocks=(4, 3),
        decoder_blocks=(3, 2),
        grain_channels=8,
    ),
}
