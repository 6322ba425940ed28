"""Planes before and after: where they are, how bright they are, and how each is read only once.

Neighbours are those of the whole series, whatever part of it is denoised, so that parts agree. Of a colour of
a picture they are the two other colours. A neighbour is brought to the brightness of the plane that it stands
beside by one factor for the whole plane: tiles agree about it, and the encoder never learns of bleaching or
of a flickering lamp.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray

from napari_rdpdenoise.axes import COLOURS, has_colours, is_picture
from napari_rdpdenoise.codec.network_input import Neighbours, brightened, brightness_factor
from napari_rdpdenoise.io import ImageSource, Index

__all__ = ["AXES", "Brightness", "PlaneRing", "adjacent", "neighbour_axes"]

AXES = "TZS"
"""Axes along which planes can be neighbours: time, depth, and the colours of a picture."""

_RING = 4  # planes: three that a tile asks for, and the next one
_RING_BYTES = 512 * 1024**2  # above it planes are read window by window, three times
_WHOLE = 1024  # px, edge of a plane whose brightness is measured on all of it
_WINDOW, _WINDOWS = 256, 3  # px, and number along an edge, of the windows of a larger one
_FACTORS = 4096  # pairs of planes that are remembered


def neighbour_axes(axes: str, shape: Sequence[int]) -> str:
    """Letters of those axes of an image along which a plane has neighbours."""
    picture = is_picture(axes, shape)
    return "".join(
        letter
        for letter in AXES
        if letter in axes and (picture if has_colours(letter) else shape[axes.index(letter)] > 1)
    )


def adjacent(axes: str, shape: Sequence[int], index: Index, letter: str) -> tuple[Index | None, Index | None]:
    """Indices of the planes before and after one along an axis; None beyond an end. Colours have no end."""
    place = axes.index(letter)
    here = index[place]
    if has_colours(letter):
        numbers = [(here + step) % COLOURS if here < COLOURS else -1 for step in (-1, 1)]
    else:
        numbers = [here + step for step in (-1, 1)]
    before, after = (
        (*index[:place], number, *index[place + 1 :]) if 0 <= number < shape[place] else None
        for number in numbers
    )
    return before, after


@dataclass
class Brightness:
    """Factors between planes of one series, each measured once; threads may share it."""

    _known: dict[tuple[Index, Index], float] = field(default_factory=dict)

    def neighbours(
        self, source: ImageSource, index: Index, window: tuple[slice, slice], letter: str, offset: float
    ) -> Neighbours:
        """Planes before and after one, within a window, at its brightness.

        Args:
            source: Whole series, its invalid pixels filled.
            index: Index of the plane.
            window: Rows and columns, px.
            letter: Axis along which the planes are neighbours.
            offset: Counts without light.

        Returns:
            Raw counts, float32 (rows, columns); None beyond an end, and where a plane is blank in the window.
        """
        before, after = (
            None if other is None else self._read(source, index, other, window, offset)
            for other in adjacent(source.metadata.axes, source.shape, index, letter)
        )
        return before, after

    def _read(
        self, source: ImageSource, index: Index, other: Index, window: tuple[slice, slice], offset: float
    ) -> NDArray[np.float32] | None:
        pixels = source.read(other, *window)
        if pixels.min() == pixels.max():
            return None  # a frame that was not taken
        return brightened(pixels, self.factor(source, index, other, offset), offset)

    def factor(self, source: ImageSource, index: Index, other: Index, offset: float) -> float:
        """How many times brighter plane ``index`` is than plane ``other``.

        Args:
            source: Whole series, its invalid pixels filled.
            index: Index of the plane.
            other: Index of its neighbour.
            offset: Counts without light.
        """
        known = self._known.get((index, other))
        if known is None:
            places = _places(source.shape[-2], source.shape[-1])
            others, planes = ([source.read(i, *place) for place in places] for i in (other, index))
            known = brightness_factor(others, planes, offset)
            if len(self._known) >= _FACTORS:
                self._known.clear()
            self._known[(index, other)] = known
        return known


def _places(height: int, width: int) -> list[tuple[slice, slice]]:
    if height * width <= _WHOLE**2:
        return [(slice(0, height), slice(0, width))]
    rows, columns = ([slice(n, n + _WINDOW) for n in _starts(size)] for size in (height, width))
    return [(y, x) for y in rows for x in columns]


def _starts(size: int) -> list[int]:
    starts = np.linspace(0, max(0, size - _WINDOW), _WINDOWS)
    return [int(start) for start in np.unique(starts.astype(int))]


class PlaneRing:
    """A source that reads whole planes and keeps the last few, so that neighbours are read once.

    Args:
        source: Source of planes that are asked for in the order of a series.
    """

    def __init__(self, source: ImageSource) -> None:
        self._source = source
        self.shape, self.dtype, self.metadata = source.shape, source.dtype, source.metadata
        self._planes: LRUCache[Index, NDArray[Any]] = LRUCache(_RING)
        self._lock = threading.Lock()

    @staticmethod
    def fits(source: ImageSource) -> bool:
        """Whether so many planes of a source may be held in memory."""
        height, width = source.shape[-2:]
        return _RING * height * width * source.dtype.itemsize <= _RING_BYTES

    def read(self, index: Index, y: slice, x: slice) -> NDArray[Any]:
        """Read one block."""
        with self._lock:
            plane = self._planes.get(index)
            if plane is None:
                height, width = self.shape[-2:]
                plane = self._planes[index] = self._source.read(index, slice(0, height), slice(0, width))
        return plane[y, x]

    def read_invalid(self, index: Index, y: slice, x: slice) -> NDArray[np.bool_] | None:
        """Pixels of a block that the user declares invalid; None for none."""
        read = getattr(self._source, "read_invalid", None)
        return None if read is None else read(index, y, x)

    def close(self) -> None:
        """Close the source."""
        self._source.close()

    def fingerprint(self) -> str:
        """Identity of the source's content."""
        return self._source.fingerprint()
