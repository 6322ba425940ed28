"""Small pieces that all sections of the dock are made of."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

from qtpy.QtCore import QObject, QSize, Qt, QTimer
from qtpy.QtGui import QResizeEvent
from qtpy.QtWidgets import (
    QAbstractSlider,
    QHBoxLayout,
    QLabel,
    QLayout,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

__all__ = [
    "TextLabel",
    "button",
    "named",
    "one_stop",
    "row",
    "scroll_to",
    "short",
    "single_shot",
    "stack",
    "text_label",
]

W = TypeVar("W", bound=QWidget)
_BREAK = "\u200b"  # a place where a line may be broken, of no width
_LONG, _PIECE = re.compile(r"\S{16,}"), re.compile(r".{1,8}")


def named(widget: W, name: str, tooltip: str) -> W:
    """Name a control for screen readers and explain it, with the parts it is made of; returns it."""
    for part in (widget, *widget.findChildren(QWidget)):
        part.setAccessibleName(name)
        part.setAccessibleDescription(tooltip)
        part.setToolTip(tooltip)
    return widget


def one_stop(slider: QAbstractSlider) -> None:
    """Have Tab stop once at a slider of superqt that is made of parts: on the part that heeds keys."""
    keyed = next(part for part in slider.findChildren(QAbstractSlider))
    slider.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    slider.setFocusProxy(keyed)


def button(text: str, tooltip: str, name: str = "") -> QPushButton:
    """A button, and what it does; its name for screen readers is its text, where that says enough."""
    return named(QPushButton(text), name or text.replace("&", "").removesuffix("…"), tooltip)


class TextLabel(QLabel):
    """A label that wraps anywhere, so that no text widens the dock, and whose text can be selected."""

    def __init__(self, text: str = "") -> None:
        super().__init__()
        self.setWordWrap(True)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.setText(text)

    def setText(self, text: str) -> None:
        """Show a text; long words, such as names of files, may be broken."""
        super().setText(_LONG.sub(lambda found: _BREAK.join(_PIECE.findall(found.group())), text))
        self._insist()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Wrap anew."""
        super().resizeEvent(event)
        self._insist()

    def sizeHint(self) -> QSize:
        """As high as its lines; Qt's own is for a width of its liking, and forms leave the rest empty."""
        return QSize(super().sizeHint().width(), self.minimumHeight())

    def _insist(self) -> None:
        """Have all lines seen: forms squeeze rows to the height that they had before."""
        self.setMinimumHeight(0)  # which counts as a line's height
        self.setMinimumHeight(max(0, self.heightForWidth(self.width())))

    def text(self) -> str:
        """The text as it was set."""
        return str(super().text()).replace(_BREAK, "")


def text_label(text: str = "") -> TextLabel:
    """A label that wraps and whose text can be selected."""
    return TextLabel(text)


def short(name: str, letters: int = 28) -> str:
    """A name, its middle left out where it is longer than so many letters."""
    return name if len(name) <= letters else f"{name[: letters // 2 - 1]}…{name[-letters // 2 :]}"


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


def scroll_to(part: QWidget) -> None:
    """Scroll what a part lies in until all of it is seen; nothing where it lies in nothing that scrolls."""
    around = part.parentWidget()
    while around is not None and not isinstance(around, QScrollArea):
        around = around.parentWidget()
    if around is not None:
        around.ensureWidgetVisible(part, 0, 4)


def single_shot(owner: QObject, wait_ms: int, call: Callable[[], object]) -> QTimer:
    """A timer that calls once, each time that it is started."""
    timer = QTimer(owner)
    timer.setSingleShot(True)
    timer.setInterval(wait_ms)
    timer.timeout.connect(call)
    return timer
