"""Lines for the person who waits, before the number of tiles is known."""

from __future__ import annotations

from typing import TypeVar

from napari_rdpdenoise.stream.report import Progress

Line = TypeVar("Line", bound=Progress)


def said(message: str, kind: type[Line] = Progress) -> Line:  # type: ignore[assignment]
    """A line as an event of a run; ``kind`` is what it tells."""
    return kind(0, 0, 0.0, float("nan"), float("nan"), 0, 0, message)
