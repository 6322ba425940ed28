"""The sizes of a codec network, as saved in a model's card."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from napari_rdpdenoise.nn.decoder_names import PATH


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

    @property
    def decoders(self) -> tuple[str, ...]:
        """Names of the decoders, in the order in which they are built."""
        return PATH if self.realism else PATH[:1]
