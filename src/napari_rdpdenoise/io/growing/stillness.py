"""How long files have been as they are: whoever still writes one changes its size or its time."""

from __future__ import annotations

import time
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import numpy as np

from napari_rdpdenoise.io.source import ImageSource

State = tuple[int, int]
"""Size of a file in bytes, and its time of change in nanoseconds."""


class Stillness:
    """Tells what has not changed for a time, by looking again and again.

    The clock is that of this process: clocks of file servers differ.

    Args:
        seconds: How long something has to stay as it is.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._seen: dict[Hashable, tuple[Any, float]] = {}
        self.changed = time.monotonic()
        """When something was last found changed or new, seconds of the monotonic clock."""

    def still(self, key: Hashable, state: Any) -> bool:
        """Whether what a key names has been in this state for the time, since it was first seen so."""
        now, known = time.monotonic(), self._seen.get(key)
        if known is None or known[0] != state:
            self._seen[key] = known = (state, now)
            self.changed = now
        return now - known[1] >= self._seconds

    def forget(self, key: Hashable) -> None:
        """Look no more at what a key names."""
        self._seen.pop(key, None)


def file_state(path: Path | str) -> State | None:
    """State of a file; None where there is none."""
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def why_unreadable(source: ImageSource, first: int = 0, last: int | None = None) -> str:
    """Why planes of an image cannot be read; empty where all of them can.

    Args:
        source: Image.
        first: First time point that is read.
        last: Time point after the last one; None for all planes, whatever their axes.
    """
    leading = list(map(range, source.shape[:-2]))
    if last is not None:
        leading[source.metadata.axes.index("T")] = range(first, last)
    rows, columns = (slice(0, size) for size in source.shape[-2:])
    try:
        for index in np.ndindex(*map(len, leading)):
            source.read(tuple(along[k] for along, k in zip(leading, index, strict=True)), rows, columns)
    except Exception as error:  # whatever a reader makes of a file of which a part is there
        return str(error) or type(error).__name__
    return ""
