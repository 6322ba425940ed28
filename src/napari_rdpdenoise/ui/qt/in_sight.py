"""Whether a widget can be seen: it is shown, and does not lie behind the tab of another dock."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QDockWidget, QWidget

from napari_rdpdenoise.ui.qt.parts.controls import single_shot

__all__ = ["InSight"]

_HIDDEN_MS = 150  # until it is believed: docks are hidden for a moment while they are moved


class InSight(QObject):
    """Watches one widget, which is taken for seen until it has been shown and hidden.

    So a window that is never shown, as in scripts, is one like any other.

    Args:
        widget: Widget to watch; it owns this.
        changed: Function called with whether it can be seen, when that has changed.
    """

    def __init__(self, widget: QWidget, changed: Callable[[bool], None]) -> None:
        super().__init__(widget)
        self._widget, self._changed = widget, changed
        self._dock: QDockWidget | None = None
        self._told = True
        self._hiding = single_shot(self, _HIDDEN_MS, lambda: self._tell(False))
        widget.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Look at what happens to the widget; nothing is held back."""
        if not self._is_whole:
            return False
        if event.type() == QEvent.Type.Show:
            self._follow_dock()
            self._look(True)
        elif event.type() == QEvent.Type.Hide:
            self._look(False)
        return False

    def _follow_dock(self) -> None:
        """Listen to the dock around it: one behind a tab is not hidden, Qt moves it out of the window."""
        around = self._widget.parentWidget()
        while around is not None and not isinstance(around, QDockWidget):
            around = around.parentWidget()
        if around is not None and around is not self._dock:
            around.visibilityChanged.connect(self._look)
            self._dock = around

    @property
    def _is_whole(self) -> bool:
        """Whether its parts are there: a widget that is collected is hidden after they are taken from it."""
        return "_told" in vars(self) and "_hiding" in vars(self)

    def _look(self, seen: bool) -> None:
        if not self._is_whole:
            return
        if not seen:
            self._hiding.start()
            return
        self._hiding.stop()
        self._tell(True)

    def _tell(self, seen: bool) -> None:
        if seen is not self._told:
            self._told = seen
            self._changed(seen)
