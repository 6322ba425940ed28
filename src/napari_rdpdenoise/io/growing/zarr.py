"""A Zarr along whose time axis a microscope is still writing.

The shape says which time points there may be: of an array that is made longer from time to time those that
were written, of one that was made at its full length all that are planned. Whether one is complete, its
chunks say::

    row of chunks   all there     next row begun, or the writer is done       taken
                    all there     nothing changed for a time                  taken
                    some there    one of these, and nothing changed           taken: missing ones are empty
                    none there    a later row begun, and nothing changed      taken: it is empty
"""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from napari_rdpdenoise.io.arrays import ArraySource
from napari_rdpdenoise.io.growing.stillness import State, Stillness, file_state, why_unreadable
from napari_rdpdenoise.io.metadata import ImageMetadata
from napari_rdpdenoise.io.ome_zarr.decoded_chunks import DecodedChunks
from napari_rdpdenoise.io.ome_zarr.reader import zarr_array
from napari_rdpdenoise.io.source import ImageSource, SelectedSource

_AT_ONCE = 64  # rows of chunks that are looked at in one look
_FILES = 4096  # of which so many files; at least two rows


class _Row(NamedTuple):
    """A row of chunks along the time axis.

    Attributes:
        states: States of its files, None for those that are not there.
        last: The time point after its last.
        begun: Whether a later row has begun.
        still: Whether nothing has changed for a time.
    """

    states: tuple[State | None, ...]
    last: int
    begun: bool
    still: bool

    def is_complete(self, finished: bool) -> bool:
        """Whether no more will be written to it; ``finished`` is whether the writer is done."""
        some, whole = any(self.states), all(self.states)
        if whole and (self.begun or finished):
            return True
        return self.still and (whole or self.begun or (some and finished))


