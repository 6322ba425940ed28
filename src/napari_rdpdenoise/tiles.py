"""Tiles of one plane: integers, no image data.

::

      oy0 ┌──────────────────┐
          │ outer: read      │   outer = core grown by the halo, clipped to the plane
       y0 │   ┌──────────┐   │
          │   │ core:    │   │   the cores of all tiles cover the plane exactly once
       y1 │   │ written  │   │
          │   └──────────┘   │
      oy1 └──────────────────┘

All ranges are half-open and in pixels of the plane. Origins of cores and outers are multiples of `GRID`,
so block statistics taken from the plane's origin are the same in every tile.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import chain, count

__all__ = ["GRID", "HALO", "TILE", "Tile", "order_tiles", "plan_tiles"]

GRID = 64
"""Pixels; the blocks whose means the codec keeps. Tile and halo are multiples, so all tiles share them."""

TILE = 1536
"""Pixels; edge of a tile unless a run asks for another."""

HALO = 128
"""Pixels; context of a tile unless a run asks for another: beyond it the network sees nothing that shows."""


@dataclass(frozen=True)
class Tile:
    """One block of a plane; all numbers are pixels, `index` counts the tiles row by row.

    The core `[y0, y1) x [x0, x1)` is what is written, the outer `[oy0, oy1) x [ox0, ox1)` what is read.
    """

    index: int
    y0: int
    y1: int
    x0: int
    x1: int
    oy0: int
    oy1: int
    ox0: int
    ox1: int

    @property
    def core_shape(self) -> tuple[int, int]:
        """Height and width of the core, pixels."""
        return self.y1 - self.y0, self.x1 - self.x0

    @property
    def outer_shape(self) -> tuple[int, int]:
        """Height and width of the outer block, pixels."""
        return self.oy1 - self.oy0, self.ox1 - self.ox0

    @property
    def core(self) -> tuple[slice, slice]:
        """Slices (y, x) of the core in the plane."""
        return slice(self.y0, self.y1), slice(self.x0, self.x1)

    @property
    def outer(self) -> tuple[slice, slice]:
        """Slices (y, x) of the outer block in the plane."""
        return slice(self.oy0, self.oy1), slice(self.ox0, self.ox1)

    @property
    def core_in_outer(self) -> tuple[slice, slice]:
        """Slices (y, x) of the core in an array that holds the outer block."""
        return slice(self.y0 - self.oy0, self.y1 - self.oy0), slice(self.x0 - self.ox0, self.x1 - self.ox0)

    def with_halo(self, halo: int) -> Tile:
        """The same core, and of its context at most so many pixels, a multiple of `GRID`, on every side."""
        _check_on_grid("halo", halo, 0)
        return replace(
            self,
            oy0=max(self.oy0, self.y0 - halo),
            oy1=min(self.oy1, self.y1 + halo),
            ox0=max(self.ox0, self.x0 - halo),
            ox1=min(self.ox1, self.x1 + halo),
        )


def plan_tiles(shape: tuple[int, int], tile: int, halo: int) -> tuple[Tile, ...]:
    """Cut a plane into tiles whose cores cover it exactly once.

    A last core of at most a third of `tile` is merged into its neighbour, so a core's edge is at most 4/3
    of `tile`: a plane of 2048 px is one tile, which no halo makes larger.

    Args:
        shape: Height and width of the plane, pixels, at least 1.
        tile: Edge of a core, pixels, a positive multiple of `GRID`.
        halo: Context on every side, pixels, a multiple of `GRID`, 0 for none.

    Returns:
        The tiles, row by row; `index` is the position in the tuple.

    Raises:
        ValueError: if a number is out of its range or off the grid.
    """
    if len(shape) != 2 or min(shape) < 1:
        raise ValueError(
            f"shape must be (height, width) of at least 1 pixel, got {shape}; leave empty planes out"
        )
    _check_on_grid("tile", tile, GRID)
    _check_on_grid("halo", halo, 0)
    height, width = shape
    spans = [(y0, y1, x0, x1) for y0, y1 in _cut(height, tile) for x0, x1 in _cut(width, tile)]
    return tuple(
        Tile(
            index,
            *(y0, y1, x0, x1),
            *(max(y0 - halo, 0), min(y1 + halo, height)),
            *(max(x0 - halo, 0), min(x1 + halo, width)),
        )
        for index, (y0, y1, x0, x1) in enumerate(spans)
    )


def regular_tile(shape: tuple[int, ...], tile: int) -> int:
    """Largest tile up to one with which no last core is merged: cores are then the chunks of a regular grid.

    Where there is none, the smallest above it.

    Args:
        shape: Height and width of the plane, pixels.
        tile: Edge of a core, pixels, a positive multiple of `GRID`.
    """
    return next(
        edge
        for edge in chain(range(tile, 0, -GRID), count(tile + GRID, GRID))
        if all(len(spans) == 1 or spans[-1][1] - spans[-1][0] <= edge for spans in _cuts(shape, edge))
    )


def regular_chunk(shape: tuple[int, ...], tile: int) -> tuple[int, ...]:
    """Height and width of those chunks, pixels; a single one is as large as the plane."""
    cuts = zip(shape, _cuts(shape, tile), strict=True)
    return tuple(size if len(spans) == 1 else tile for size, spans in cuts)


def order_tiles(tiles: Iterable[Tile], centre: tuple[float, float]) -> tuple[Tile, ...]:
    """Sort tiles by their distance from a point, so what the user looks at comes first.

    The tile that holds the point is first; then the distance to the core decides, then the distance to
    the core's middle, then the index.

    Args:
        tiles: Tiles of one plane.
        centre: Point (y, x), pixels of the plane; it may lie outside.

    Raises:
        ValueError: if `centre` is not finite.
    """
    y, x = centre
    if not (math.isfinite(y) and math.isfinite(x)):
        raise ValueError(
            f"centre must be two finite numbers (y, x) in pixels, got {centre}; leave the order out"
        )

    def key(tile: Tile) -> tuple[float, float, int]:
        gap = math.hypot(_gap(y, tile.y0, tile.y1), _gap(x, tile.x0, tile.x1))
        return gap, math.hypot(y - (tile.y0 + tile.y1) / 2, x - (tile.x0 + tile.x1) / 2), tile.index

    return tuple(sorted(tiles, key=key))


def _check_on_grid(name: str, value: int, least: int) -> None:
    if value < least or value % GRID:
        raise ValueError(
            f"{name} must be a multiple of {GRID} pixels and at least {least}, got {value}; "
            f"the nearest is {max(least, round(value / GRID) * GRID)}"
        )


def _cut(length: int, tile: int) -> list[tuple[int, int]]:
    """Half-open spans of `tile` pixels; a sliver at the end goes to the last span."""
    starts = list(range(0, length, tile))
    if len(starts) > 1 and 3 * (length - starts[-1]) <= tile:
        starts.pop()
    return list(zip(starts, [*starts[1:], length], strict=True))


def _cuts(shape: tuple[int, ...], tile: int) -> list[list[tuple[int, int]]]:
    return [_cut(size, tile) for size in shape]


def _gap(position: float, start: int, stop: int) -> float:
    """Distance of a position from a span, 0 inside."""
    return max(start - position, position - stop, 0.0)
