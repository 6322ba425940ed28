"""What the network is given: normalised planes, as large as its strides ask for.

Codec, validation and fine-tuning share it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_rdpdenoise.nn.decoder_names import FIDELITY
from napari_rdpdenoise.nn.decoders.place import Place
from napari_rdpdenoise.nn.network import STRIDE, RdpNetwork


def network_input(planes: Sequence[NDArray[np.float32]], device: torch.device | str) -> Tensor:
    """Planes of one shape as a batch (b, 1, h, w), mirrored at their lower ends to multiples of 16 px.

    Args:
        planes: 2-D arrays in network units, from `Normalization.forward`.
        device: Torch device of the batch.
    """
    pad = [(0, 0), *((0, -n % STRIDE) for n in planes[0].shape)]
    padded = np.pad(np.stack(planes), pad, mode="symmetric").astype(np.float32, copy=False)
    return torch.from_numpy(padded)[:, None].to(device)


def through(
    network: RdpNetwork, plane: NDArray[np.floating], rate: float, names: Iterable[str] = (FIDELITY,)
) -> dict[str, NDArray[np.float32]]:
    """What decoders make of one plane that went through the integers, as in the corner of a plane of seed 0.

    Args:
        network: A network, in training or loaded.
        plane: 2-D array in network units.
        rate: Position on the gain curve, 0 to 1.
        names: Names of the decoders.

    Returns:
        Images in network units by decoder, each of the plane's shape.

    Raises:
        DecoderMissing: If the network has no decoder of one of the names.
    """
    height, width = plane.shape
    device = next(network.parameters()).device
    with torch.no_grad():
        q = torch.full((1,), rate, device=device)
        images = network.through(network_input([plane], device), q, names, [Place()])
    return {name: image[0, 0, :height, :width].cpu().numpy() for name, image in images.items()}
