"""Self-ensemble: a tile is encoded again mirrored, and its decodes of lowest error are averaged.

What a network takes away beside the noise depends on how the structure lies, and so does what rounding does
to its latents. Both differ from one mirror image to the next, so that part of them averages out.

Source: Timofte, Rothe and Van Gool, "Seven ways to improve example-based single image super resolution",
2016 (arXiv 1511.02228), which average over turned images. Mirrored ones keep the shape of a tile, and gain
as much.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_rdpdenoise.codec import Decoded, Latents
from napari_rdpdenoise.codec.network_input import Neighbours
from napari_rdpdenoise.nn.decoder_names import FIDELITY

__all__ = ["Mirrored", "averaged", "mirrored"]

_FLIPS = ((), (0, 1), (1,), (0,))  # axes; turned by half a circle first, which differs most from the tile


@dataclass
class Mirrored:
    """One mirror image of a tile, on its way through the run beside it.

    Attributes:
        raw: Raw counts, finite.
        neighbours: Same places of the planes before and after.
        key: Cache key of the latents.
        latents: Latents from the cache or, with ``fresh`` set, from the encoder; None before that.
        fresh: Whether they were made here.
    """

    raw: NDArray[np.generic]
    neighbours: Neighbours
    key: str
    latents: Latents | None
    fresh: bool = False


def mirrored(pixels: NDArray[Any], number: int) -> NDArray[Any]:
    """Mirror image of a tile, a view of its memory; mirrored again the tile itself.

    Args:
        pixels: Tile (rows, columns).
        number: Number of the mirror image, 0 (the tile itself) to 3.
    """
    return np.flip(pixels, _FLIPS[number])


def averaged(decoded: Decoded, others: Sequence[Decoded]) -> Decoded:
    """Decodes of a tile, that of lowest error averaged with those of its mirror images.

    Args:
        decoded: Decodes of the tile itself.
        others: Decodes of its mirror images 1, 2, and so on, as they were decoded.
    """
    if not others:
        return decoded
    total = decoded[FIDELITY].astype(np.float32)
    for number, other in enumerate(others, 1):
        total += mirrored(other[FIDELITY], number)
    total /= 1 + len(others)
    return Decoded({**decoded, FIDELITY: total})
