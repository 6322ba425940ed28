"""Small pieces that all sections of the dock are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from qtpy.QtCore import QObject, Qt, QTimer
from qtpy.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QLayout,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from superqt import QLabeledDoubleSlider
from superqt.utils import signals_blocked

__all__ = [
    "Fold",
    "button",
    "named",
    "row",
    "show_value",
    "single_shot",
    "stack",
    "text_label",
    "unit_slider",
]

W = TypeVar("W", bound=QWidget)


def named(widget: W, name: str, tooltip: str) -> W:
    """Name a control for screen readers and explain it, with the parts it is made of; returns it."""
    for part in (widget, *widget.findChildren(QWidget)):
        part.setAccessibleName(name)
        part.setAccessibleDescription(tooltip)
        part.setToolTip(tooltip)
    return widget


def button(text: str, tooltip: str, name: str = "") -> QPushButton:
    """A button, and what it does; its name for screen readers is its text, where that says enough."""
    return named(QPushButton(text), name or text.replace("&", "").removesuffix("..."), tooltip)


def unit_slider() -> QLabeledDoubleSlider:
    """A slider from 0 to 1 with two decimals."""
    slider = QLabeledDoubleSlider(Qt.Orientation.Horizontal)
    slider.setRange(0.0, 1.0)
    slider.setSingleStep(0.05)
    slider.setDecimals(2)
    return slider


def show_value(slider: QLabeledDoubleSlider, value: float) -> None:
    """Move a slider without telling so: it may stand at what was found, not at what was set."""
    with signals_blocked(slider):
        slider.setValue(value)


def text_label(text: str = "") -> QLabel:
    """A label that wraps and whose text can be selected."""
    label = QLabel(text)
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label


def stack(box: QWidget, *parts: QWidget | QLayout) -> None:
    """Lay parts below each other into a widget, from edge to edge."""
    column = QVBoxLayout(box)
    column.setContentsMargins(0, 0, 0, 0)
    for part in parts:
        if isinstance(part, QLayout):
            column.addLayout(part)
        else:
            column.addWidget(part)


def row(*parts: QWidget, wide: QWidget) -> QHBoxLayout:
    """Parts beside each other, of which one takes the room that is left."""
    line = QHBoxLayout()
    for part in parts:
        line.addWidget(part, stretch=int(part is wide))
    return line


def single_shot(owner: QObject, wait_ms: int, call: Callable[[], object]) -> QTimer:
    """A timer that calls once, each time that it is started."""
    timer = QTimer(owner)
    timer.setSingleShot(True)
    timer.setInterval(wait_ms)
    timer.timeout.connect(call)
    return timer


class Fold(QWidget):
    """A heading that shows or hides the part below it.

    Not superqt's QCollapsible: that keeps the height it was opened with, and cuts off text that grows. The
    title has & before the letter of its key; ``opened`` is called when it is unfolded.
    """

    def __init__(self, title: str, part: QWidget, opened: Callable[[], None]) -> None:
        super().__init__()
        self._opened = opened
        self._head, self._body = QToolButton(), QWidget()
        self._head.setText(title)
        self._head.setCheckable(True)
        self._head.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._head.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        plain = title.replace("&", "")
        named(self._head, plain, f"Show or hide: {plain.lower()}.")
        inside = QVBoxLayout(self._body)
        inside.setContentsMargins(8, 4, 0, 8)
        inside.addWidget(part)
        stack(self, self._head, self._body)
        self.layout().setSpacing(0)
        self._head.toggled.connect(self._show)
        self._show(False)

    @property
    def is_open(self) -> bool:
        """Whether what is below shows."""
        return bool(self._head.isChecked())

    def open(self, on: bool = True) -> None:
        """Show what is below, or hide it."""
        self._head.setChecked(on)

    def _show(self, on: bool) -> None:
        self._head.setArrowType(Qt.ArrowType.DownArrow if on else Qt.ArrowType.RightArrow)
        self._body.setVisible(on)
        if on:
            self._opened()
