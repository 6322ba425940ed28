"""Arrays that are computed when a viewer slices them: what all of them share. No Qt, nothing is held here."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Sliced", "SlicedPlanes", "full_key"]


class Sliced(ABC):
    """What napari asks of an array: shape, dtype, slices on demand.

    Attributes:
        shape: Pixels per axis.
        dtype: Type of every slice.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

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

    def __getitem__(self, key: Any) -> NDArray[Any]:
        """Read like a NumPy array, with integers, slices and an ellipsis; raises as `full_key`."""
        return self._read(full_key(key, self.shape))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """The whole array in memory."""
        whole = self[...]
        return whole if dtype is None else whole.astype(dtype, copy=False)


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
