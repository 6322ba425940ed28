"""What a decoder is, and which a network has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from torch import Tensor, nn

from napari_rdpdenoise.nn.config import NetworkConfig
from napari_rdpdenoise.nn.decoder_names import FIDELITY, FLOW, REALISM
from napari_rdpdenoise.nn.decoders.flow import Flow
from napari_rdpdenoise.nn.decoders.place import Place
from napari_rdpdenoise.nn.decoders.synthesis import Synthesis


class Decoder(Protocol):
    """Latents of a batch to normalised images; a network holds it, a module, under its name."""

    def __call__(
        self, latents: tuple[Tensor, ...], rate: Tensor, places: Sequence[Place] | None = None
    ) -> Tensor:
        """Decode (b, c, h, w), and details of twice that resolution, to (b, 1, 8h, 8w), float32.

        Args:
            latents: What `RdpNetwork.latents` and `rounded` give, by kind.
            rate: Position of each sample on the gain curve, (b,), 0 to 1.
            places: Where each sample lies, which decides its random numbers; None draws them with torch's
                generator, as training does.
        """


def build_decoders(config: NetworkConfig) -> dict[str, nn.Module]:
    """Decoders of a network by name, in the order of ``config.decoders``, with random weights."""
    build: dict[str, Callable[[], nn.Module]] = {
        FIDELITY: lambda: Synthesis(config),
        REALISM: lambda: Synthesis(config, config.grain_channels),
        FLOW: lambda: Flow(config),
    }
    return {name: build[name]() for name in config.decoders}
