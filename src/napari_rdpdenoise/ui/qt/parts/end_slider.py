"""A slider from 0 to 1 both ends of which say what they do, and whose number may be unknown."""

from __future__ import annotations

from qtpy.QtCore import QEvent, Qt, QTimer, Signal
from qtpy.QtGui import QKeyEvent
from qtpy.QtWidgets import QGridLayout, QLabel, QLayout, QSizePolicy, QWidget
from superqt import QDoubleSlider
from superqt.utils import signals_blocked

from napari_rdpdenoise.ui.qt.parts.controls import named

__all__ = ["EndSlider"]

_UNKNOWN = "–"
_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter


class _KeyedSlider(QDoubleSlider):
    """One that heeds the keyboard: superqt's knows the mouse alone."""

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Go a step with arrows, a larger one with Page Up and Page Down, to the ends with Home and End."""
        key, low, high = event.key(), self.minimum(), self.maximum()
        steps = {
            Qt.Key.Key_Left: -self.singleStep(),
            Qt.Key.Key_Down: -self.singleStep(),
            Qt.Key.Key_Right: self.singleStep(),
            Qt.Key.Key_Up: self.singleStep(),
            Qt.Key.Key_PageDown: -self.pageStep(),
            Qt.Key.Key_PageUp: self.pageStep(),
            Qt.Key.Key_Home: low - high,
            Qt.Key.Key_End: high - low,
        }
        if key in steps:
            self.setValue(round(min(max(self.value() + steps[key], low), high), 2))
        else:
            super().keyPressEvent(event)


class EndSlider(QWidget):
    """A slider with its number beside it and words below its ends.

    Args:
        name: Name of what it sets.
        tooltip: What a number means.
        low, high: Words at the ends, for 0 and 1.
    """

    valueChanged = Signal(float)

    def __init__(self, name: str, tooltip: str, low: str, high: str) -> None:
        super().__init__()
        self.slider = _KeyedSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0.0, 1.0)
        self.slider.setSingleStep(0.05)
        self.slider.setPageStep(0.2)
        self.setFocusProxy(self.slider)
        self._number = QLabel()
        self._number.setAlignment(_RIGHT)
        self._ends = QLabel(low), QLabel(high)
        self._ends[1].setAlignment(_RIGHT)
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        # a form squeezes its rows before it scrolls, and keeps the heights from before the theme came
        grid.setSizeConstraint(QLayout.SizeConstraint.SetMinimumSize)
        grid.setHorizontalSpacing(4)
        grid.setVerticalSpacing(0)
        grid.addWidget(self.slider, 0, 0, 1, 3)
        grid.addWidget(self._number, 0, 3)
        grid.addWidget(self._ends[0], 1, 0)
        grid.addWidget(self._ends[1], 1, 2)
        grid.setColumnStretch(1, 1)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._name = name
        self.explain(tooltip)
        self.slider.valueChanged.connect(self._moved)
        self.show_value(0.0)

    def event(self, event: QEvent) -> bool:
        """Have the form measure anew what a theme has changed."""
        if event.type() in (QEvent.Type.Polish, QEvent.Type.StyleChange, QEvent.Type.Show):
            self._make_room()
            QTimer.singleShot(0, self.updateGeometry)
        return bool(super().event(event))

    def _make_room(self) -> None:
        """Keep room for any number, or the slider would change its length with it."""
        shown = self._number.text()
        self._number.ensurePolished()  # or its font would be that of before the theme
        self._number.setText("0.00")
        self._number.setMinimumWidth(self._number.sizeHint().width())
        self._number.setText(shown)

    def value(self) -> float:
        """Where it stands, 0 to 1."""
        return float(self.slider.value())

    def setValue(self, value: float) -> None:
        """Move it, as the user does."""
        self.slider.setValue(value)

    def show_value(self, value: float | None) -> None:
        """Move it without telling so, to what was found and not set; None is not known yet."""
        with signals_blocked(self.slider):
            self.slider.setValue(0.5 if value is None else value)
        self._number.setText(_UNKNOWN if value is None else f"{value:.2f}")

    def explain(self, tooltip: str) -> None:
        """Say what a number means, or why none can be set."""
        named(self, self._name, tooltip)

    def _moved(self, value: float) -> None:
        self._number.setText(f"{value:.2f}")
        self.valueChanged.emit(float(value))
