"""Small pieces that all sections of the dock are made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QSizePolicy, QToolButton, QVBoxLayout, QWidget
from superqt import QLabeledDoubleSlider

__all__ = ["Fold", "named", "show_value", "text_label", "unit_slider"]

W = TypeVar("W", bound=QWidget)


def named(widget: W, name: str, tooltip: str) -> W:
    """Name a control for screen readers and explain it, with the parts it is made of; returns it."""
    for part in (widget, *widget.findChildren(QWidget)):
        part.setAccessibleName(name)
        part.setAccessibleDescription(tooltip)
        part.setToolTip(tooltip)
    return widget


def unit_slider() -> QLabeledDoubleSlider:
    """A slider from 0 to 1 with two decimals."""
    slider = QLabeledDoubleSlider(Qt.Orientation.Horizontal)
    slider.setRange(0.0, 1.0)
    slider.setSingleStep(0.05)
    slider.setDecimals(2)
    return slider


def show_value(slider: QLabeledDoubleSlider, value: float) -> None:
    """Move a slider without telling so: it may stand at what was found, not at what was set."""
    blocked = slider.blockSignals(True)
    slider.setValue(value)
    slider.blockSignals(blocked)


def text_label(text: str = "") -> QLabel:
    """A label that wraps and whose text can be selected."""
    label = QLabel(text)
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label


class Fold(QWidget):
    """A heading that shows or hides what is below it.

    Not superqt's QCollapsible: that keeps the height it was opened with, and cuts off text that grows.

    Args:
        title: of the heading; with & before the letter of its key.
        parts: what is below.
        opened: called when it is unfolded.
    """

    def __init__(
        self, title: str, parts: Sequence[QWidget], opened: Callable[[], None] = lambda: None
    ) -> None:
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
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self._head)
        column.addWidget(self._body)
        for part in parts:
            inside.addWidget(part)
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
