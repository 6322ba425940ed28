"""What a codec takes, and what each refusal says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_rdpdenoise.codec.latents import Latents
from napari_rdpdenoise.codec.network_input import Neighbours


def check_latents(latents: Sequence[Latents], kinds: tuple[str, ...], expected: tuple[int, ...]) -> None:
    """Refuse latents of several shapes, or of another network than one of such kinds and channels."""
    for item in latents:
        found = tuple(len(part) for part in item.symbols)
        if found != expected:
            raise ValueError(
                f"latents must have {expected} channels ({', '.join(kinds)}) for this model, "
                f"found {found}; decode them with the model that encoded them"
            )
        if item.shape != latents[0].shape:
            raise ValueError(f"latents must be of one shape, found {item.shape} beside {latents[0].shape}")


def check_tiles(tiles: Sequence[NDArray[Any]], rate: float) -> None:
    """Refuse tiles that are not 2-D, finite and of one shape, and a rate that is not from 0 to 1."""
    if not tiles:
        raise ValueError("tiles must hold at least one 2-D array, found none")
    for tile in tiles:
        if tile.ndim != 2 or tile.shape != tiles[0].shape or 0 in tile.shape:
            raise ValueError(
                f"tiles must be 2-D, not empty and of one shape, found {tile.shape} beside {tiles[0].shape}"
            )
        if tile.dtype.kind == "f" and not np.isfinite(tile).all():
            raise ValueError("tiles must be finite, found NaN or infinity; fill those pixels first")
    if not 0.0 <= rate <= 1.0:
        raise ValueError(f"rate must be a number from 0 to 1, found {rate}; resolve 'auto' with choose_rate")


def check_neighbours(
    tiles: Sequence[NDArray[Any]], neighbours: Sequence[Neighbours] | None, planes: int, model: str
) -> None:
    """Refuse neighbours of tiles for a model of one plane, of a wrong number, or of another shape."""
    if neighbours is None:
        return
    if planes == 1:
        raise ValueError(
            f"neighbours: expected none, model {model} encodes every plane alone; leave them out"
        )
    if len(neighbours) != len(tiles):
        raise ValueError(
            f"neighbours: expected a pair for each of the {len(tiles)} tiles, found {len(neighbours)}"
        )
    check_tiles([tiles[0], *(other for pair in neighbours for other in pair if other is not None)], 0.0)
