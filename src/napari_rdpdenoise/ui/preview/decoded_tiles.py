"""Decoded tiles of the preview, images of several decoders side by side: moving realism only blends."""

from __future__ import annotations

import threading
from collections.abc import Callable, Container, Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray

from napari_rdpdenoise.codec.decoded import Decoded
from napari_rdpdenoise.io.output.convert import to_output
from napari_rdpdenoise.tiles import Tile

if TYPE_CHECKING:
    from napari_rdpdenoise.stream.screen import Kept

__all__ = ["Blender", "DecodedTile", "DecodedTiles", "TileKey"]


@dataclass(frozen=True)
class TileKey:
    """Which tile: the series (layer, and all settings that decide its pixels but realism), plane and tile."""

    series: Hashable
    index: tuple[int, ...]
    tile: Tile


@dataclass(frozen=True)
class DecodedTile:
    """The decodes of one tile's core.

    Attributes:
        images: Images by decoder, float32 raw counts, ``tile.core_shape``.
        kept: Pixels that come out as they went in; None for none.
        bpp: Bits per pixel of the tile with its halo; NaN where nothing was coded.
        provisional: Whether it was made with a rate that is not the final one.
        seed: Seed of the plane, which decides how fractions of counts are rounded.
        share: Share of the residual that went back, 0 to 1, float16, ``tile.core_shape``; None for none.
        error: Half widths of 90 % intervals around the image of lowest error, float32 raw counts, likewise.
    """

    images: Decoded
    kept: Kept | None
    bpp: float
    provisional: bool = False
    seed: int = 0
    share: NDArray[np.float16] | None = None
    error: NDArray[np.float32] | None = None

    @property
    def nbytes(self) -> int:
        """Memory, bytes."""
        parts = (*self.images.values(), *(self.kept or ()), self.share, self.error)
        return sum(part.nbytes for part in parts if part is not None)


class Blender:
    """Blends tiles into planes without new arrays. Safe to share between threads."""

    def __init__(self) -> None:
        self._scratch = np.empty(0, np.float32)
        self._lock = threading.Lock()

    def blend_core(self, tile: Tile, decoded: DecodedTile, realism: float, out: NDArray[Any]) -> None:
        """Write one tile into an array of its core; as `blend` does for planes."""
        with self._lock:
            if self._scratch.size < decoded.images.first.size:
                self._scratch = np.empty(decoded.images.first.size, np.float32)
            self._write(tile, decoded, realism, out)

    def blend(self, held: Sequence[tuple[Tile, DecodedTile]], realism: float, out: NDArray[Any]) -> None:
        """Write tiles into their plane (height, width), as a run would; raises as `Decoded.blend`."""
        for tile, decoded in held:
            self.blend_core(tile, decoded, realism, out[tile.core])

    def _write(self, tile: Tile, decoded: DecodedTile, realism: float, out: NDArray[Any]) -> None:
        image = decoded.images.blend(realism, self._scratch[: out.size].reshape(out.shape))
        place = decoded.seed, tile.y0, tile.x0
        out[...] = image if out.dtype == image.dtype else to_output(image, out.dtype, place)[0]
        if decoded.kept is not None:
            decoded.kept.put(out)


class DecodedTiles:
    """Decoded tiles within a byte budget, least recently used out first. Safe to share between threads.

    Args:
        limit: Bytes.

    Raises:
        ValueError: if it is negative.
    """

    def __init__(self, limit: int) -> None:
        if limit < 0:
            raise ValueError(f"limit must be 0 or more bytes, found {limit}; use 0 to keep no decoded tiles")
        # by use in iteration too: one that is used is taken out and put in again
        self._tiles: LRUCache[TileKey, DecodedTile] = LRUCache(
            limit, getsizeof=lambda decoded: decoded.nbytes
        )
        self._lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return int(self._tiles.currsize)

    def get(self, key: TileKey) -> DecodedTile | None:
        """Return a tile and make it the most recently used one; None if it is not held."""
        with self._lock:
            decoded = self._tiles.pop(key, None)
            if decoded is not None:
                self._tiles[key] = decoded
            return decoded

    def put(self, key: TileKey, decoded: DecodedTile) -> None:
        """Keep a tile, in the place of an earlier one of this key; one above the budget is not kept."""
        with self._lock:
            self._tiles.pop(key, None)
            with suppress(ValueError):  # above the whole budget
                self._tiles[key] = decoded

    def of_plane(self, series: Hashable, index: tuple[int, ...]) -> list[tuple[Tile, DecodedTile]]:
        """All tiles of one plane, the most recently used last."""
        with self._lock:
            return [
                (k.tile, decoded)
                for k, decoded in self._tiles.items()
                if k.index == index and k.series == series
            ]

    def drop(self, unwanted: Callable[[Hashable], bool]) -> None:
        """Forget all tiles of the series that are not wanted."""
        with self._lock:
            for key in [key for key in self._tiles if unwanted(key.series)]:
                del self._tiles[key]

    def drop_provisional(self, series: Hashable, wanted: Container[tuple[tuple[int, ...], Tile]]) -> None:
        """Forget the provisional tiles of a series but those that are wanted, by index and tile."""
        with self._lock:
            for key, decoded in list(self._tiles.items()):
                if decoded.provisional and key.series == series and (key.index, key.tile) not in wanted:
                    del self._tiles[key]
