"""Bars that show how far something is, and paint nothing while the window is in the middle of a change.

Qt's bar paints at once, and with it all of the window that waits to be painted: rows of the dock that are
about to be laid out, which then overlap, and napari's list of layers while one of them is removed, which ends
in an error. napari's own bar lets all events happen at each step, for the same result.
"""

from __future__ import annotations

from typing import Any

from napari.utils import progress
from qtpy.QtCore import QObject
from qtpy.QtWidgets import QProgressBar

from napari_rdpdenoise.ui.qt.parts.controls import single_shot

__all__ = ["Activity", "Bar"]


class Bar(QProgressBar):
    """A bar that is painted when the window is, not by whoever moves it."""

    def setRange(self, minimum: int, maximum: int) -> None:
        """Set both ends; two zeros are a moving bar, for work whose length is not known."""
        self.setUpdatesEnabled(False)
        super().setRange(minimum, maximum)
        self.setUpdatesEnabled(True)

    def setValue(self, value: int) -> None:
        """Show how far it is."""
        self.setUpdatesEnabled(False)
        super().setValue(value)
        self.setUpdatesEnabled(True)


class Activity(QObject):
    """A bar in napari's activity dock, which follows in turns of the event loop of its own.

    Args:
        owner: What it ends with.
    """

    def __init__(self, owner: QObject) -> None:
        super().__init__(owner)
        self._bar: Any = None
        self._wanted: tuple[str, int, int] | None = None
        self._turn = single_shot(self, 0, self._follow)

    def show(self, words: str, done: int, total: int) -> None:
        """Show what is done and how much of it; a total of 0 is not known."""
        self._want((words, done, total))

    def end(self) -> None:
        """Take the bar away, where there is one."""
        self._want(None)

    def close(self) -> None:
        """Take the bar away at once, for ever."""
        self._turn.stop()
        self._wanted = None
        self._take_away()

    def _want(self, wanted: tuple[str, int, int] | None) -> None:
        if wanted != self._wanted:
            self._wanted = wanted
            self._turn.start()

    def _follow(self) -> None:
        if self._wanted is None:
            self._take_away()
            return
        words, done, total = self._wanted
        if self._bar is None:
            self._bar = progress(desc=words, total=0)
        bar = self._bar  # events that happen meanwhile may take it away
        if total and bar.total != total:
            bar.reset(total=total)
        if done > bar.n and bar is self._bar:
            bar.update(done - bar.n)

    def _take_away(self) -> None:
        bar, self._bar = self._bar, None
        if bar is not None:
            bar.close()
