"""Planes before and after: where they are, how bright they are, and how each is read only once.

Neighbours are those of the whole series, whatever part of it is denoised, so that parts agree. Of a colour of
a picture they are the two other colours. A neighbour is brought to the brightness of the plane that it stands
beside by one factor for the whole plane: tiles agree about it, and the encoder never learns of bleaching or
of a flickering lamp.

The network sees one plane on either side. In time, where most of a scene stays, more than one says something:
the next but one is averaged into the nearer, as far as both agree around a pixel. At an end of a series what
lies beyond the only neighbour takes the place of the one that is missing.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial, reduce
from typing import Any, NamedTuple

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray

from napari_rdpdenoise.axes import COLOURS, has_colours, is_picture
from napari_rdpdenoise.codec.network_input import Neighbours, brightened, brightness_factor
from napari_rdpdenoise.io import ImageSource, Index
from napari_rdpdenoise.noise import NoiseModel, stabilize
from napari_rdpdenoise.noise.trend import Trend

__all__ = ["AXES", "Brightness", "PlaneRing", "adjacent", "neighbour_axes", "planes_settled"]

AXES = "TZS"
"""Axes along which planes can be neighbours: time, depth, and the colours of a picture."""

Side = tuple[Index, ...]
"""Indices of planes on one side of a plane, the nearest first."""

_REACH = {"T": 2}  # planes on either side that say something; along other axes one
_AGREEMENT = 7  # pairs of pixels, edge of the window in which it is looked whether two planes agree
_RING = 6  # planes: five that a tile asks for, and the next one
_RING_BYTES = 512 * 1024**2  # above it planes are read window by window, up to five times
_WHOLE = 1024  # px, edge of a plane whose brightness is measured on all of it
_WINDOW, _WINDOWS = 256, 3  # px, and number along an edge, of the windows of a larger one
_FACTORS = 4096  # pairs of planes that are remembered
_STRIP = 2**15  # pixels that are averaged at once: what a processor's cache holds


def neighbour_axes(axes: str, shape: Sequence[int]) -> str:
    """Letters of those axes of an image along which a plane has neighbours."""
    picture = is_picture(axes, shape)
    return "".join(
        letter
        for letter in AXES
        if letter in axes and (picture if has_colours(letter) else shape[axes.index(letter)] > 1)
    )


def adjacent(axes: str, shape: Sequence[int], index: Index, letter: str) -> tuple[Side, Side]:
    """Indices of the planes before and after one along an axis.

    Args:
        axes: Axes of the image.
        shape: Its shape.
        index: Index of the plane.
        letter: Axis along which planes are neighbours; colours have no end.

    Returns:
        Before and after, of each the nearest first; nothing where there is none.
    """
    place = axes.index(letter)
    here, count = index[place], shape[place]
    if has_colours(letter):
        sides = tuple([(here + step) % COLOURS] if here < COLOURS else [] for step in (-1, 1))
    else:
        sides = _sides(here, count, _REACH.get(letter, 1))
    before, after = (tuple((*index[:place], n, *index[place + 1 :]) for n in side) for side in sides)
    return before, after


def _sides(here: int, count: int, reach: int) -> tuple[list[int], list[int]]:
    """Numbers of the planes before and after one along an axis that ends, the nearest first."""
    before, after = (
        [n for n in (here + step * far for far in range(1, reach + 1)) if 0 <= n < count] for step in (-1, 1)
    )
    if before and after:
        return before, after
    # an end: the nearest alone on its side, and in the place of the others as many of those beyond it
    beyond = [
        n for n in (here + step * far for step in (-1, 1) for far in range(2, reach + 2)) if 0 <= n < count
    ]
    return (before[:1], beyond) if before else (beyond, after[:1])


def planes_settled(count: int) -> int:
    """How many planes of a series that grows in time have the neighbours that they have at its end.

    Args:
        count: Number of planes that are there.
    """
    reach = _REACH["T"]
    return count - reach if count > reach + 1 else 0  # the first looks one further


class _Noises(NamedTuple):
    """Noise of a channel, and how it changes from plane to plane."""

    shared: NoiseModel
    trend: Trend | None

    def at(self, index: Index) -> NoiseModel:
        """Noise of one plane."""
        return self.shared if self.trend is None else self.trend.at(index)


@dataclass
class Brightness:
    """Factors between planes of one series, each measured once; threads may share it."""

    _known: dict[tuple[Index, Index], float] = field(default_factory=dict)

    def neighbours(
        self,
        source: ImageSource,
        index: Index,
        window: tuple[slice, slice],
        letter: str,
        noise: NoiseModel,
        trend: Trend | None = None,
    ) -> Neighbours:
        """Planes before and after one, within a window, at its brightness.

        Args:
            source: Whole series, its invalid pixels filled.
            index: Index of the plane.
            window: Rows and columns, px.
            letter: Axis along which the planes are neighbours.
            noise: Noise of the channel, counts.
            trend: How noise changes from plane to plane; None for not at all. A plane whose noise is of quite
                another strength is no neighbour.

        Returns:
            Raw counts, float32 (rows, columns), with no more noise than a plane has; None where there is no
            such plane, and where all on a side are blank, or the plane itself again, in the window.
        """
        own = source.read(index, *window)
        noises = _Noises(noise, trend)
        before, after = (
            self._side(source, index, side, window, noises, own)
            for side in adjacent(source.metadata.axes, source.shape, index, letter)
        )
        return before, after

    def _side(
        self,
        source: ImageSource,
        index: Index,
        side: Side,
        window: tuple[slice, slice],
        noises: _Noises,
        own: NDArray[Any],
    ) -> NDArray[np.float32] | None:
        found: list[NDArray[np.float32]] = []
        factor, nearer, offset = 1.0, index, noises.shared.offset
        for other in side:
            pixels = source.read(other, *window)
            # a frame that was not taken, or that is there twice: its noise is that of the plane itself
            if _is_blank(pixels) or (np.array_equal(pixels[0], own[0]) and np.array_equal(pixels, own)):
                continue
            factor *= self.factor(source, nearer, other, offset)  # measured from plane to plane anyway
            nearer = other
            if noises.trend is None or noises.trend.alike(index, other, factor, offset):
                found.append(brightened(pixels, factor, offset))
        return reduce(partial(_averaged, noise=noises.at(index)), found) if found else None

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


def _is_blank(plane: NDArray[Any]) -> bool:
    """Whether all pixels are equal; most planes tell by their first row that they are not."""
    return all(part.min() == part.max() for part in (plane[0], plane))


def _averaged(near: NDArray[Any], far: NDArray[Any], noise: NoiseModel) -> NDArray[np.float32]:
    """Two planes of equal noise averaged around each pixel as far as they agree there; else the nearer.

    What differs beyond the noise is taken for an error of the farther plane, of that variance; weights of the
    least error follow from it.

    Args:
        near: Plane, raw counts.
        far: Plane of the same shape and brightness.
        noise: Noise of both.
    """
    share = np.empty((-(-near.shape[0] // 2), -(-near.shape[1] // 2)), np.float32)
    for seen, other, out in _strips(near, far, share):
        np.subtract(stabilize(_halved(seen), noise), stabilize(_halved(other), noise), out=out)
        np.square(out, out=out)
    share = _mean_of_window(share)
    averaged = np.empty(near.shape, np.float32)
    for seen, other, out, part in _strips(near, far, averaged, share):
        part -= 2 / 4  # beyond what four pixels' mean differs by
        np.maximum(part, 0, out=part)
        part += 2
        np.divide(1, part, out=part)
        np.subtract(other, seen, out=out)
        wide = np.empty((len(part), 2 * part.shape[1]), np.float32)
        wide[:, ::2] = wide[:, 1::2] = part
        for row in (0, 1):
            own = out[row::2]
            own *= wide[: len(own), : out.shape[1]]
        np.add(seen, out, out=out)
    return averaged


def _mean_of_window(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means of the pixels around each, those at the edges once more beyond them; in float64.

    `scipy.ndimage.uniform_filter`, but that no sum runs on along a whole line: twice as fast.
    """
    half, means = _AGREEMENT // 2, np.empty_like(image)
    padded = np.pad(image, half, mode="edge")
    rows = max(1, _STRIP // max(1, image.shape[1]))
    for start in range(0, len(image), rows):
        part = padded[start : start + rows + 2 * half].astype(np.float64)
        down = (_sum_of_seven(part) / _AGREEMENT).astype(np.float32).astype(np.float64)
        means[start : start + rows] = _sum_of_seven(down.T).T / _AGREEMENT
    return means


def _sum_of_seven(lines: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums of seven lines each, six fewer: of pairs, of pairs of these, and of one more."""
    two = lines[:-1] + lines[1:]
    sums = two[:-2] + two[2:]
    sums = sums[:-3] + two[4:-1]
    sums += lines[6:]
    return sums


def _strips(whole: NDArray[Any], *others: NDArray[Any]) -> Iterator[list[NDArray[Any]]]:
    """Parts of planes, and of those of half their height beside them: of an even number of rows."""
    height, width = whole.shape
    rows = 2 * max(1, _STRIP // (2 * max(1, width)))
    for start in range(0, height, rows):
        yield [
            array[start : start + rows] if len(array) == height else array[start // 2 : (start + rows) // 2]
            for array in (whole, *others)
        ]


def _halved(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means of 2x2 px, the last row and column twice where they are odd."""
    if image.shape[0] % 2 or image.shape[1] % 2:
        image = np.pad(image, [(0, n % 2) for n in image.shape], mode="edge")
    rows = image[::2] + image[1::2]
    return (rows[:, ::2] + rows[:, 1::2]) * np.float32(0.25)


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
