"""Rows that have changed their height are laid out before they are painted.

Qt lays out in a later turn of the event loop. What paints the window before that, a timer that is due or
a progress bar, would show a label of two lines over the row below it.
"""

from __future__ import annotations

from collections.abc import Callable
from weakref import ref

from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QLayout, QWidget

from napari_rdpdenoise.ui.qt.background import alive

__all__ = ["LaidOut"]


class LaidOut(QObject):
    """Lays out what is in a widget, where that waits, each time that its window is about to be painted.

    Args:
        widget: Widget to watch; it owns this.
    """

    def __init__(self, widget: QWidget) -> None:
        super().__init__(widget)
        self._window: Callable[[], QWidget | None] = lambda: None  # not held: it holds the viewer
        self._widget = widget
        self._follow()
        widget.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Look at what is about to happen; nothing is held back."""
        if "_widget" not in vars(self):  # it is being collected
            return False
        if event.type() == QEvent.Type.UpdateRequest and self._widget.isVisible():
            for layout in reversed(self._widget.findChildren(QLayout)):  # inner ones first
                layout.activate()
        elif event.type() == QEvent.Type.Show:
            self._follow()
        return False

    def _follow(self) -> None:
        """Watch the window that it is in now: a dock that is taken out of it is one of its own."""
        window, before = self._widget.window(), self._window()
        if window is not before:
            if before is not None and alive(before):
                before.removeEventFilter(self)
            self._window = ref(window)
            window.installEventFilter(self)
