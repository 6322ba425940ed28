"""Which tiles a view of a layer shows, in the order they should be denoised. Integers only; no Qt, no pixels.

::

        ┌───┬───┬───┬───┐
        │ r │ r │ r │ r │      v  visible tiles, nearest to the view's centre first
        ├───┼─╔═╪═══╪╗──┤      r  ring: what a small pan would show, after all visible ones
        │ r │ ║v│ v │║r │      ═  the view
        ├───┼─╚═╪═══╪╝──┤
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from napari_rdpdenoise.axes import channel_axis
from napari_rdpdenoise.tiles import HALO, Tile, order_tiles, plan_tiles

__all__ = ["LayerView", "Sight", "TileRequest", "look_at", "preview_tile"]

PREVIEW_TILE = 512  # px
_WHOLE_PIXELS = 768**2  # what an inner tile reads with its halo: well below a second on two cores
_MOST_VISIBLE = 64  # tiles; 16 megapixels, a minute's work without a GPU
_MOST_AHEAD = 8  # tiles of every plane that may be looked at next


_THICK = (
    "The viewer shows several planes as one, the preview the one at the slider: to compare them, set the "
    "noisy layer's projection mode to none."
)


@dataclass(frozen=True)
class LayerView:
    """What a viewer shows of an image layer, in one of the resolutions that the image has.

    Attributes:
        axes: One upper-case letter per axis of the layer, in its order, such as "TYX"; none for colours.
        shape: Shape of that resolution, in that order, pixels.
        displayed: Positions of the displayed axes in ``axes``, two or three.
        point: Position of the sliders, per axis, pixels of that resolution; ignored at displayed axes.
        corners: First and last pixel in view, per axis, as napari's ``Layer.corner_pixels``: pixels of what
            is drawn, which may be thinned out; ignored at axes that are not displayed.
        level_scale: Pixels of that resolution per pixel of what is drawn, per axis; None for 1.
        colours: Number of colours on a last axis, not in ``axes``, opacity not counted; 0 for no such axis.
        level: Number of the resolution, 0 for the finest.
        reduction: How many times smaller than the finest it is, along its longer edge.
        thick: Whether the viewer makes one picture of several planes.
    """

    axes: str
    shape: tuple[int, ...]
    displayed: tuple[int, ...]
    point: tuple[float, ...]
    corners: tuple[Sequence[float], Sequence[float]]
    level_scale: tuple[float, ...] | None = None
    colours: int = 0
    level: int = 0
    reduction: float = 1.0
    thick: bool = False

    @property
    def plane(self) -> tuple[int, int]:
        """Height and width, pixels of that resolution."""
        return self.shape[self.axes.index("Y")], self.shape[self.axes.index("X")]


@dataclass(frozen=True)
class TileRequest:
    """One tile of one plane; ``index`` as `ImageSource.read` takes it, ``channel`` on the channel axis."""

    index: tuple[int, ...]
    channel: int
    tile: Tile


@dataclass(frozen=True)
class Sight:
    """What to denoise for a view.

    Attributes:
        requests: Tiles in the order of their urgency.
        visible: Number of them, from the first, that are in view; the others are the ring.
        note: Reason why there is no preview; None where there is.
        scope: What the preview does not show, in words; empty where it shows what a run gives.
        ahead: Tiles of the planes before and after in time and depth, which may be looked at next.
    """

    requests: tuple[TileRequest, ...] = ()
    visible: int = 0
    note: str | None = None
    scope: str = ""
    ahead: tuple[TileRequest, ...] = ()


def preview_tile(plane: tuple[int, int], run_tile: int) -> int:
    """Edge of the preview's tiles for a plane (height, width), pixels.

    Small planes take the run's own tile, so that preview and run share their latents; of larger ones a
    tile of the run would take seconds without a GPU.
    """
    return run_tile if plane[0] * plane[1] <= _WHOLE_PIXELS else min(run_tile, PREVIEW_TILE)


def look_at(view: LayerView, tile: int = PREVIEW_TILE, halo: int = HALO, most: int = _MOST_VISIBLE) -> Sight:
    """List the tiles that a view shows, nearest to its centre first, then the ring around them.

    Args:
        view: View of the layer.
        tile: Edge of a core, pixels, a multiple of 64.
        halo: Context on every side, pixels, a multiple of 64.
        most: Number of visible tiles, at least 1, above which only these are listed, without a ring.
    """
    if (reason := _refusal(view)) is not None:
        return Sight(note=reason)
    rows, columns = (_span(view, view.axes.index(letter)) for letter in "YX")
    if rows is None or columns is None:
        return Sight(note="No preview: the layer is out of view.")
    wide = [(span[0] - tile, span[1] + tile) for span in (rows, columns)]
    tiles = tuple(_candidates(view.plane, tile, halo, *wide))
    centre = sum(rows) / 2, sum(columns) / 2
    visible = order_tiles((t for t in tiles if _meets(t, rows, columns)), centre)
    scope = [_reduced(view.reduction)] if view.reduction > 1 else []
    if view.thick:
        scope.append(_THICK)
    if len(visible) > most:
        scope.append(
            f"{len(visible)} parts are in view, the {most} nearest to its middle are previewed: zoom in."
        )
        chosen = visible = visible[:most]
    else:
        near = [t for t in tiles if _meets(t, *wide) and not _meets(t, rows, columns)]
        chosen = visible + order_tiles(near, centre)
    index = tuple(_position(view, axis) for axis in _leading(view.axes))
    count = max(1, view.colours)  # of requests for a tile: it is there when all of its colours are
    return Sight(
        _requests(view, index, chosen),
        len(visible) * count,
        scope=" ".join(scope),
        ahead=tuple(
            w for other in _next_planes(view, index) for w in _requests(view, other, visible[:_MOST_AHEAD])
        ),
    )


def _requests(view: LayerView, index: tuple[int, ...], tiles: Sequence[Tile]) -> tuple[TileRequest, ...]:
    if view.colours:  # each is a channel
        return tuple(
            TileRequest((*index, colour), colour, t) for t in tiles for colour in range(view.colours)
        )
    number = channel_axis("".join(view.axes[axis] for axis in _leading(view.axes)))
    channel = 0 if number is None else index[number]
    return tuple(TileRequest(index, channel, t) for t in tiles)


def _next_planes(view: LayerView, index: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Indices of the planes after and before one, in time and depth."""
    for step in (1, -1):
        for place, axis in enumerate(_leading(view.axes)):
            if view.axes[axis] in "TZ" and 0 <= index[place] + step < view.shape[axis]:
                yield (*index[:place], index[place] + step, *index[place + 1 :])


