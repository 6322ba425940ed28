"""A series without what is not image: blocks of it are read filled, and what was filled is remembered."""

from __future__ import annotations

import math
import threading
from typing import Any, NamedTuple

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray

from napari_rdpdenoise.io import ImageSource, Index
from napari_rdpdenoise.noise.invalid import InvalidRule, Screened, screen

__all__ = ["FilledSource", "Kept", "ScreenedWindows", "kept_pixels", "read_screened"]

_Window = tuple[slice, slice]
_PLANES = 10  # whose bytes are kept: five planes with halos and masks, and copies without defects
_BYTES = 256 * 1024**2  # at most


class Kept(NamedTuple):
    """Pixels that come out as they went in.

    Attributes:
        mask: True where they are.
        values: Raw counts of a block as it was read; what it holds elsewhere does not matter.
    """

    mask: NDArray[np.bool_]
    values: NDArray[Any]

    def at(self, place: tuple[slice, slice]) -> Kept | None:
        """Those of a part of the block; None for none."""
        mask = self.mask[place]
        return Kept(mask.copy(), np.where(mask, self.values[place], 0)) if mask.any() else None

    def put(self, block: NDArray[Any]) -> None:
        """Write them into a denoised block of the same shape."""
        values = self.values
        if block.dtype.kind != "f" and values.dtype.kind == "f":
            values = np.nan_to_num(values)
        np.copyto(block, values, where=self.mask, casting="unsafe")


def read_screened(
    source: ImageSource, index: Index, window: _Window, rule: InvalidRule
) -> tuple[NDArray[Any], Screened]:
    """A block as it is, and without what is not image.

    The index is one of the whole image where the rule has noise that changes from plane to plane.
    """
    raw = source.read(index, *window)
    read_invalid = getattr(source, "read_invalid", None)
    return raw, screen(raw, rule.at(index), None if read_invalid is None else read_invalid(index, *window))


def kept_pixels(raw: NDArray[Any], found: Screened, hot_pixels: str) -> Kept | None:
    """What of a block comes out as it went in: regions, highlights, and defects if asked for."""
    mask = found.invalid if hot_pixels == "keep" else found.left
    return None if mask is None else Kept(mask, raw)


class ScreenedWindows:
    """Blocks of one series, read and screened; the last ones are kept, for threads to share.

    A plane is asked for up to five times, by itself and as a neighbour of others, and is always the same.

    Args:
        limit: Bytes that are kept; 0 to read and screen each time.
    """

    def __init__(self, limit: int = 0) -> None:
        self._limit = limit
        self._known: LRUCache[Any, tuple[NDArray[Any], Screened]] = LRUCache(max(1, limit), _bytes_of)
        self._lock = threading.Lock()

    @classmethod
    def of(cls, source: ImageSource) -> ScreenedWindows:
        """Room for the planes that tiles of a series ask for again, if they are not too large."""
        plane = math.prod(source.shape[-2:]) * source.dtype.itemsize
        return cls(min(_PLANES * plane, _BYTES))

    def read(
        self, source: ImageSource, index: Index, window: _Window, rule: InvalidRule
    ) -> tuple[NDArray[Any], Screened]:
        """As `read_screened`, of always the same source, and of always the same rule for one plane.

        The arrays belong to all who ask for them: nobody writes into them.
        """
        if not self._limit:
            return read_screened(source, index, window, rule)
        key = (index, *((part.start, part.stop) for part in window))
        with self._lock:
            known = self._known.get(key)
        if known is None:
            known = read_screened(source, index, window, rule)
            if _bytes_of(known) <= self._limit:
                with self._lock:
                    self._known[key] = known
        return known


def _bytes_of(block: tuple[NDArray[Any], Screened]) -> int:
    raw, found = block
    own = [part for part in found if part is not None and part is not raw]
    return 1 + raw.nbytes + sum(part.nbytes for part in own)


class FilledSource:
    """A source whose blocks come without what is not image, filled from the surroundings.

    Args:
        source: Source of one channel.
        rule: Rule of that channel.
        windows: Blocks of that source that were screened before, and room for those of now.
    """

    def __init__(
        self, source: ImageSource, rule: InvalidRule, windows: ScreenedWindows | None = None
    ) -> None:
        self._source, self._rule = source, rule
        self._windows = ScreenedWindows() if windows is None else windows
        self.shape, self.dtype, self.metadata = source.shape, source.dtype, source.metadata

    def read(self, index: Index, y: slice, x: slice) -> NDArray[Any]:
        """Read one block, filled."""
        return self._windows.read(self._source, index, (y, x), self._rule)[1].filled

    def close(self) -> None:
        """Close the source."""
        self._source.close()

    def fingerprint(self) -> str:
        """Identity of the source's content."""
        return self._source.fingerprint()
