"""A column that is scrolled up and down is never narrower than what is in it, whatever the font.

Qt's scroll area says nothing of what it holds: with a large font its right edge would be cut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QScrollArea, QWidget

from napari_rdpdenoise.ui.qt.parts.controls import single_shot

__all__ = ["WideEnough"]

_STILL_MS = 100  # without a change of the layout: until a theme has come, parts want other widths


class WideEnough(QObject):
    """Sets the minimum width of a widget by what is scrolled in it.

    Args:
        widget: Widget whose width is kept.
        scroll: Scroll area in it, which holds a widget; it owns this.
        hidden: Function that gives the parts of that which may come to show, and are as wide as it then: the
            width is not to change when they do.
    """

    def __init__(self, widget: QWidget, scroll: QScrollArea, hidden: Callable[[], Iterable[QWidget]]) -> None:
        super().__init__(scroll)
        self._widget, self._scroll, self._hidden = widget, scroll, hidden
        self._least = widget.minimumWidth()
        self._soon = single_shot(self, _STILL_MS, self._measure)
        scroll.widget().installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Look at what happens to what is scrolled; nothing is held back."""
        if "_soon" in vars(self) and event.type() in (QEvent.Type.LayoutRequest, QEvent.Type.Show):
            self._soon.start()
        return False

    def _measure(self) -> None:
        inside = self._scroll.widget()
        if inside is None or not inside.isVisible():
            return
        margins = inside.layout().contentsMargins()
        around = margins.left() + margins.right()
        parts = [part.minimumSizeHint().width() + around for part in self._hidden()]
        wanted = max(inside.minimumSizeHint().width(), *parts, 0)
        bar = self._scroll.verticalScrollBar()
        beside = self._scroll.width() - self._scroll.viewport().width()  # a theme may draw a frame
        wanted += beside if bar.isVisible() else beside + bar.sizeHint().width()
        self._widget.setMinimumWidth(max(self._least, wanted))
