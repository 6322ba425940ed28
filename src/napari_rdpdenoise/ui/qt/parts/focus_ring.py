"""A frame around the control that the keyboard acts on: napari's themes mark none."""

from __future__ import annotations

from qtpy.QtCore import QEvent, QObject, QRect, Qt
from qtpy.QtGui import QPainter, QPaintEvent, QPalette, QPen
from qtpy.QtWidgets import QApplication, QWidget

__all__ = ["FocusRing"]

_OUTSIDE = 1  # px around the control
_PLACES = (QEvent.Type.Move, QEvent.Type.Resize, QEvent.Type.Show, QEvent.Type.Hide)


class FocusRing(QWidget):
    """It is shown where the focus was moved by the keyboard.

    Args:
        inside: Widget whose controls are marked.
    """

    def __init__(self, inside: QWidget) -> None:
        super().__init__(inside)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setAttribute(Qt.WidgetAttribute.WA_NoSystemBackground)
        self.setStyleSheet("background: transparent")
        self._inside = inside
        self._followed: list[QWidget] = []  # the control, and what it lies in
        self.hide()
        application = QApplication.instance()
        assert isinstance(application, QApplication)  # or there would be no widget
        application.focusChanged.connect(self._turn_to)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Go where the control goes."""
        if event is not None and event.type() in _PLACES:
            self._place()
        return False

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw it in the colour of the text."""
        painter = QPainter(self)
        painter.setPen(QPen(self.palette().color(QPalette.ColorRole.WindowText), 1.5))
        painter.drawRoundedRect(self.rect().adjusted(1, 1, -1, -1), 3, 3)
        painter.end()

    def _turn_to(self, _before: QWidget | None, now: QWidget | None) -> None:
        for part in self._followed:
            part.removeEventFilter(self)
        self._followed = []
        by_keys = Qt.WidgetAttribute.WA_KeyboardFocusChange
        if now is not None and self._inside.isAncestorOf(now) and now.window().testAttribute(by_keys):
            part = now
            while part is not None and part is not self._inside:
                self._followed.append(part)
                part.installEventFilter(self)
                part = part.parentWidget()
        self._place()

    def _place(self) -> None:
        control = self._followed[0] if self._followed else None
        if control is None or not control.isVisible():
            self.hide()
            return
        corner = control.mapTo(self._inside, control.rect().topLeft())
        around = QRect(corner, control.size()).adjusted(-_OUTSIDE, -_OUTSIDE, _OUTSIDE, _OUTSIDE)
        self.setGeometry(around & self._inside.rect())
        self.raise_()
        self.show()