class GrowingZarr:
    """A Zarr in a folder, as more time points are written to it.

    Args:
        location: Folder of an OME-Zarr image or a plain array; it need not be there yet.
        axes: Axes as stored; None to take those of the file.
        series: Number of the image in a group of several; None for the first.
        still: How long chunks have to be as they are where nothing else says that they are complete, seconds.
        marker: Name of a file in the folder, or of an attribute that is true, that says that no more will
            come.
    """

    def __init__(
        self, location: str, axes: str | None, series: int | None, still: float, marker: str
    ) -> None:
        self._location, self._axes, self._series = Path(location), axes, series
        self._marker, self._stillness = marker, Stillness(still)
        self._count, self._words, self._pending = 0, "", False
        self._found: tuple[Path, ImageMetadata] | None = None
        self._first_others: tuple[int, ...] = ()

    @property
    def changed(self) -> float:
        """When something was last found changed or new, seconds of the monotonic clock."""
        return self._stillness.changed

    def look(self, finished: bool) -> int:
        """Look what has been written; how many time points are complete, from the first on.

        Args:
            finished: Whether the writer is done.

        Raises:
            ValueError: If it has no time axis, or has become another array.
        """
        array, self._pending = self._array(), False
        if array is None:
            return self._count
        axis = self._time_axis(array)
        total, size = array.shape[axis], (array.shards or array.chunks)[axis]
        self._stillness.still("shape", total)
        for row in self._rows(array, axis):
            if not row.is_complete(finished):
                self._pending = (any(row.states) or row.begun) and not row.still
                return self._count
            last = row.last if row.begun or size == 1 else self._written(array, axis, row.last)
            if last == self._count or not self._reads(array, last):
                return self._count
            self._stillness.forget(self._count // size)
            self._count = last
        self._pending = self._count < total
        return self._count

    def _rows(self, array: Any, axis: int) -> list[_Row]:
        """The rows of chunks that come next, all that are looked at in one look."""
        parts, total = array.shards or array.chunks, array.shape[axis]
        sizes = [-(-length // part) for length, part in zip(array.shape, parts, strict=True)]
        files = math.prod(sizes[:axis] + sizes[axis + 1 :])
        first = self._count // parts[axis]
        last = min(first + max(2, min(_AT_ONCE, _FILES // max(1, files))), sizes[axis])
        found: list[_Row] = []
        begun = False
        for number in reversed(range(first, last)) if self._count < total else ():
            states = self._states(array, axis, number)
            end = min((number + 1) * parts[axis], total)
            still = self._stillness.still(number, (states, end, begun))
            found.append(_Row(states, end, begun, still))
            begun = begun or any(states)
        return found[::-1]

    def _states(self, array: Any, axis: int, row: int) -> tuple[State | None, ...]:
        """States of the files of a row of chunks along the time axis."""
        sizes, parts = array.shape, array.shards or array.chunks
        counts = [range(-(-size // part)) for size, part in zip(sizes, parts, strict=True)]
        counts[axis] = range(row, row + 1)
        root = self._root
        return tuple(
            file_state(root / array.metadata.encode_chunk_key(place)) for place in itertools.product(*counts)
        )

    def _written(self, array: Any, axis: int, last: int) -> int:
        """The time point after the last that was written in a row that is not full yet.

        Those that hold the fill value alone were not: a file holds several, and is there from the first on.
        """
        fill = array.fill_value
        while last > self._count:
            values = array[(*(slice(None),) * axis, last - 1)]
            if not np.all((values == fill) | ((values != values) & (fill != fill))):
                break
            last -= 1
        return last

    def _reads(self, array: Any, last: int) -> bool:
        """Whether time points that seem complete can be read."""
        self._words = why_unreadable(self._source(array, last), self._count, last)
        return not self._words

    def _array(self) -> Any:
        """The array as its metadata are now; None while they are not there, or not written completely."""
        import zarr

        if self._found is None:
            if not self._location.exists():
                self._words = f"nothing is at {self._location} yet"
                return None
            try:
                array, metadata = zarr_array(self._location, self._series)
                self._words = ""
            except (OSError, ValueError, KeyError) as error:
                self._words = str(error)
                return None
            self._found = Path(str(array.store.root)) / array.path, metadata
            self._first_others = self._others(array)
            return array
        try:
            array = zarr.open_array(str(self._root), mode="r")
        except (OSError, ValueError, KeyError):  # metadata that are being written: read at the next look
            return None
        if self._others(array) != self._first_others:
            raise ValueError(
                f"image: expected {self._location} to grow along T alone, found shape {array.shape} and "
                f"{array.dtype}, other than before; give another result for another image"
            )
        return array

    @property
    def _root(self) -> Path:
        assert self._found is not None
        return self._found[0]

    def _others(self, array: Any) -> tuple[int, ...]:
        """Sizes of the other axes, and of a number in bytes."""
        axis = self._time_axis(array)
        return (*array.shape[:axis], *array.shape[axis + 1 :], array.dtype.itemsize)

    def _time_axis(self, array: Any) -> int:
        """Place of the time axis as stored.

        Raises:
            ValueError: If there is none.
        """
        sizes = tuple(max(1, size) for size in array.shape)  # before the first time point it may be empty
        assert self._found is not None
        seen = ArraySource(np.broadcast_to(np.zeros((), array.dtype), sizes), self._axes, self._found[1])
        if "T" not in seen.stored_axes:
            raise ValueError(
                f"image: expected a time axis T along which it grows, found the axes {seen.stored_axes} of "
                f"{self._location}; say which axis it is with axes (--axes)"
            )
        return seen.stored_axes.index("T")

    def _source(self, array: Any, count: int) -> ImageSource:
        assert self._found is not None
        # what was decoded of a chunk is not kept from look to look: more may be written to it
        source = ArraySource(DecodedChunks(array), self._axes, self._found[1])
        return SelectedSource(source, None, (0, count))

    def pending(self) -> bool:
        """Whether there is something that may be complete soon without any more being written."""
        return self._pending

    def is_marked(self) -> bool:
        """Whether a file, or an attribute of group or array, says that no more will come."""
        if (self._location / self._marker).exists():
            return True
        folders = {self._location, *(() if self._found is None else (self._root,))}
        return any(_attributes(folder).get(self._marker) for folder in folders)

    def obstacle(self) -> str:
        """What is there and cannot be taken, in words; empty for nothing."""
        return self._words

    def left_out(self) -> list[str]:
        """What is not in the image though it is there, or was planned, in words."""
        found = [self._words] if self._words else []
        array = self._array() if self._found is not None else None
        if array is not None and (left := array.shape[self._time_axis(array)] - self._count) > 0:
            found.append(
                f"the last {left} of {left + self._count} time points that the array declares were not "
                "written, or not completely: left out"
            )
        return found

    def open(self, count: int) -> ImageSource:
        """The first time points as an image.

        Raises:
            OSError: If its metadata cannot be read.
        """
        array = self._array()
        if array is None:
            raise OSError(f"image: expected the array of {self._location}, found that it cannot be opened")
        return self._source(array, count)


def _attributes(folder: Path) -> dict[str, Any]:
    """Attributes of a Zarr group or array of format 3 or 2; empty where they cannot be read."""
    for name, key in (("zarr.json", "attributes"), (".zattrs", None)):
        try:
            content = json.loads((folder / name).read_text(encoding="utf-8"))
            found = content.get(key) if key else content
        except (OSError, ValueError, AttributeError):
            continue
        if isinstance(found, dict):
            return found
    return {}
