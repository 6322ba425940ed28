"""What every image input looks like to the rest of the package, and the checks all readers share.

A *source* always presents its axes (`napari_rdpdenoise.axes`) canonically: those other than Y and X in the
order they were found, then Y, then X, so that ``YXS`` is presented as ``SYX``. An *index* is one integer per
leading axis; an index and two slices name a block of one plane, the only thing that is ever read.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from itertools import product
from typing import Protocol, overload, runtime_checkable

import numpy as np

from napari_rdpdenoise.axes import channel_axis
from napari_rdpdenoise.io.metadata import ImageMetadata

__all__ = [
    "SUPPORTED_DTYPES",
    "ImageMetadata",
    "ImageSource",
    "Index",
    "Layout",
    "SelectedSource",
    "check_dtype",
    "check_shape",
    "check_slice",
    "planes",
]

Index = tuple[int, ...]

SUPPORTED_DTYPES = ("uint8", "uint16", "uint32", "int8", "int16", "int32", "float16", "float32", "float64")


@runtime_checkable
class ImageSource(Protocol):
    """A lazily read image of canonical axes; ``read`` may be called from several threads."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes in the order of ``metadata.axes``, in pixels for the last two."""

    @property
    def dtype(self) -> np.dtype:
        """Sample type in native byte order."""

    @property
    def metadata(self) -> ImageMetadata:
        """Axes, scale, units, channel names and name."""

    def read(self, index: Index, y: slice, x: slice) -> np.ndarray:
        """Read one block of one plane: shape ``(rows, columns)``, the source's dtype, raw counts."""

    def close(self) -> None:
        """Release files; reading afterwards is an error."""

    def fingerprint(self) -> str:
        """Identity of the content as hex text: other content gives another text."""


def check_shape(shape: Sequence[int]) -> tuple[int, ...]:
    """Return the shape as plain integers.

    Raises:
        ValueError: If a dimension is empty or not known, or there are fewer than two.
    """
    if any(size != size for size in shape):  # NaN, of dask arrays
        raise ValueError(
            f"image: expected a known shape, found {tuple(shape)}; call compute_chunk_sizes() on it first"
        )
    sizes = tuple(int(size) for size in shape)
    if len(sizes) < 2:
        raise ValueError(f"image: expected at least 2 dimensions (Y, X), found shape {sizes}")
    if min(sizes) < 1:
        raise ValueError(f"image: expected at least one pixel along every axis, found shape {sizes}")
    return sizes


def check_dtype(dtype: np.dtype | str) -> np.dtype:
    """Return the dtype in native byte order.

    Raises:
        TypeError: If it is not an 8-, 16- or 32-bit integer or a 16-, 32- or 64-bit float.
    """
    found = np.dtype(dtype).newbyteorder("=")
    if found.name not in SUPPORTED_DTYPES:
        remedy = {
            "b": "a mask holds no noise to remove; give the image it was made from",
            "c": "give its real part, magnitude or phase",
            "i": "convert it to int32 or uint16 first",
            "u": "convert it to uint32 or uint16 first",
        }.get(found.kind, "convert it to a numeric type first")
        raise TypeError(f"image: expected dtype {', '.join(SUPPORTED_DTYPES)}, found {found.name}; {remedy}")
    return found


@dataclass(frozen=True)
class Layout:
    """How an array as stored, in any order of axes such as ``"YXS"``, maps to the canonical order."""

    stored_axes: str
    stored_shape: tuple[int, ...]

    @property
    def axes(self) -> str:
        """Canonical axes: the leading axes in stored order, then YX."""
        return "".join(letter for letter in self.stored_axes if letter not in "YX") + "YX"

    @property
    def shape(self) -> tuple[int, ...]:
        """Canonical shape."""
        return tuple(self.stored_shape[self.stored_axes.index(letter)] for letter in self.axes)

    def key(self, index: Index, y: slice, x: slice) -> tuple[int | slice, ...]:
        """Selection in stored order for one block.

        Raises:
            IndexError: If the index does not name a plane.
        """
        leading, sizes = self.axes[:-2], self.shape
        if len(index) != len(leading) or any(not 0 <= i < n for i, n in zip(index, sizes, strict=False)):
            expected = f"one integer per axis {leading!r} below {sizes[:-2]}"
            raise IndexError(f"index: expected {expected}, found {index}")
        where: dict[str, int | slice] = {letter: int(i) for letter, i in zip(leading, index, strict=True)}
        where["Y"], where["X"] = check_slice(y, sizes[-2]), check_slice(x, sizes[-1])
        return tuple(where[letter] for letter in self.stored_axes)

    def orient(self, block: np.ndarray) -> np.ndarray:
        """Turn a block read by ``key`` so that rows are Y."""
        return block.T if self.stored_axes.index("X") < self.stored_axes.index("Y") else block


