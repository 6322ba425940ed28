"""Previews of pyramids, and of planes that are too large to be held: blocks that were looked at are there.

::

    Pyramid.levels   what a viewer shows, finest first: Mosaic 0, Mosaic 1, ..., and the last one thinned out
    Mosaic           one resolution of the image: the blocks of it that are denoised
    Surroundings     blocks of the noisy image, as it is where nothing is denoised

A viewer takes the level that has about as many pixels as its canvas. Below the coarsest resolution there is,
every 2nd, 4th, ... pixel of that is shown, so that nothing large is sliced however far the viewer zooms out.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray

from napari_rdpdenoise.axes import check_axes, has_colours
from napari_rdpdenoise.io.source import check_dtype
from napari_rdpdenoise.tiles import Tile
from napari_rdpdenoise.ui.layers.slicing import SlicedPlanes, full_key
from napari_rdpdenoise.ui.preview.surroundings import Surroundings, overlap
from napari_rdpdenoise.ui.preview.viewport import TileRequest

__all__ = ["Level", "Mosaic", "Pyramid", "needs_levels", "same_image"]

MIB = 1024**2
_LARGEST_PLANE = 4096**2  # px, of one that is held and drawn as a whole: 64 MB
_COARSEST = 256  # px, edge of the last level: napari takes its thumbnail from there, and never shows it


class Pyramid:
    """The preview of an image of one or several resolutions, as levels that a viewer slices.

    Args:
        levels: Arrays of the image, finest first (NumPy, dask, zarr).
        axes: Axes of each, one upper-case letter each, such as "TYX"; colours (S) last.
        dtype: Type of the preview; None for that of the data.
        memory_bytes: Budget for denoised blocks, and as much again for noisy ones.

    Attributes:
        levels: What the viewer shows, finest first.

    Raises:
        ValueError: If the axes do not fit.
        TypeError: If a dtype is not supported.
    """

    def __init__(
        self,
        levels: Sequence[Any],
        axes: str,
        dtype: np.dtype | str | None = None,
        memory_bytes: int = 256 * MIB,
    ) -> None:
        check_axes(axes, len(levels[0].shape))
        kind = check_dtype(levels[0].dtype if dtype is None else dtype)
        share = memory_bytes // len(levels)
        self._mosaics = [Mosaic(kind, share) for _ in levels]
        around: LRUCache[Any, NDArray[Any]] = LRUCache(memory_bytes, getsizeof=lambda block: block.nbytes)
        lock = threading.RLock()
        self.levels = [
            Level(Surroundings(data, axes, stride, around, lock), axes, kind, mosaic)
            for mosaic, data, stride in _thinned(self._mosaics, levels, axes)
        ]

    def board(self, level: int) -> Mosaic:
        """What is denoised of one resolution of the image, from 0 for the finest."""
        return self._mosaics[level]


def needs_levels(levels: Sequence[Any], axes: str) -> bool:
    """Whether an image has several resolutions, or planes too large to be drawn as a whole."""
    height, width = (levels[0].shape[axes.index(letter)] for letter in "YX")
    return len(levels) > 1 or height * width > _LARGEST_PLANE


def _thinned(
    mosaics: Sequence[Mosaic], levels: Sequence[Any], axes: str
) -> Iterator[tuple[Mosaic, Any, int]]:
    """Every resolution, then the coarsest by every 2nd, 4th, ... pixel."""
    for mosaic, data in zip(mosaics, levels, strict=True):
        yield mosaic, data, 1
    stride, edge = 2, max(data.shape[axes.index(letter)] for letter in "YX")
    while edge > _COARSEST:
        yield mosaic, data, stride
        edge, stride = -(-edge // 2), 2 * stride


@dataclass
class _Block:
    tile: Tile
    pixels: NDArray[Any]
    done: bool = False


class Mosaic:
    """The denoised blocks of one resolution, within a byte budget. Safe to share between threads.

    ``index`` is one number per axis beside Y and X, in the image's order.

    Args:
        dtype: Type of the pixels.
        memory_bytes: Budget, bytes.
    """

    def __init__(self, dtype: np.dtype, memory_bytes: int) -> None:
        self._dtype = dtype
        self._blocks: LRUCache[tuple[tuple[int, ...], int, int], _Block] = LRUCache(
            memory_bytes, getsizeof=lambda block: block.pixels.nbytes
        )
        self._lock = threading.RLock()

    def part(self, index: tuple[int, ...], tile: Tile) -> NDArray[Any]:
        """The core of a tile (height, width), to be written to as a whole."""
        with self._lock:
            key = index, tile.y0, tile.x0
            block = self._blocks.get(key)
            if block is None or block.tile != tile:
                self._blocks.pop(key, None)
                block = _Block(tile, np.empty(tile.core_shape, self._dtype))
                with suppress(ValueError):  # above the whole budget
                    self._blocks[key] = block
            return block.pixels

    def mark(self, index: tuple[int, ...], tiles: Iterable[Tile]) -> None:
        """Note that the cores of tiles hold the result."""
        with self._lock:
            for tile in tiles:
                block = self._blocks.get((index, tile.y0, tile.x0))
                if block is not None:
                    block.done = True

    def share_done(self, index: tuple[int, ...], tiles: Iterable[Tile]) -> float:
        """Share of the tiles that hold the result, 0 to 1; 1 for no tiles."""
        with self._lock:
            found = [self._blocks.get((index, tile.y0, tile.x0)) for tile in tiles]
        return sum(block is not None and block.done for block in found) / len(found) if found else 1.0

    def restart(self, in_view: Iterable[TileRequest] = ()) -> None:
        """Count everything as not done; what is in view stays until it is replaced, all else is dropped."""
        stay = {(request.index, request.tile.y0, request.tile.x0) for request in in_view}
        with self._lock:
            for key in list(self._blocks):
                if key in stay:
                    self._blocks[key].done = False
                else:
                    del self._blocks[key]

    def blocks(self, index: tuple[int, ...]) -> list[_Block]:
        """What there is of a plane."""
        with self._lock:
            return [block for (place, _, _), block in self._blocks.items() if place == index]


class Level(SlicedPlanes):
    """One level of the preview, or of the noisy image, as an array.

    Args:
        noisy: Noisy image at this level.
        axes: Axes; colours (S) last.
        dtype: Type of the pixels.
        mosaic: What is denoised of the resolution that the level is taken from; None for nothing.
    """

    def __init__(self, noisy: Surroundings, axes: str, dtype: np.dtype, mosaic: Mosaic | None = None) -> None:
        super().__init__(noisy.shape, axes, dtype)
        self._noisy, self._axes, self._mosaic = noisy, axes, mosaic
        self._places = [axis for axis in self._leading if not has_colours(axes[axis])]
        self._colours = self.ndim - 1 if has_colours(axes) else None
        self.deferred = tuple(self._places)

    @property
    def noisy(self) -> Level:
        """The noisy image at this level, in its own type."""
        return Level(self._noisy, self._axes, self._noisy.dtype)

    def region(self, index: tuple[int, ...], rows: slice, columns: slice) -> NDArray[Any]:
        """A part of a plane (rows, columns), by one number per axis beside Y and X."""
        return self._upright(self._read(self._key(index, rows, columns)))

    def done(self, index: tuple[int, ...]) -> NDArray[np.bool_]:
        """Which pixels of a plane hold the result: bool (height, width)."""
        return self._upright(self.done_at(self._key(index, slice(None), slice(None))))

    def _key(self, index: tuple[int, ...], rows: slice, columns: slice) -> tuple[Any, ...]:
        numbers, parts = iter(index), {self._y: rows, self._x: columns}
        return tuple(parts[axis] if axis in parts else next(numbers) for axis in range(self.ndim))

    def _upright(self, plane: NDArray[Any]) -> NDArray[Any]:
        return plane.T if self._x < self._y else plane

    def done_at(self, key: Any) -> NDArray[np.bool_]:
        """Which pixels hold the result: bool, of the shape of ``self[key]``."""
        nowhere = _nothing(() if self._colours is None else self.shape[-1:])
        return self._assemble(
            full_key(key, self.shape), nowhere, lambda block: np.full(block.pixels.shape, block.done)
        )

    def _read(self, full: tuple[Any, ...]) -> NDArray[Any]:
        return self._assemble(full, self._noisy.region, lambda block: block.pixels)

    def _assemble(
        self,
        full: tuple[Any, ...],
        around: Callable[..., NDArray[Any]],
        inside: Callable[[_Block], NDArray[Any]],
    ) -> NDArray[Any]:
        """What a full key takes of an image, and of what lies over it in the blocks."""
        several = next((axis for axis in self._places if isinstance(full[axis], slice)), None)
        if several is not None:
            parts = [
                self._assemble((*full[:several], place, *full[several + 1 :]), around, inside)
                for place in range(self.shape[several])[full[several]]
            ]
            return np.stack(parts, axis=sum(isinstance(part, slice) for part in full[:several]))
        taken = [range(self.shape[axis])[_as_slice(full[axis])] for axis in (self._y, self._x)]
        rows, columns = (slice(min(part), max(part) + 1) if part else slice(0, 0) for part in taken)
        place = tuple(full[axis] for axis in self._places)
        pixels = around(place, rows, columns)
        pixels = pixels if pixels.dtype == bool else pixels.astype(self.dtype, copy=False)
        self._lay_over(pixels, place, (rows.start, columns.start), inside)
        if self._colours is not None:
            pixels = pixels[..., full[self._colours]]
        steps: Any = tuple(
            slice(None, None, full[axis].step) if isinstance(full[axis], slice) else 0
            for axis in (self._y, self._x)
        )
        pixels = pixels[steps]
        both = all(isinstance(full[axis], slice) for axis in (self._y, self._x))
        return pixels.swapaxes(0, 1) if both and self._x < self._y else pixels

    def _lay_over(
        self,
        out: NDArray[Any],
        place: tuple[int, ...],
        at: tuple[int, int],
        inside: Callable[[_Block], NDArray[Any]],
    ) -> None:
        if self._mosaic is None:
            return
        step = self._noisy.stride
        layers = [(place, out)]
        if self._colours is not None:
            layers = [((*place, colour), out[..., colour]) for colour in range(out.shape[-1])]
        for index, part in layers:
            for block in self._mosaic.blocks(index):
                y, x = -(-block.tile.y0 // step), -(-block.tile.x0 // step)
                pixels = inside(block)[y * step - block.tile.y0 :: step, x * step - block.tile.x0 :: step]
                overlap(part, at, pixels, (y, x))


def same_image(one: Any, other: Any) -> bool:
    """Whether two arrays are one, or levels of one noisy image."""
    return one is other or (
        isinstance(one, Level) and isinstance(other, Level) and one._noisy is other._noisy
    )


def _nothing(shape: tuple[int, ...]) -> Callable[..., NDArray[np.bool_]]:
    """An image that is nowhere done; ``shape`` is that of its colours."""
    return lambda place, rows, columns: np.zeros(
        (rows.stop - rows.start, columns.stop - columns.start, *shape), np.bool_
    )


def _as_slice(part: Any) -> slice:
    return part if isinstance(part, slice) else slice(part, part + 1)
