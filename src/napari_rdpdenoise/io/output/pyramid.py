"""Lower resolutions of an image, each pixel the mean of 2x2 of the next higher one.

A shard of a lower resolution is made as soon as all is written that it is the mean of::

    block --write--> shards of level 0 --when all of them are there--> shard of level 1 --> of level 2 ...

so that of planes of one shard nothing is read again, and each part of a job makes what is of its own blocks
only. The rest, of several parts or of what was written before an interruption, is made at the end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_rdpdenoise.files import remove
from napari_rdpdenoise.io.output.disk import sync
from napari_rdpdenoise.io.output.rounding import round_keeping_sums
from napari_rdpdenoise.io.output.sharding import MAX_CHUNK
from napari_rdpdenoise.io.source import Index
from napari_rdpdenoise.tiles import GRID

__all__ = ["Pyramid", "halvings", "mean_2x2"]

_ENDING = "ending"  # file that is there while files are written that are not brought to the disk one by one

_ROWS = 2 * GRID  # that are made at once: whole blocks, in a processor's cache

Place = tuple[int, int]  # of a shard among those of a plane: row and column


@dataclass(frozen=True)
class _Block:
    """Pixels of a plane at rows and columns."""

    pixels: NDArray[Any]
    rows: slice
    columns: slice

    def holds(self, rows: slice, columns: slice) -> bool:
        """Whether all of a region is in it."""
        pairs = ((self.rows, rows), (self.columns, columns))
        return all(own.start <= other.start and other.stop <= own.stop for own, other in pairs)

    def part(self, rows: slice, columns: slice) -> NDArray[Any]:
        """Pixels of a region that it holds."""
        top, left = self.rows.start, self.columns.start
        return self.pixels[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]


class Pyramid:
    """Lower resolutions of an image that are being made; a file of a shard that is there is right.

    Args:
        image: Folder of the image, in which resolutions are named by numbers from 0.
        create: Function that creates the array of a resolution, given its name, and rows and columns.
    """

    def __init__(self, image: Path, create: Callable[[str, tuple[int, int]], Any]) -> None:
        self._image, self._create = image, create
        self._levels: dict[int, Any] = {}
        # Shards that were written, by level, until the shard that they are all a part of is made.
        self._there: dict[int, set[tuple[Index, Place]]] = {}
        if self._ending.exists():
            for folder in image.glob("[1-9]*"):
                remove(folder)
            self._ending.unlink()

    @property
    def _ending(self) -> Path:
        return self._image.with_name(_ENDING)

    def add(self, level: Any, index: Index, y: slice, x: slice, pixels: NDArray[Any]) -> set[Path]:
        """Make what is complete with a block that was just written to the full resolution.

        Args:
            level: Array of the full resolution.
            index: Plane, as it is stored.
            y: Rows of the block, px.
            x: Columns of the block, px.
            pixels: Pixels of the block.

        Returns:
            Files and folders that changed.
        """
        block = _Block(pixels, y, x)
        shards = _shards(level, y, x)
        whole = {(index, shard) for shard in shards if block.holds(*_region(level, shard))}
        self._of(0).update(whole)
        self._of(0).difference_update({(index, shard) for shard in shards} - whole)
        changed: set[Path] = set()
        for number in range(1, halvings(level.shape[-2:]) + 1):
            half = self._level(number, level)
            shards = {_above(level, half, shard) for shard in shards}
            made = block
            for shard in shards:
                file, region = self._file(number, index, shard), _region(half, shard)
                below = _doubled(level, region)
                parts = {(index, part) for part in _shards(level, *below)}
                if parts <= self._of(number - 1):
                    self._of(number - 1).difference_update(parts)
                    self._of(number).add((index, shard))
                    source = block.part(*below) if block.holds(*below) else level[(*index, *below)]
                    made = _Block(mean_2x2(source), *region)
                    half[(*index, *region)] = made.pixels
                    changed.add(file)
                else:
                    self._of(number).discard((index, shard))
                    if file.exists():  # of what was there before
                        file.unlink()
                        changed.add(file.parent)
            level, block = half, made
        return changed

    def completed(self, number: int, level: Any) -> Any:
        """Array of a lower resolution, all of its shards made.

        Args:
            number: Number of the resolution, from 1.
            level: Array of the next higher one, all of its shards made.
        """
        half = self._level(number, level)
        for index in np.ndindex(*half.shape[:-2]):
            for shard in sorted(_shards(half, *(slice(0, size) for size in half.shape[-2:]))):
                if self._file(number, index, shard).exists():
                    continue
                if not self._ending.exists():
                    self._ending.touch()
                    sync(self._ending.parent)
                region = _region(half, shard)
                half[(*index, *region)] = mean_2x2(level[(*index, *_doubled(level, region))])
        return half

    def _of(self, number: int) -> set[tuple[Index, Place]]:
        return self._there.setdefault(number, set())

    def _level(self, number: int, level: Any) -> Any:
        """Array of a resolution: that of an interrupted run, or a new one."""
        import zarr

        found = self._levels.get(number)
        if found is None:
            rows, columns = ((size + 1) // 2 for size in level.shape[-2:])
            folder = self._image / str(number)
            there = (folder / "zarr.json").is_file()
            found = (
                zarr.open_array(folder, mode="r+") if there else self._create(str(number), (rows, columns))
            )
            self._levels[number] = found
        return found

    def _file(self, number: int, index: Index, shard: Place) -> Path:
        return self._image.joinpath(str(number), "c", *map(str, index), *map(str, shard))


def _edges(level: Any) -> tuple[int, int]:
    """Rows and columns of a shard."""
    rows, columns = (level.shards or level.chunks)[-2:]
    return rows, columns


def _shards(level: Any, rows: slice, columns: slice) -> set[Place]:
    """Shards that have a part in a region."""
    down, along = (
        range(part.start // edge, -(-part.stop // edge))
        for part, edge in zip((rows, columns), _edges(level), strict=True)
    )
    return {(row, column) for row in down for column in along}


def _region(level: Any, shard: Place) -> tuple[slice, slice]:
    """Rows and columns of a shard, as far as they are in the plane."""
    rows, columns = (
        slice(number * edge, min((number + 1) * edge, size))
        for number, edge, size in zip(shard, _edges(level), level.shape[-2:], strict=True)
    )
    return rows, columns


def _doubled(level: Any, region: tuple[slice, slice]) -> tuple[slice, slice]:
    """What a region of half the resolution of a level is the mean of."""
    rows, columns = (
        slice(2 * part.start, min(2 * part.stop, size))
        for part, size in zip(region, level.shape[-2:], strict=True)
    )
    return rows, columns


def _above(level: Any, half: Any, shard: Place) -> Place:
    """The shard of half the resolution in which a shard of a level has its part."""
    row, column = (
        part.start // 2 // edge for part, edge in zip(_region(level, shard), _edges(half), strict=True)
    )
    return row, column


def halvings(plane: tuple[int, ...]) -> int:
    """How often a plane, rows and columns, is halved until it is small: its number of lower resolutions."""
    edge, count = max(plane), 0
    while edge > MAX_CHUNK:
        edge, count = (edge + 1) // 2, count + 1
    return count


def mean_2x2(plane: NDArray[Any]) -> NDArray[Any]:
    """Mean of 2x2 pixels of a plane, of those that exist at an odd edge: half its size, the same dtype.

    Sizes are rounded up, integers so that sums stay.
    """
    if any(size % 2 for size in plane.shape):
        # repeating the edge gives the mean of the pixels that exist
        plane = np.pad(plane, [(0, size % 2) for size in plane.shape], mode="edge")
    halved = np.empty((plane.shape[0] // 2, plane.shape[1] // 2), plane.dtype)
    for start in range(0, len(halved), _ROWS):
        part = slice(start, start + _ROWS)
        halved[part] = _mean_of_part(plane[2 * part.start : 2 * part.stop], start)
    return halved


def _mean_of_part(rows: NDArray[Any], start: int) -> NDArray[np.floating[Any]]:
    """Mean of 2x2 pixels of some rows; ``start`` is the number of the first that is made of them."""
    exact = np.float64 if rows.dtype.itemsize > 2 else np.float32
    sums: NDArray[np.floating[Any]] = rows[::2].astype(exact)
    sums += rows[1::2]
    mean: NDArray[np.floating[Any]] = sums[:, ::2] + sums[:, 1::2]
    mean /= 4
    if rows.dtype.kind in "iu":
        limits = np.iinfo(rows.dtype)
        mean = round_keeping_sums(mean, limits.min, limits.max, place=(start, 0))
    return mean
