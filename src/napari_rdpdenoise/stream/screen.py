"""A series without what is not image: blocks of it are read filled, and what was filled is remembered."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_rdpdenoise.io import ImageSource, Index
from napari_rdpdenoise.noise.invalid import InvalidRule, Screened, screen

__all__ = ["FilledSource", "Kept", "kept_pixels", "read_screened"]


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
    source: ImageSource, index: Index, window: tuple[slice, slice], rule: InvalidRule
) -> tuple[NDArray[Any], Screened]:
    """A block as it is, and without what is not image."""
    raw = source.read(index, *window)
    read_invalid = getattr(source, "read_invalid", None)
    return raw, screen(raw, rule, None if read_invalid is None else read_invalid(index, *window))


def kept_pixels(raw: NDArray[Any], found: Screened, hot_pixels: str) -> Kept | None:
    """What of a block comes out as it went in: regions, highlights, and defects if asked for."""
    mask = found.invalid if hot_pixels == "keep" else found.left
    return None if mask is None else Kept(mask, raw)


class FilledSource:
    """A source whose blocks come without what is not image, filled from the surroundings.

    Args:
        source: Source of one channel.
        rule: Rule of that channel.
    """

    def __init__(self, source: ImageSource, rule: InvalidRule) -> None:
        self._source, self._rule = source, rule
        self.shape, self.dtype, self.metadata = source.shape, source.dtype, source.metadata

    def read(self, index: Index, y: slice, x: slice) -> NDArray[Any]:
        """Read one block, filled."""
        return read_screened(self._source, index, (y, x), self._rule)[1].filled

    def close(self) -> None:
        """Close the source."""
        self._source.close()

    def fingerprint(self) -> str:
        """Identity of the source's content."""
        return self._source.fingerprint()
