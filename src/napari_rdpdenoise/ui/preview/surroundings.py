"""The noisy image around what is denoised of it, read block by block as a viewer looks at it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray

from napari_rdpdenoise.axes import has_colours

__all__ = ["Nothing", "Surroundings", "overlap"]

_BLOCK = 512  # px, edge of what is read at once


class Nothing:
    """An image of zeros that takes no memory, float32; ``shape`` in pixels."""

    def __init__(self, shape: Sequence[int]) -> None:
        self.shape, self.dtype = tuple(shape), np.dtype(np.float32)

    def __getitem__(self, key: Any) -> NDArray[np.float32]:
        """Zeros of the shape of what is taken."""
        return np.broadcast_to(np.float32(0), self.shape)[key]


class Surroundings:
    """Blocks of the noisy image, each read once while it is remembered.

    Args:
        data: Array of one resolution.
        axes: Its axes; colours (S) last.
        stride: Step in pixels along Y and X.
        kept: Cache of blocks, which other resolutions may share.
        lock: Lock of that cache.
    """

    def __init__(
        self, data: Any, axes: str, stride: int, kept: LRUCache[Any, NDArray[Any]], lock: threading.RLock
    ) -> None:
        self.dtype, self.stride = np.dtype(data.dtype), stride
        self.shape = tuple(
            -(-int(size) // stride) if letter in "YX" else int(size)
            for size, letter in zip(data.shape, axes, strict=True)
        )
        self._data, self._axes, self._kept, self._lock = data, axes, kept, lock
        self._plane = tuple(self.shape[axes.index(letter)] for letter in "YX")

    def region(self, place: tuple[int, ...], rows: slice, columns: slice) -> NDArray[Any]:
        """Pixels (rows, columns), with colours on a last axis; ``place`` has a number per other axis."""
        spans = [_blocks_of(part.start, part.stop) for part in (rows, columns)]
        with self._lock:
            keys = [(y, x) for y in spans[0] for x in spans[1]]
            missing = [key for key in keys if (id(self), place, *key) not in self._kept]
            fresh = self._load(place, missing) if missing else {}
            colours = (self.shape[-1],) if has_colours(self._axes) else ()
            shape = (rows.stop - rows.start, columns.stop - columns.start, *colours)
            out = np.empty(shape, self.dtype)
            for y, x in keys:
                block = fresh[y, x] if (y, x) in fresh else self._kept[id(self), place, y, x]
                overlap(out, (rows.start, columns.start), block, (y * _BLOCK, x * _BLOCK))
        return out

    def _load(
        self, place: tuple[int, ...], missing: Sequence[tuple[int, int]]
    ) -> dict[tuple[int, int], NDArray[Any]]:
        """Read the box around blocks at once, and keep them."""
        box = [(min(part), max(part) + 1) for part in zip(*missing, strict=True)]
        spans = [
            slice(first * _BLOCK, min(last * _BLOCK, size))
            for (first, last), size in zip(box, self._plane, strict=True)
        ]
        pixels, found = self._read(place, *spans), {}
        for y, x in missing:
            top, left = (y - box[0][0]) * _BLOCK, (x - box[1][0]) * _BLOCK
            block = found[y, x] = pixels[top : top + _BLOCK, left : left + _BLOCK].copy()
            with suppress(ValueError):  # above the whole budget
                self._kept[id(self), place, y, x] = block
        return found

    def _read(self, place: tuple[int, ...], rows: slice, columns: slice) -> NDArray[Any]:
        numbers, step = iter(place), self.stride
        parts = {
            letter: slice(part.start * step, part.stop * step, step)
            for letter, part in (("Y", rows), ("X", columns))
        }
        key = tuple(
            slice(None) if has_colours(letter) else parts[letter] if letter in parts else next(numbers)
            for letter in self._axes
        )
        pixels = np.asarray(self._data[key])
        return pixels.swapaxes(0, 1) if self._axes.index("X") < self._axes.index("Y") else pixels


def overlap(out: NDArray[Any], at: tuple[int, int], block: NDArray[Any], place: tuple[int, int]) -> None:
    """Copy what a block and an array share; ``at`` and ``place`` are their first rows and columns."""
    target, source = [], []
    for axis in (0, 1):
        first = max(at[axis], place[axis])
        last = min(at[axis] + out.shape[axis], place[axis] + block.shape[axis])
        if first >= last:
            return
        target.append(slice(first - at[axis], last - at[axis]))
        source.append(slice(first - place[axis], last - place[axis]))
    out[tuple(target)] = block[tuple(source)]


def _blocks_of(start: int, stop: int) -> range:
    return range(start // _BLOCK, -(-stop // _BLOCK))
