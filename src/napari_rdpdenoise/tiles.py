"""Tiles of one plane: integers and blend windows, no image data.

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
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["GRID", "Tile", "blend_window", "order_tiles", "plan_tiles"]

GRID = 64
"""Pixels; the blocks whose means the codec keeps. Tile and halo are multiples, so all tiles share them."""


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
        return (
            slice(self.y0 - self.oy0, self.y1 - self.oy0),
            slice(self.x0 - self.ox0, self.x1 - self.ox0),
        )


def plan_tiles(shape: tuple[int, int], tile: int, halo: int) -> tuple[Tile, ...]:
    """Cut a plane into tiles whose cores cover it exactly once.

    A last core narrower than a quarter of `tile` is merged into its neighbour, so a core's edge is
    below 1.25 `tile`.

    Args:
        shape: height and width of the plane, pixels, at least 1.
        tile: edge of a core, pixels, a positive multiple of `GRID`.
        halo: context on every side, pixels, a multiple of `GRID`, 0 for none.

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


def order_tiles(tiles: Iterable[Tile], centre: tuple[float, float]) -> tuple[Tile, ...]:
    """Sort tiles by their distance from a point, so what the user looks at comes first.

    The tile that holds the point is first; then the distance to the core decides, then the distance to
    the core's middle, then the index.

    Args:
        tiles: tiles of one plane.
        centre: (y, x), pixels of the plane; it may lie outside.

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


def blend_window(tile: Tile, shape: tuple[int, int], ramp: int) -> npt.NDArray[np.float32]:
    """Weights of one tile's outer block; over all tiles of a plan they sum to 1 at every pixel.

    Along one axis the window of the core [a, b) is s(x - a) - s(x - b), with s a step that rises smoothly
    from 0 to 1 over `ramp` pixels. Summed over neighbours the inner terms cancel, for cores of any width.

    Args:
        tile: a tile of a plan.
        shape: height and width of the planned plane, pixels.
        ramp: width of the transition, centred on the cores' edges, pixels, at most twice the halo;
            0 gives the indicator of the core.

    Returns:
        float32 array of `tile.outer_shape`, values 0 to 1.

    Raises:
        ValueError: if the transition does not fit into the halo, or the tile not into the plane.
    """
    height, width = shape
    if tile.oy1 > height or tile.ox1 > width:
        raise ValueError(
            f"shape must be that of the planned plane, got {shape} for a tile that ends at "
            f"({tile.oy1}, {tile.ox1}); pass the shape given to plan_tiles"
        )
    if ramp < 0:
        raise ValueError(f"ramp must be 0 or more pixels, got {ramp}; use 0 for no blending")
    rows = _axis_window((tile.y0, tile.y1), (tile.oy0, tile.oy1), height, ramp)
    columns = _axis_window((tile.x0, tile.x1), (tile.ox0, tile.ox1), width, ramp)
    return (rows[:, None] * columns[None, :]).astype(np.float32)


def _check_on_grid(name: str, value: int, least: int) -> None:
    if value < least or value % GRID:
        raise ValueError(
            f"{name} must be a multiple of {GRID} pixels and at least {least}, got {value}; "
            f"the nearest is {max(least, round(value / GRID) * GRID)}"
        )


def _cut(length: int, tile: int) -> list[tuple[int, int]]:
    """Half-open spans of `tile` pixels; a sliver at the end goes to the last span."""
    starts = list(range(0, length, tile))
    if len(starts) > 1 and 4 * (length - starts[-1]) < tile:
        starts.pop()
    return list(zip(starts, [*starts[1:], length], strict=True))


def _gap(position: float, start: int, stop: int) -> float:
    """Distance of a position from a span, 0 inside."""
    return max(start - position, position - stop, 0.0)


def _axis_window(
    core: tuple[int, int], outer: tuple[int, int], length: int, ramp: int
) -> npt.NDArray[np.float64]:
    """Weights along one axis over the outer span, float64, values 0 to 1."""
    fits_low = outer[0] == 0 or 2 * (core[0] - outer[0]) >= ramp
    fits_high = outer[1] == length or 2 * (outer[1] - core[1]) >= ramp
    if not (fits_low and fits_high):
        raise ValueError(
            f"ramp must be at most twice the halo, got {ramp} for a core {core} read as {outer}; "
            "lower the ramp or plan the tiles with a larger halo"
        )
    pixels = np.arange(*outer) + 0.5
    # The plane's own borders are no transition: there is no neighbour to share the weight with.
    rise = _step(pixels - core[0], ramp) if core[0] > 0 else np.ones_like(pixels)
    fall = _step(pixels - core[1], ramp) if core[1] < length else np.zeros_like(pixels)
    return rise - fall


def _step(distance: npt.NDArray[np.float64], ramp: int) -> npt.NDArray[np.float64]:
    """Smooth step from 0 to 1 around distance 0, `ramp` pixels wide."""
    if ramp == 0:
        return (distance > 0).astype(np.float64)
    t = np.clip(distance / ramp + 0.5, 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)
