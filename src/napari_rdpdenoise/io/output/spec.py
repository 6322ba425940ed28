"""What every output looks like to the rest of the package, and what it needs to know."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from napari_rdpdenoise.axes import check_axes
from napari_rdpdenoise.io.source import ImageMetadata, Index, check_dtype, check_shape

_FORMAT = 2  # of unfinished outputs


@dataclass(frozen=True)
class OutputSpec:
    """What an output has to hold; two outputs of equal spec are interchangeable.

    Attributes:
        shape: Canonical shape, pixels in the last two.
        axes: Canonical axes, ending with YX.
        dtype: Sample type.
        metadata: Scale, units, channel names and name to keep.
        tile: Edge of the blocks that are written, pixels.
        job: Settings and input identity as text; a partial result of another job is discarded.

    Raises:
        ValueError: If axes and shape do not fit or a dimension is empty.
        TypeError: If the dtype is not supported.
    """

    shape: tuple[int, ...]
    axes: str
    dtype: np.dtype
    metadata: ImageMetadata
    tile: int = 1024
    job: str = ""

    def __post_init__(self) -> None:
        check_shape(self.shape)
        check_dtype(self.dtype)
        if not check_axes(self.axes, len(self.shape)).endswith("YX"):
            raise ValueError(f"axes: expected canonical axes that end with YX, found {self.axes!r}")
        if self.tile < 1:
            raise ValueError(f"tile: expected at least 1 pixel, found {self.tile}")

    @property
    def identity(self) -> str:
        """Text that tells what an unfinished output is to become from all else."""
        metadata = {key: _plain(value) for key, value in vars(self.metadata).items()}
        content = {key: _plain(value) for key, value in vars(self).items() if key != "metadata"}
        return json.dumps({"format": _FORMAT, **content, "metadata": metadata}, sort_keys=True)

    def check_block(self, index: Index, y: slice, x: slice, block: np.ndarray) -> None:
        """Refuse a block that does not fit.

        Raises:
            ValueError: If the index, the slices, the shape or the dtype do not fit this output.
        """
        rows, columns = self.shape[-2:]
        inside = 0 <= y.start < y.stop <= rows and 0 <= x.start < x.stop <= columns
        leading = self.shape[:-2]
        in_range = len(index) == len(leading) and all(0 <= i < n for i, n in zip(index, leading, strict=True))
        if not inside or not in_range:
            raise ValueError(f"block: expected a place inside shape {self.shape}, found {index}, {y}, {x}")
        expected = (y.stop - y.start, x.stop - x.start)
        if block.shape != expected or block.dtype != self.dtype:
            raise ValueError(
                f"block: expected shape {expected} and dtype {self.dtype}, "
                f"found {block.shape} and {block.dtype}; convert it with to_output"
            )


def _plain(value: Any) -> Any:
    if isinstance(value, tuple) and value and is_dataclass(value[0]):
        return [asdict(entry) for entry in value]
    if isinstance(value, np.dtype):
        return value.name
    return dict(value) if hasattr(value, "keys") else list(value) if isinstance(value, tuple) else value


@runtime_checkable
class Sink(Protocol):
    """Takes results block by block; blocks may come in any order and from several threads.

    A block that was marked done is kept over an interruption; one that was only written may be lost.
    """

    @property
    def spec(self) -> OutputSpec:
        """What the output holds."""

    def write(self, index: Index, y: slice, x: slice, block: np.ndarray) -> None:
        """Write one block of one plane: shape ``(rows, columns)``, the dtype of the spec."""

    def is_done(self, index: Index, y0: int, x0: int) -> bool:
        """Whether the block that starts at row y0, column x0 was finished, now or before an interruption."""

    def mark_done(self, index: Index, y0: int, x0: int, content: str = "") -> None:
        """Record that the block that starts there is completely written, and what it was made from."""

    def made_from(self, index: Index, y0: int, x0: int) -> str:
        """What the block that starts there was marked to be made from; empty where nothing was said."""

    def finish(self, record: Callable[[], str] | None = None) -> Path | None:
        """Complete the output and let it appear at its path (None for outputs in memory).

        Args:
            record: Function that gives the text of the file beside it, once it is complete; None for no file.
        """

    def abort(self) -> None:
        """Stop; what was marked done stays for a later run of the same job."""

    def discard(self) -> None:
        """Stop and remove what was written."""
