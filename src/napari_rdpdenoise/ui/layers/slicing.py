"""Arrays that are computed when a viewer slices them: what all of them share. No Qt, nothing is held here."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Sliced", "full_key"]


class Sliced(ABC):
    """What napari asks of an array: shape, dtype, slices on demand.

    Attributes:
        shape: pixels per axis.
        dtype: of every slice.
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
        """Read like a NumPy array, with integers, slices and an ellipsis.

        Raises:
            IndexError: if the key holds anything else, too much, or a place outside.
        """
        return self._read(full_key(key, self.shape))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """The whole array in memory."""
        whole = self[...]
        return whole if dtype is None else whole.astype(dtype, copy=False)


def full_key(key: Any, shape: Sequence[int]) -> tuple[Any, ...]:
    """One integer from 0 or slice per axis.

    Args:
        key: what stands between the brackets: integers, slices and at most one ellipsis.
        shape: of the array, pixels.

    Raises:
        IndexError: if the key holds anything else, too much, or a place outside.
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
