"""Layers as stacks of planes, and how a reference is laid beside a noisy stack. No Qt here."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Box", "SeriesPlane", "Stack", "box_of", "overlap", "series_planes"]

Box = tuple[slice, slice]


class SeriesPlane(NamedTuple):
    """One plane of a series to be measured.

    Attributes:
        where: Index of the plane: one number per axis beside Y and X.
        result: Raw counts, (height, width).
        reference: Clean plane, same shape, any linear scale.
        noisy: Noisy plane, same shape, whose scale the reference is put on; None for the result's.
    """

    where: tuple[int, ...]
    result: NDArray[Any]
    reference: NDArray[Any]
    noisy: NDArray[Any] | None = None


@dataclass(frozen=True)
class Stack:
    """The array of an image layer with its axes.

    Attributes:
        name: Name of the layer, for messages.
        data: Array at full resolution (NumPy, dask, zarr, the preview's canvas).
        axes: One upper-case letter per axis, such as "TYX"; no colours.
    """

    name: str
    data: Any
    axes: str

    @property
    def leading(self) -> tuple[int, ...]:
        """Sizes of the axes beside Y and X, in the layer's order."""
        return tuple(
            int(n) for n, letter in zip(self.data.shape, self.axes, strict=True) if letter not in "YX"
        )

    @property
    def plane_shape(self) -> tuple[int, int]:
        """Height and width, px."""
        return int(self.data.shape[self.axes.index("Y")]), int(self.data.shape[self.axes.index("X")])

    def plane(self, index: tuple[int, ...], frame: Box | None = None) -> NDArray[Any]:
        """One plane, (height, width), with one number per axis beside Y and X; or a frame of it."""
        numbers = iter(index)
        parts = dict(zip("YX", frame or (slice(None), slice(None)), strict=True))
        where = tuple(parts[letter] if letter in parts else next(numbers) for letter in self.axes)
        pixels = np.asarray(self.data[where])
        return pixels.T if self.axes.index("X") < self.axes.index("Y") else pixels

    def beside(self, noisy: Stack, index: tuple[int, ...], frame: Box | None = None) -> NDArray[Any]:
        """The plane of this reference that belongs to plane ``index`` of a noisy stack, or a frame of it.

        A reference of a single plane belongs to all of them. A ValueError says that the shapes do not fit.
        """
        single = math.prod(self.leading) == 1
        if self.plane_shape != noisy.plane_shape or not (single or self.leading == noisy.leading):
            whole = (*noisy.leading, *noisy.plane_shape)
            raise ValueError(
                f"reference: expected the shape of {noisy.name}, {whole}, or one plane of "
                f"{noisy.plane_shape}, found {(*self.leading, *self.plane_shape)} in {self.name}; "
                "crop it or choose another layer"
            )
        return self.plane((0,) * len(self.leading) if single else index, frame)


def series_planes(result: Stack, reference: Stack, noisy: Stack | None) -> Iterator[SeriesPlane]:
    """The planes of a result that are done, with what they are measured against.

    Args:
        result: Result of a run or a preview, of which only planes that are done throughout are taken.
        reference: Clean stack; one plane or as many as the result.
        noisy: Stack that was denoised, if it is at hand; it is left out where its shape differs.

    Raises:
        ValueError: If the reference does not fit.
    """
    done = getattr(result.data, "done", None)  # a preview's canvas knows; an array is done everywhere
    if noisy is not None and (noisy.leading, noisy.plane_shape) != (result.leading, result.plane_shape):
        noisy = None
    for index in np.ndindex(*result.leading):
        if done is None or done(index).all():
            given = None if noisy is None else noisy.plane(index)
            yield SeriesPlane(index, result.plane(index), reference.beside(result, index), given)


def overlap(first: Box | None, second: Box | None) -> Box | None:
    """Rows and columns that both boxes hold; None for none, or if one is None."""
    if first is None or second is None:
        return None
    both = [slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(first, second, strict=True)]
    return (both[0], both[1]) if all(part.stop > part.start for part in both) else None


def box_of(corners: ArrayLike, plane: tuple[int, int]) -> Box:
    """The pixels of a plane whose centres lie within the bounding box of some corners.

    Args:
        corners: Array (N, 2), row and column, pixels; a pixel's centre is a whole number.
        plane: Height and width, px.

    Raises:
        ValueError: If no pixel lies within.
    """
    found = np.asarray(corners, dtype=np.float64)
    low = np.maximum(np.ceil(found.min(axis=0)), 0)
    high = np.minimum(np.floor(found.max(axis=0)), np.asarray(plane) - 1)
    if (high < low).any():
        raise ValueError(
            f"region: expected a shape that covers pixels of the {plane[0]} x {plane[1]} px plane, found one "
            f"from {found.min(axis=0).round(1).tolist()} to {found.max(axis=0).round(1).tolist()}; "
            "draw it on the image"
        )
    return slice(int(low[0]), int(high[0]) + 1), slice(int(low[1]), int(high[1]) + 1)
