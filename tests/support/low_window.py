"""A section of the dock in a window that may be too low for it."""

from __future__ import annotations

from qtpy.QtWidgets import QScrollArea, QWidget

_WIDTH = 330  # px, as wide as the dock opens


class LowWindow:
    """A part that is scrolled, as in the dock.

    Args:
        qtbot: pytest-qt's.
        part: Part of the dock.
        height: Height of the window, px.
    """

    def __init__(self, qtbot, part: QWidget, height: int) -> None:
        self._scroll = QScrollArea()
        qtbot.addWidget(self._scroll)
        self._scroll.setWidgetResizable(True)
        self._scroll.setWidget(part)
        self._scroll.resize(_WIDTH, height)
        self._scroll.show()
        qtbot.waitExposed(self._scroll)

    def shows(self, part: QWidget) -> bool:
        """Whether all of a part is seen without scrolling."""
        top = part.mapTo(self._scroll.viewport(), part.rect().topLeft()).y()
        return part.isVisible() and top >= 0 and top + part.height() <= self._scroll.viewport().height()
