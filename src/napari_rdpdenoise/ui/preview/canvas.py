"""The result layer of the preview: an array that fills in, plane by plane, and is the noisy image until then.

A viewer slices it like any array. Only planes that were previewed are held, within a byte budget; all others
are read from the noisy data when they are looked at, so nothing of the size of the stack is ever allocated.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_rdpdenoise.axes import check_axes
from napari_rdpdenoise.io.source import check_dtype
from napari_rdpdenoise.tiles import GRID, Tile
from napari_rdpdenoise.ui.layers.slicing import SlicedPlanes, full_key
from napari_rdpdenoise.ui.preview.viewport import TileRequest

__all__ = ["Canvas"]

GIB = 1024**3


@dataclass
class _Plane:
    pixels: NDArray[Any]
    done: NDArray[np.bool_]  # per block of the grid, on which all cores lie


class Canvas(SlicedPlanes):
    """Array of the noisy layer's axes and shape; previewed tiles are written into it.

    ``index`` below is one number per axis beside Y and X, in the layer's order; a plane is (height, width).

    Args:
        data: Full-resolution array of the noisy layer (NumPy, dask, zarr).
        axes: Axes, one upper-case letter each, such as "TYX".
        dtype: Type of the result; None for that of the data.
        memory_bytes: Budget for planes beside the one in use.

    Raises:
        ValueError: If the axes do not fit.
        TypeError: If a dtype is not supported.
    """

    def __init__(
        self, data: Any, axes: str, dtype: np.dtype | str | None = None, memory_bytes: int = GIB
    ) -> None:
        kind = check_dtype(data.dtype if dtype is None else dtype)
        super().__init__(data.shape, check_axes(axes, len(data.shape)), kind)
        self._data, self._budget = data, memory_bytes
        self._planes: OrderedDict[tuple[int, ...], _Plane] = OrderedDict()
        self._lock = threading.RLock()

    def plane(self, index: tuple[int, ...]) -> NDArray[Any]:
        """The pixels of one plane, to be written to; noisy where nothing was put yet."""
        return self._get(index).pixels

    def board(self, level: int) -> Canvas:
        """What is denoised of one resolution of the image; a canvas is that of the finest, the only one."""
        return self

    def part(self, index: tuple[int, ...], tile: Tile) -> NDArray[Any]:
        """The core of a tile in one plane (height, width), to be written to."""
        return self.plane(index)[tile.core]

    def mark(self, index: tuple[int, ...], tiles: Iterable[Tile]) -> None:
        """Note that the cores of tiles hold the result."""
        done = self._get(index).done
        for tile in tiles:
            done[_blocks(tile.y0, tile.y1), _blocks(tile.x0, tile.x1)] = True

    def done(self, index: tuple[int, ...]) -> NDArray[np.bool_]:
        """Which pixels of a plane hold the result: bool (height, width)."""
        height, width = self.shape[self._y], self.shape[self._x]
        with self._lock:
            plane = self._planes.get(index)
        if plane is None:
            return np.zeros((height, width), np.bool_)
        return plane.done.repeat(GRID, axis=0).repeat(GRID, axis=1)[:height, :width]

    def share_done(self, index: tuple[int, ...], tiles: Iterable[Tile]) -> float:
        """Share of the tiles' core pixels that hold the result, 0 to 1; 1 for no tiles."""
        with self._lock:
            plane = self._planes.get(index)
        total = found = 0
        for tile in tiles:
            pixels = tile.core_shape[0] * tile.core_shape[1]
            total += pixels
            if plane is not None and plane.done[_blocks(tile.y0, tile.y1), _blocks(tile.x0, tile.x1)].all():
                found += pixels
        return found / total if total else 1.0

    def restart(self, in_view: Iterable[TileRequest] = ()) -> None:
        """Count everything as not done, because other settings hold; the pixels stay until they are replaced.

        Planes that are not in use are dropped, whatever is in view.
        """
        with self._lock:
            while len(self._planes) > 1:
                self._planes.popitem(last=False)
            for plane in self._planes.values():
                plane.done[:] = False

    def done_at(self, key: Any) -> NDArray[np.bool_]:
        """Which pixels hold the result: bool, of the shape of ``self[key]``."""
        full = full_key(key, self.shape)
        out = np.zeros(self._read_shape(full), np.bool_)
        with self._lock:
            held = list(self._planes)
        for index in held:
            if all(index[n] == full[a] or isinstance(full[a], slice) for n, a in enumerate(self._leading)):
                self._overlay(out, full, index, self.done(index))
        return out

    def _read(self, full: tuple[Any, ...]) -> NDArray[Any]:
        """What a full key takes.

        One plane is a view where it is held, so that what is put later shows without slicing again.
        """
        if all(isinstance(full[axis], int) for axis in self._leading):
            with self._lock:
                plane = self._planes.get(tuple(full[axis] for axis in self._leading))
            if plane is not None:
                return self._part(plane.pixels, full)
        out = np.asarray(self._data[full]).astype(self.dtype)  # a copy, also of the same dtype
        with self._lock:
            held = list(self._planes.items())
        for index, plane in held:
            self._overlay(out, full, index, plane.pixels)
        return out

    def _get(self, index: tuple[int, ...]) -> _Plane:
        """The plane, made from the noisy data if it is not held; now the one in use."""
        with self._lock:
            plane = self._planes.get(index)
            if plane is None:
                plane = self._planes[index] = self._make(index)
            self._planes.move_to_end(index)
            size = plane.pixels.nbytes
            while len(self._planes) > 1 and (len(self._planes) - 1) * size > self._budget:
                self._planes.popitem(last=False)
            return plane

    def _make(self, index: tuple[int, ...]) -> _Plane:
        where: list[Any] = [slice(None)] * self.ndim
        for axis, position in zip(self._leading, index, strict=True):
            where[axis] = range(self.shape[axis])[position]
        pixels = np.asarray(self._data[tuple(where)])
        pixels = (pixels.T if self._x < self._y else pixels).astype(self.dtype, order="C")
        blocks = tuple(-(-self.shape[axis] // GRID) for axis in (self._y, self._x))
        return _Plane(pixels, np.zeros(blocks, np.bool_))


def _blocks(start: int, stop: int) -> slice:
    return slice(start // GRID, -(-stop // GRID))
