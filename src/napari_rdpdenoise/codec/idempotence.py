"""Idempotence: is a result, encoded again, the same?

An ideal generative codec is idempotent (Xu et al., ICLR 2024): what it decodes has the bits that it was
decoded from. A codec that denoises in its encoder comes near to that only where the encoder sees a clean
image as it sees the noisy one. What changes says how far a result is from what its bits say.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_rdpdenoise.codec.codec import Codec
from napari_rdpdenoise.codec.latents import Latents
from napari_rdpdenoise.codec.network_input import Neighbours, any_of
from napari_rdpdenoise.nn.decoder_names import on_path
from napari_rdpdenoise.nn.decoders.place import Place
from napari_rdpdenoise.nn.network import STRIDE

Window = tuple[slice, slice]


@dataclass(frozen=True)
class Idempotence:
    """What a second encoding changes; of several tiles by addition.

    Attributes:
        symbols: Number of symbols.
        changed: Number of those that differ.
        occupied: Number of those that are not 0 in both encodings.
        pixels: Number of pixels.
        squares: Sum of the squared differences of the two decodes, noise variances.
    """

    symbols: int = 0
    changed: int = 0
    occupied: int = 0
    pixels: int = 0
    squares: float = 0.0

    def __add__(self, other: Idempotence) -> Idempotence:
        return Idempotence(
            self.symbols + other.symbols,
            self.changed + other.changed,
            self.occupied + other.occupied,
            self.pixels + other.pixels,
            self.squares + other.squares,
        )

    @property
    def changed_share(self) -> float:
        """Share of the symbols that change, 0 to 1; NaN without symbols."""
        return self.changed / self.symbols if self.symbols else math.nan

    @property
    def changed_share_of_occupied(self) -> float:
        """Share of those that change among the symbols that are not 0 in both; 0 where there are none."""
        return self.changed / self.occupied if self.occupied else 0.0

    @property
    def distance(self) -> float:
        """Rms difference of the two decodes, noise standard deviations; NaN without pixels."""
        return math.sqrt(self.squares / self.pixels) if self.pixels else math.nan


def encode_again(
    codec: Codec,
    latents: Latents,
    result: NDArray[Any] | None = None,
    realism: float = 0.0,
    place: Place | None = None,
    neighbours: Neighbours | None = None,
    window: Window | None = None,
) -> Idempotence:
    """Encode the result of a tile again, at the same rate and normalisation, and compare.

    Args:
        codec: Codec that made the latents.
        latents: Latents of the noisy tile.
        result: Image that is encoded again, raw counts of the tile's shape, finite; None for what the codec
            decodes itself.
        realism: Share of the realism decode in the decodes that are compared, 0 to 1.
        place: Seed and position of the tile, on which a decoder's random numbers depend; None for seed 0.
        neighbours: Same places of the planes before and after ``result``; None where the tile was encoded
            alone.
        window: Rows and columns that count, from multiples of 16 px on; None for the whole tile.

    Raises:
        DecoderMissing: If ``realism`` is above 0 and the model has no realism decoder.
        ValueError: If the shapes differ, or the result is not finite.
    """
    if result is not None and result.shape != latents.shape:
        raise ValueError(
            f"result: expected the shape of the tile, {latents.shape}, found {result.shape}; "
            "give the denoised image of the same place"
        )
    names, places = on_path(realism), [place or Place()]
    (decoded,) = codec.decode([latents], names, places)
    first = decoded.blend(realism)
    beside = [neighbours] if neighbours is not None and any_of(neighbours) else None
    image = first if result is None else result
    (again,) = codec.encode([image], latents.normalization, latents.rate, beside)
    (decoded,) = codec.decode([again], names, places)
    whole = (slice(0, latents.shape[0]), slice(0, latents.shape[1]))
    return _compared(latents, again, (first, decoded.blend(realism)), window or whole)


def _compared(
    latents: Latents,
    again: Latents,
    decodes: tuple[NDArray[np.float32], NDArray[np.float32]],
    window: Window,
) -> Idempotence:
    changed = occupied = symbols = 0
    for old, new in zip(latents.symbols, again.symbols, strict=True):
        place = tuple(
            _symbol_window(part, size, count)
            for part, size, count in zip(window, latents.shape, old.shape[1:], strict=True)
        )
        a, b = old[:, place[0], place[1]], new[:, place[0], place[1]]
        symbols += a.size
        changed += int(np.count_nonzero(a != b))
        occupied += int(np.count_nonzero((a != 0) | (b != 0)))
    first, second = (image[window].astype(np.float64) for image in decodes)
    squares = np.square(second - first) / latents.normalization.noise.variance(first)
    return Idempotence(symbols, changed, occupied, first.size, float(squares.sum()))


def _symbol_window(window: slice, size: int, count: int) -> slice:
    """Symbols of a kind, ``count`` along an edge of ``size`` px, that lie in a window of that edge."""
    spacing = -(-size // STRIDE) * STRIDE // count  # the network sees the tile padded to its stride
    end = count if window.stop >= size else -(-window.stop // spacing)
    return slice(window.start // spacing, end)
