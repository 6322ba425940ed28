"""What the network is given: normalised planes, as large as its strides ask for, and their neighbours.

Codec, validation and fine-tuning share it. A neighbour is the plane before or after along one axis. It helps
only as far as it shows the same, so it is first brought to the brightness of the plane it stands beside:
specimens bleach, lamps flicker.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_rdpdenoise.codec.normalization import Normalization
from napari_rdpdenoise.nn.decoder_names import FIDELITY
from napari_rdpdenoise.nn.decoders.place import Place
from napari_rdpdenoise.nn.network import STRIDE, Frames, RdpNetwork
from napari_rdpdenoise.noise.tabled import all_integers, is_tabled, looked_up

Neighbours = tuple[NDArray[Any] | None, NDArray[Any] | None]
"""Planes before and after, raw counts (2-D), of the shape of the plane between them; None where none is."""

ALONE: Neighbours = (None, None)
"""Neighbours of a plane by itself."""

_BLOCK = 16  # px of the blocks whose brightness is compared
_FURTHEST = 4.0  # times brighter or darker; what differs more is another scene


def any_of(neighbours: Neighbours) -> bool:
    """Whether one of a plane's neighbours is there."""
    return any(other is not None for other in neighbours)


def network_input(
    planes: Sequence[NDArray[np.float32]],
    device: torch.device | str,
    neighbours: Sequence[Neighbours] | None = None,
) -> Frames:
    """Planes of one shape as a batch, mirrored at their lower ends to multiples of 16 px.

    Args:
        planes: 2-D arrays in network units, from `Normalization.forward`.
        device: Torch device of the batch.
        neighbours: Planes before and after each of them, in network units; None for a network that sees one.
    """
    if neighbours is None:
        return Frames(_padded(np.stack(planes)[:, None]).to(device))
    rows = [(before, plane, after) for plane, (before, after) in zip(planes, neighbours, strict=True)]
    stacked = [[np.zeros_like(row[1]) if part is None else part for part in row] for row in rows]
    presence = [[float(row[0] is not None), float(row[2] is not None)] for row in rows]
    return Frames(_padded(np.array(stacked)).to(device), torch.tensor(presence, device=device))


def normalized_neighbours(
    plane: NDArray[Any], neighbours: Neighbours, normalization: Normalization
) -> Neighbours:
    """Neighbours in network units, at the brightness of the plane that they stand beside.

    Args:
        plane: Plane to encode, raw counts (2-D).
        neighbours: Planes before and after it, raw counts.
        normalization: Normalisation of all of them.
    """
    before, after = (
        None if other is None else normalization.forward(alike(other, plane, normalization.noise.offset))
        for other in neighbours
    )
    return before, after


def alike(other: NDArray[Any], plane: NDArray[Any], offset: float) -> NDArray[np.float32]:
    """A plane, counts, at the brightness of another: the light above the offset times one factor."""
    return brightened(other, brightness_factor([other], [plane], offset), offset)


def brightness_factor(others: Sequence[NDArray[Any]], planes: Sequence[NDArray[Any]], offset: float) -> float:
    """How many times brighter one plane is than another; 1 where that cannot be told.

    The median ratio of block means, in which blocks that are bright in both weigh more: what moved, or came
    new in a few of them, does not change it. Blocks with missing values are left out.

    Args:
        others: Windows of the other plane, raw counts (2-D).
        planes: Same windows of the plane.
        offset: Counts without light.
    """
    light, own = (
        np.concatenate([_block_means(np.asarray(image, np.float64) - offset) for image in images])
        for images in (planes, others)
    )
    with np.errstate(invalid="ignore"):
        lit, weight = (light > 0) & (own > 0), np.square(np.minimum(light, own))
    lit &= np.isfinite(light) & np.isfinite(own)
    factor = _weighted_median(light[lit] / own[lit], weight[lit]) if lit.any() else 1.0
    return factor if 1 / _FURTHEST <= factor <= _FURTHEST else 1.0


def brightened(other: NDArray[Any], factor: float, offset: float) -> NDArray[np.float32]:
    """A plane, counts, whose light above the offset is so many times as much."""
    if is_tabled(other):
        return looked_up(other, _all_brightened(other.dtype.name, factor, offset))
    return _brightened(other, factor, offset)


def _brightened(other: NDArray[Any], factor: float, offset: float) -> NDArray[np.float32]:
    return np.asarray((other - np.float64(offset)) * factor + offset, dtype=np.float32)


@lru_cache(maxsize=16)
def _all_brightened(dtype: str, factor: float, offset: float) -> NDArray[np.float32]:
    """All integers of a type of at most 16 bits, by their bits, so many times as bright."""
    return _brightened(all_integers(dtype), factor, offset)


def reconstruct(
    network: RdpNetwork,
    plane: NDArray[np.floating],
    rate: float,
    names: Iterable[str] = (FIDELITY,),
    neighbours: Neighbours | None = None,
) -> dict[str, NDArray[np.float32]]:
    """Reconstruction of one plane: what decoders make of its latents in the corner of a plane of seed 0.

    Args:
        network: A network, in training or loaded.
        plane: 2-D array in network units.
        rate: Position on the gain curve, 0 to 1.
        names: Names of the decoders.
        neighbours: Planes before and after it in network units, from `normalized_neighbours`; None for none.

    Returns:
        Images in network units by decoder, each of the plane's shape.

    Raises:
        DecoderMissing: If the network has no decoder of one of the names.
    """
    height, width = plane.shape
    device = next(network.parameters()).device
    given = None if neighbours is None else [neighbours]
    with torch.no_grad():
        q = torch.full((1,), rate, device=device)
        images = network.reconstruct(network_input([plane], device, given), q, names, [Place()])
    return {name: image[0, 0, :height, :width].cpu().numpy() for name, image in images.items()}


def _padded(stacked: NDArray[np.floating]) -> torch.Tensor:
    pad = [(0, 0), (0, 0), *((0, -n % STRIDE) for n in stacked.shape[-2:])]
    if any(after for _, after in pad):
        stacked = np.pad(stacked, pad, mode="symmetric")
    return torch.from_numpy(stacked.astype(np.float32, copy=False))


def _weighted_median(values: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    order = np.argsort(values)
    below = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(below, below[-1] / 2)])


def _block_means(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means of blocks of 16x16 px, or as large as the image, one after the other; ends are left out."""
    height, width = (min(_BLOCK, n) for n in image.shape)
    rows, columns = image.shape[0] // height, image.shape[1] // width
    cut = image[: rows * height, : columns * width]
    return np.asarray(cut.reshape(rows, height, columns, width).mean((1, 3))).ravel()
