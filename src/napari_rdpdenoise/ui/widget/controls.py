"""Small pieces that all boxes of the dock are made of."""

from __future__ import annotations

from typing import TypeVar

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QWidget
from superqt import QLabeledDoubleSlider

__all__ = ["named", "text_label", "unit_slider"]

W = TypeVar("W", bound=QWidget)


def named(widget: W, name: str, tooltip: str) -> W:
    """Name a control for screen readers and explain it; returns it."""
    widget.setAccessibleName(name)
    widget.setAccessibleDescription(tooltip)
    widget.setToolTip(tooltip)
    return widget


def unit_slider() -> QLabeledDoubleSlider:
    """A slider from 0 to 1 with two decimals."""
    slider = QLabeledDoubleSlider(Qt.Orientation.Horizontal)
    slider.setRange(0.0, 1.0)
    slider.setSingleStep(0.05)
    slider.setDecimals(2)
    return slider


def text_label(text: str = "") -> QLabel:
    """A label that wraps and whose text can be selected."""
    label = QLabel(text)
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label
