"""The wheel scrolls the dock: it changes a control only where the user has clicked into that."""

from __future__ import annotations

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtWidgets import QAbstractSlider, QAbstractSpinBox, QComboBox, QScrollBar, QWidget

__all__ = ["WheelGuard"]


class WheelGuard(QObject):
    """Keeps the wheel from all controls within a widget that have no focus."""

    def __init__(self, widget: QWidget) -> None:
        super().__init__(widget)
        for kind in (QAbstractSlider, QAbstractSpinBox, QComboBox):
            for control in widget.findChildren(kind):
                if not isinstance(control, QScrollBar):
                    control.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
                    control.installEventFilter(self)

    def eventFilter(self, control: QObject, event: QEvent) -> bool:
        """Pass the wheel on to what scrolls."""
        if event.type() != QEvent.Type.Wheel or (isinstance(control, QWidget) and control.hasFocus()):
            return False
        event.ignore()
        return True
