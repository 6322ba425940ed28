"""A file to whose end a microscope is still appending: a TIFF of many pages, or an NDTiff data set.

::

    time point   whole, and the next one is whole too             taken
                 whole, and the writer is done                    taken
                 whole, and no file has changed for a time        taken; of several planes, not the first one
                 holds nothing but zeros, and so do all behind    not taken: the file was made at full length

A time point is whole when the file has all its planes: those of the directories (IFD), or of NDTiff's index,
that can be read, with their pixels inside the file.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from napari_rdpdenoise.io.growing.stillness import Stillness, file_state, why_unreadable
from napari_rdpdenoise.io.opening import open_image
from napari_rdpdenoise.io.source import ImageSource, Index, SelectedSource

__all__ = ["GrowingFile", "is_appended"]

_TIFF = (".tif", ".tiff", ".btf")
_MOST_EMPTY = 64  # time points at the end that are looked at for anything but zeros


def is_appended(path: Path) -> bool:
    """Whether a path is, or by its name will be, that of a file to which planes are appended."""
    from napari_rdpdenoise.io.tiff.ndtiff import index_of

    return path.name.lower().endswith(_TIFF) or (path.exists() and index_of(path) is not None)


class GrowingFile:
    """A TIFF or an NDTiff data set, as more time points are appended to it.

    Args:
        location: The file, or the folder of the data set; a file need not be there yet.
        axes: Axes as stored; None to take those of the file.
        series: Number of the image in a file of several; None for the first.
        still: How long the files have to be as they are where nothing else says that they are complete,
            seconds.
        marker: Name of a file beside it, or path, that says that no more will come.
    """

    def __init__(
        self, location: str, axes: str | None, series: int | None, still: float, marker: str
    ) -> None:
        self._location, self._axes, self._series = Path(location), axes, series
        self._marker, self._stillness = marker, Stillness(still)
        self._count, self._total, self._empty = 0, 0, 0
        self._seen: object = None
        self._others: tuple[int, ...] | None = None
        self._words, self._pending = "", False
        self._kept: ImageSource | None = None

    @property
    def changed(self) -> float:
        """When something was last found changed or new, seconds of the monotonic clock."""
        return self._stillness.changed

    def look(self, finished: bool) -> int:
        """Look what has been written; how many time points are complete, from the first on.

        Args:
            finished: Whether the writer is done.

        Raises:
            ValueError: If it has no time axis, or grows along another one.
        """
        states = tuple((str(file), file_state(file)) for file in self._files())
        still = self._stillness.still("files", states)
        if (states, finished or still) != self._seen:
            self._seen = states, finished or still
            self._look_again(finished, still)
        self._pending = bool(self._total > self._count + self._empty and not still)
        return self._count

    def _look_again(self, finished: bool, still: bool) -> None:
        try:
            source = self._open()
        except (OSError, ValueError, KeyError, IndexError) as error:
            self._words = str(error) or type(error).__name__
            return
        before, done = self._count, self._kept
        try:
            self._take(source, finished, still)
        finally:
            if self._count > before:
                self._kept = source
            else:
                done = source
            if done is not None:
                done.close()

    def _take(self, source: ImageSource, finished: bool, still: bool) -> None:
        """Count what of the image is complete."""
        if len(source.shape) == 2 and not finished:
            self._words = "one plane is there; with the second it will be known along which axis it grows"
            return
        self._check(source)
        self._total = source.shape[source.metadata.axes.index("T")]
        self._words = ""
        if self._total < 2 and len(source.shape) > 3 and not finished:
            self._words = "until its second time point is there nobody knows how many planes one has"
            return
        self._empty = self._empty_at_the_end(source)
        # what is written into a file that has its length from the start may not change its time
        settled = finished or (still and not self._empty)
        last = self._total - self._empty - (not settled)
        if last > self._count:
            self._words = why_unreadable(source, self._count, last)
            self._count = self._count if self._words else last

    def _files(self) -> list[Path]:
        """Files whose change shows that more was written."""
        if self._location.suffix.lower() in _TIFF and not self._location.is_dir():
            return [self._location]
        found = [*self._location.rglob("*.tif"), *self._location.rglob("NDTiff.index")]
        return sorted(found)

    def _open(self) -> ImageSource:
        """The image as it is now."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it is cut off, which it is while it is being written
            return open_image(self._location, self._axes, self._series)

    def _check(self, source: ImageSource) -> None:
        axes, shape = source.metadata.axes, source.shape
        if "T" not in axes:
            raise ValueError(
                f"image: expected a time axis T along which it grows, found the axes {axes} of "
                f"{self._location}; say which axis it is with axes (--axes)"
            )
        others = tuple(size for axis, size in zip(axes, shape, strict=True) if axis != "T")
        if self._others not in (None, others):
            raise ValueError(
                f"image: expected {self._location} to grow along T alone, found {others} along the other "
                f"axes, and {self._others} before; time points were taken before their planes had all come: "
                "begin again, with more of them waited for (--first-steps)"
            )
        if self._count:
            self._others = others

    def _empty_at_the_end(self, source: ImageSource) -> int:
        """How many time points at the end hold nothing but zeros.

        Raises:
            ValueError: If they are many: the file was made at its full length.
        """
        axis, total = source.metadata.axes.index("T"), source.shape[source.metadata.axes.index("T")]
        leading = [range(size) for size in source.shape[:-2]]
        rows, columns = (slice(0, size) for size in source.shape[-2:])
        for empty in range(total - self._count):
            leading[axis] = range(total - 1 - empty, total - empty)
            for index in np.ndindex(*map(len, leading)):
                place = tuple(along[k] for along, k in zip(leading, index, strict=True))
                try:
                    if source.read(place, rows, columns).any():
                        return empty
                except (OSError, ValueError):
                    return empty  # something is there; whether it can be read is asked later
            if empty >= _MOST_EMPTY:
                raise ValueError(
                    f"follow: expected a file that becomes longer, found {self._location} at its full length "
                    f"of {total} time points, of which the last hold nothing yet; when such a point is "
                    "complete nobody can tell: let a Zarr be written, or a file for every time point"
                )
        return total - self._count

    def pending(self) -> bool:
        """Whether there is something that may be complete soon without any more being written."""
        return self._pending

    def is_marked(self) -> bool:
        """Whether a file beside the image, or in its folder, says that no more will come."""
        return any((place / self._marker).exists() for place in (self._location, self._location.parent))

    def obstacle(self) -> str:
        """What is there and cannot be taken, in words; empty for nothing."""
        return self._words

    def left_out(self) -> list[str]:
        """What is not in the image though it is there, in words."""
        found = [self._words] if self._words else []
        if (left := self._total - self._count) > 0:
            found.append(
                f"the last {left} of {self._total} time points were not written, or not whole: left out"
            )
        return found

    def open(self, count: int) -> ImageSource:
        """The first time points as an image.

        It is the one that was open at the last look: just now the file may be between two states that can be
        understood, and what was complete then does not change.

        Raises:
            OSError: If nothing is complete yet.
        """
        if self._kept is None:
            raise OSError(f"image: expected time points of {self._location}, found none complete yet")
        return SelectedSource(_Lent(self._kept), None, (0, count))


class _Lent:
    """A source that whoever closes it does not close."""

    def __init__(self, source: ImageSource) -> None:
        self._source = source
        self.shape, self.dtype, self.metadata = source.shape, source.dtype, source.metadata

    def read(self, index: Index, y: slice, x: slice) -> np.ndarray:
        """Read one block of one plane."""
        return self._source.read(index, y, x)

    def close(self) -> None:
        """Leave it open."""

    def fingerprint(self) -> str:
        """Identity of the source."""
        return self._source.fingerprint()
