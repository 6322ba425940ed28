"""A layer in its resolutions, opened as they are looked at, and which of them is previewed. No Qt here."""

from __future__ import annotations

from typing import Any

from napari_rdpdenoise.ui.preview.viewport import LayerView
from napari_rdpdenoise.ui.preview.window import Subject, open_subject

__all__ = ["Resolutions"]


class Resolutions:
    """Image sources of one layer at a time.

    Attributes:
        level: Number of the resolution that is previewed, 0 for the finest.
        reduction: How many pixels of the finest one of it is across.
    """

    def __init__(self) -> None:
        self._subject: Subject | None = None
        self._sources: dict[int, Any] = {}  # by the number of the resolution
        self.level, self.reduction = 0, 1.0

    def open(self, subject: Subject) -> None:
        """Take a layer, at its finest; raises as `open_subject`, and has none then."""
        self.close()
        self._sources[0], self._subject = open_subject(subject), subject

    def close(self) -> None:
        """Let go of the layer."""
        self._subject, self._sources = None, {}
        self.level, self.reduction = 0, 1.0

    def look(self, view: LayerView) -> None:
        """Preview the resolution that the viewer shows; raises as `open_subject`."""
        assert self._subject is not None
        if view.level not in self._sources:
            self._sources[view.level] = open_subject(self._subject, view.level)
        self.level, self.reduction = view.level, view.reduction

    @property
    def finest(self) -> Any | None:
        """The layer at its finest; None for no layer."""
        return self._sources.get(0)

    @property
    def previewed(self) -> Any:
        """The layer in the resolution that is previewed."""
        return self._sources[self.level]
