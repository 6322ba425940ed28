"""Lines for the person who waits, before the number of tiles is known."""

from __future__ import annotations

from typing import TypeVar

from napari_rdpdenoise.stream.report import Progress

Line = TypeVar("Line", bound=Progress)


def line(kind: type[Line], message: str | None) -> Line:
    """A line as an event of a run, of the kind that says what it tells; None for one without words."""
    return kind(0, 0, 0.0, float("nan"), float("nan"), 0, 0, message)


def said(message: str | None) -> Progress:
    """A line that tells nothing but itself; None tells that the same goes on, and may be given up here."""
    return line(Progress, message)
