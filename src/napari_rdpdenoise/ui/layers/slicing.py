"""Arrays that are computed when a viewer slices them: what all of them share. No Qt, nothing is held here."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Deferred", "Sliced", "SlicedPlanes", "full_key"]


class Sliced(ABC):
    """What napari asks of an array: shape, dtype, slices on demand.

    Attributes:
        shape: Pixels per axis.
        dtype: Type of every slice.
        deferred: Axes of which one place is taken in the end: what takes more of them is not read yet. Of a
            pyramid a viewer cuts what is in view out of all planes, and takes one plane of that.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    deferred: tuple[int, ...] = ()

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of pixels."""
        return math.prod(self.shape)

    @abstractmethod
    def _read(self, full: tuple[Any, ...]) -> NDArray[Any]:
        """What a full key takes: one integer from 0 or slice per axis."""

    def __getitem__(self, key: Any) -> Any:
        """Read like a NumPy array, with integers, slices and an ellipsis; raises as `full_key`."""
        full = full_key(key, self.shape)
        if any(isinstance(full[axis], slice) for axis in self.deferred):
            return Deferred(self, full)
        return self._read(full)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """The whole array in memory."""
        whole = self._read((slice(None),) * self.ndim)
        return whole if dtype is None else whole.astype(dtype, copy=False)


class Deferred(Sliced):
    """A part of such an array, which is read when it is sliced further.

    Args:
        whole: Array.
        full: Integer from 0 or slice per axis of it, with steps of 1 or more.
    """

    def __init__(self, whole: Sliced, full: tuple[Any, ...]) -> None:
        self._whole, self._full, self.dtype = whole, full, whole.dtype
        self._open = [axis for axis, part in enumerate(full) if isinstance(part, slice)]
        self.shape = tuple(len(range(whole.shape[axis])[full[axis]]) for axis in self._open)

    def __getitem__(self, key: Any) -> Any:
        """Slice further; raises as `full_key`."""
        return self._whole[self._inside(full_key(key, self.shape))]

    def _read(self, full: tuple[Any, ...]) -> NDArray[Any]:
        return self._whole._read(self._inside(full))

    def _inside(self, full: tuple[Any, ...]) -> tuple[Any, ...]:
        """The key of the whole array that a full key of this part means."""
        found = list(self._full)
        for axis, part in zip(self._open, full, strict=True):
            taken = range(self._whole.shape[axis])[self._full[axis]][part]
            found[axis] = (
                slice(taken.start, taken.stop, taken.step) if isinstance(taken, range) else int(taken)
            )
        return tuple(found)


class SlicedPlanes(Sliced):
    """Such an array with axes, among them Y and X, of which single planes (height, width) are known."""

    def __init__(self, shape: Sequence[int], axes: str, dtype: np.dtype[Any]) -> None:
        self.shape, self.dtype = tuple(int(size) for size in shape), dtype
        self._y, self._x = axes.index("Y"), axes.index("X")
        self._leading = [axis for axis, letter in enumerate(axes) if letter not in "YX"]

    def _read_shape(self, full: tuple[Any, ...]) -> tuple[int, ...]:
        """Shape of what a full key takes: integers have no axis in it."""
        parts = zip(self.shape, full, strict=True)
        return tuple(len(range(size)[part]) for size, part in parts if isinstance(part, slice))

    def _part(self, plane: NDArray[Any], full: tuple[Any, ...]) -> NDArray[Any]:
        """What a full key takes of one plane (height, width), in the order of the axes."""
        part = plane[full[self._y], full[self._x]]
        return part.T if self._x < self._y else part

    def _overlay(
        self, out: NDArray[Any], full: tuple[Any, ...], index: tuple[int, ...], plane: NDArray[Any]
    ) -> None:
        """Put a plane (height, width) where the result of a full key shows it, if it does."""
        places = dict(zip(self._leading, index, strict=True))
        target: list[Any] = []
        for axis, part in enumerate(full):
            taken = range(self.shape[axis])[part] if isinstance(part, slice) else (part,)
            if axis in places and places[axis] not in taken:
                return
            if isinstance(part, slice):
                target.append(taken.index(places[axis]) if axis in places else slice(None))
        out[tuple(target)] = self._part(plane, full)


def full_key(key: Any, shape: Sequence[int]) -> tuple[Any, ...]:
    """One integer from 0 or slice per axis.

    Args:
        key: Integers, slices and at most one ellipsis, as between brackets.
        shape: Shape of the array, pixels.

    Raises:
        IndexError: If the key holds anything else, too much, or a place outside.
    """
    parts = list(key) if isinstance(key, tuple) else [key]
    places = [place for place, part in enumerate(parts) if part is Ellipsis]
    if not places:
        places, parts = [len(parts)], [*parts, Ellipsis]
    missing = len(shape) - (len(parts) - 1)
    if len(places) > 1 or missing < 0:
        raise IndexError(f"key: expected at most {len(shape)} integers or slices, found {key!r}")
    parts[places[0] : places[0] + 1] = [slice(None)] * missing
    return tuple(_check(part, size) for part, size in zip(parts, shape, strict=True))


def _check(part: Any, size: int) -> Any:
    if isinstance(part, slice):
        return part
    if isinstance(part, bool | np.bool_) or not isinstance(part, int | np.integer):
        raise IndexError(
            f"key: expected integers and slices, found {part!r}; make an array with numpy.asarray first"
        )
    return range(size)[int(part)]
