"""Output into memory."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from napari_rdpdenoise.io.output.spec import OutputSpec
from napari_rdpdenoise.io.source import Index


class ArraySink:
    """A NumPy array as output: canonical axes, zero where nothing was written."""

    def __init__(self, spec: OutputSpec) -> None:
        self.spec = spec
        self.array = np.zeros(spec.shape, spec.dtype)
        self._done: dict[tuple[Index, int, int], str] = {}

    def write(self, index: Index, y: slice, x: slice, block: np.ndarray) -> None:
        """Write one block of one plane."""
        self.spec.check_block(index, y, x, block)
        self.array[(*index, y, x)] = block

    def is_done(self, index: Index, y0: int, x0: int) -> bool:
        """Whether that block was marked."""
        return (tuple(index), y0, x0) in self._done

    def mark_done(self, index: Index, y0: int, x0: int, content: str = "") -> None:
        """Mark that block."""
        self._done[tuple(index), y0, x0] = content

    def made_from(self, index: Index, y0: int, x0: int) -> str:
        """What that block was marked to be made from; empty where it was not marked."""
        return self._done.get((tuple(index), y0, x0), "")

    def finish(self, record: Callable[[], str] | None = None) -> None:
        """Nothing to complete, and no place for a record."""

    def abort(self) -> None:
        """Nothing to release."""

    def discard(self) -> None:
        """Nothing to remove."""
