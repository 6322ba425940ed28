"""The sizes of a codec network, as saved in a model's card, and what follows from them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from napari_rdpdenoise.nn.decoder_names import FLOW, PATH

Blocks = Annotated[int, Field(ge=0, le=16)]
"""Number of residual blocks at one resolution."""


class NetworkConfig(BaseModel):
    """Widths and depths of the codec network; strides are fixed: stem 4, latents 8, details 4, hyper 16.

    Bounds are far above what a model needs, and low enough that one can be built in the memory of a laptop.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    quarter_channels: int = Field(64, ge=32, le=512, multiple_of=32, description="channels at 1/4 resolution")
    eighth_channels: int = Field(128, ge=32, le=512, multiple_of=32, description="channels at 1/8 resolution")
    latent_channels: int = Field(
        64, ge=16, le=512, multiple_of=16, description="latent channels at 1/8 resolution"
    )
    hyper_channels: int = Field(
        64, ge=16, le=512, multiple_of=16, description="hyper-latent channels at 1/16 resolution"
    )
    encoder_blocks: tuple[Blocks, Blocks] = Field(
        (3, 2), description="residual blocks at 1/4 and 1/8, analysis"
    )
    decoder_blocks: tuple[Blocks, Blocks] = Field(
        (2, 2), description="residual blocks at 1/4 and 1/8, synthesis"
    )
    planes: Literal[1, 3] = Field(1, description="planes that are seen: one alone, or previous and next too")
    detail_channels: int = Field(
        0, ge=0, le=256, multiple_of=8, description="detail latent channels at 1/4 resolution; 0 for none"
    )
    gain_anchors: int = Field(
        8, ge=2, le=256, description="positions of the rate axis that own a gain vector"
    )
    realism: bool = Field(False, description="whether a realism decoder is present")
    grain_channels: int = Field(
        0, ge=0, le=64, description="random numbers per 4x4 px that the realism decoder is given; 0 for none"
    )

    flow: bool = Field(False, description="whether a flow decoder is present")

    @property
    def format(self) -> int:
        """Version of the network code that the weights need: 2 with neighbours or details, 3 with a flow."""
        if self.flow:
            return 3
        return 1 if self.planes == 1 and not self.detail_channels else 2

    @property
    def bounded(self) -> bool:
        """Whether images so clean that they exceed the trained range are scaled down to it: format 1 only."""
        return self.planes == 1 and not self.detail_channels

    @property
    def decoders(self) -> tuple[str, ...]:
        """Names of the decoders, in the order in which they are built."""
        return (PATH if self.realism else PATH[:1]) + ((FLOW,) if self.flow else ())