def check_slice(part: slice, size: int) -> slice:
    """Return the slice with plain bounds inside ``0..size``.

    Raises:
        IndexError: If it is stepped.
    """
    start, stop, step = part.indices(size)
    if step != 1:
        raise IndexError(f"slice: expected a step of 1 pixel, found {step}")
    return slice(start, max(start, stop))


def planes(
    source: ImageSource, channels: Sequence[int] | None = None, time: tuple[int, int] | None = None
) -> Sequence[Index]:
    """Indices of the planes of a source, last leading axis fastest; made when they are asked for.

    ``channels`` are the positions on the channel axis to keep, ``time`` is a half-open range; None for all.

    Raises:
        ValueError: If a channel or the time range is not in the image.
    """
    return _Planes(_choices(source, channels, time))


class _Planes(Sequence[Index]):
    """All combinations of one choice per leading axis, without holding them."""

    def __init__(self, choices: list[Sequence[int]]) -> None:
        self._choices = choices
        self._count = math.prod(map(len, choices))

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Index]:
        return product(*self._choices)

    @overload
    def __getitem__(self, number: int) -> Index: ...

    @overload
    def __getitem__(self, number: slice) -> Sequence[Index]: ...

    def __getitem__(self, number: int | slice) -> Index | Sequence[Index]:
        if isinstance(number, slice):
            return [self[k] for k in range(*number.indices(self._count))]
        number = range(self._count)[number]
        index = []
        for choice in reversed(self._choices):
            number, place = divmod(number, len(choice))
            index.append(choice[place])
        return tuple(reversed(index))


def _choices(
    source: ImageSource, channels: Sequence[int] | None, time: tuple[int, int] | None
) -> list[Sequence[int]]:
    axes, shape = source.metadata.axes, source.shape
    choices: list[Sequence[int]] = [range(size) for size in shape[:-2]]
    if channels is not None:
        axis = channel_axis(axes)
        count = 1 if axis is None else shape[axis]
        wrong = [c for c in channels if not 0 <= c < count]
        if wrong or not channels or len(set(channels)) != len(channels):
            raise ValueError(
                f"channels: expected different numbers from 0 to {count - 1}, found {tuple(channels)}; "
                f"the image has axes {axes} and shape {shape}"
            )
        if axis is not None:
            choices[axis] = list(channels)
    if time is not None:
        count = shape[axes.index("T")] if "T" in axes else 1
        if not 0 <= time[0] < time[1] <= count:
            raise ValueError(
                f"time: expected a range A:B with 0 <= A < B <= {count}, found {time[0]}:{time[1]}; "
                f"the image has axes {axes} and shape {shape}"
            )
        if "T" in axes:
            choices[axes.index("T")] = range(*time)
    return choices


class SelectedSource:
    """Some channels and time points of a source, itself a source; closing it closes the source."""

    def __init__(
        self, source: ImageSource, channels: Sequence[int] | None = None, time: tuple[int, int] | None = None
    ) -> None:
        self._source = source
        self._choices = _choices(source, channels, time)
        self.metadata = source.metadata.selected(self._choices, source.shape)
        self.shape = (*(len(choice) for choice in self._choices), *source.shape[-2:])
        self.dtype = source.dtype

    def original(self, index: Index) -> Index:
        """Index in the underlying source of a plane of the selection."""
        return tuple(choice[i] for choice, i in zip(self._choices, index, strict=True))

    @property
    def whole(self) -> ImageSource:
        """The source that is selected from."""
        return self._source

    def over(self, source: ImageSource) -> SelectedSource:
        """The same selection of another source of the same image."""
        other = copy(self)
        other._source = source
        return other

    def read(self, index: Index, y: slice, x: slice) -> np.ndarray:
        """Read one block; the index counts within the selection."""
        return self._source.read(self.original(index), y, x)

    def read_invalid(self, index: Index, y: slice, x: slice) -> np.ndarray | None:
        """Pixels of a block that the user declares invalid; None for none."""
        read = getattr(self._source, "read_invalid", None)
        return None if read is None else read(self.original(index), y, x)

    def close(self) -> None:
        """Close the underlying source."""
        self._source.close()

    def fingerprint(self) -> str:
        """Identity of the source and of the selection."""
        parts = (self._source.fingerprint(), *(str(list(choice)) for choice in self._choices))
        return hashlib.blake2b("|".join(parts).encode(), digest_size=16).hexdigest()