def _reduced(reduction: float) -> str:
    return (
        f"Zoomed out: the preview is of a copy at 1/{reduction:.3g} of the size, which has less noise. A run "
        "denoises the full image: zoom in to see what it does."
    )


def _refusal(view: LayerView) -> str | None:
    """Why the view cannot be previewed, or None."""
    if not {"Y", "X"} <= set(view.axes) or len(view.axes) != len(view.shape):
        return f"No preview: the layer needs one letter per axis with Y and X, found {view.axes!r}."
    if 0 in view.shape:
        return "No preview: the layer is empty."
    if len(view.displayed) != 2:
        return "No preview in 3-D: go to 2-D (Ctrl+Y), or click Denoise and look at the result in 3-D."
    shown = {view.axes[axis] for axis in view.displayed}
    if shown != {"Y", "X"}:
        found = " and ".join(sorted(shown))
        return f"No preview: the viewer shows the axes {found}, expected Y and X; roll or swap them back."
    for axis in _leading(view.axes):
        if not (math.isfinite(view.point[axis]) and 0 <= _position(view, axis) < view.shape[axis]):
            return f"No preview: the slider of axis {view.axes[axis]} stands outside the layer."
    return None


def _leading(axes: str) -> list[int]:
    return [axis for axis, letter in enumerate(axes) if letter not in "YX"]


def _position(view: LayerView, axis: int) -> int:
    return round(view.point[axis])


def _span(view: LayerView, axis: int) -> tuple[float, float] | None:
    """Half-open range in view along an axis, px of the full resolution; None if none of it is."""
    first, last = view.corners[0][axis], view.corners[1][axis]
    if not (math.isfinite(first) and math.isfinite(last)):
        return None
    scale = 1.0 if view.level_scale is None else view.level_scale[axis]
    start, stop = max(first * scale, 0.0), min((last + 1) * scale, float(view.shape[axis]))
    return (start, stop) if start < stop else None


def _meets(tile: Tile, rows: tuple[float, float], columns: tuple[float, float]) -> bool:
    """Whether the tile's core shares pixels with half-open ranges."""
    return tile.y0 < rows[1] and rows[0] < tile.y1 and tile.x0 < columns[1] and columns[0] < tile.x1


_planned = lru_cache(maxsize=16)(plan_tiles)  # the same plan at every pan


def _candidates(
    plane: tuple[int, int], tile: int, halo: int, rows: tuple[float, float], columns: tuple[float, float]
) -> Iterator[Tile]:
    """Tiles of a plane that may meet a range: not all of a plane of thousands are looked at."""
    tiles = _planned(plane, tile, halo)
    across = sum(t.y0 == 0 for t in tiles[: -(-plane[1] // tile)])  # the last column may be merged
    lines = range(max(0, int(rows[0] // tile) - 1), min(len(tiles) // across, int(rows[1] // tile) + 1))
    first, last = max(0, int(columns[0] // tile) - 1), min(across, int(columns[1] // tile) + 1)
    return (tiles[line * across + column] for line in lines for column in range(first, last))
