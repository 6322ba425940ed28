"""Settings that most users never touch, folded away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from pydantic import ValidationError
from qtpy.QtWidgets import QComboBox, QFormLayout, QLineEdit, QSpinBox, QWidget

from napari_rdpdenoise.settings import RunSettings
from napari_rdpdenoise.tiles import GRID
from napari_rdpdenoise.ui.qt.parts.controls import named

if TYPE_CHECKING:
    from napari_rdpdenoise.ui.state import Advanced, DockState

__all__ = ["AdvancedBox", "channels_of", "time_of"]

_LARGEST_TILE = 4096  # px


class AdvancedBox(QWidget):
    """Tile size, device, number type, channels and times.

    Args:
        state: gives the state that is shown.
        change: is called with what the user has set.
        complain: is called with what is wrong with a text.
    """

    def __init__(
        self,
        state: Callable[[], DockState],
        change: Callable[[Advanced], None],
        complain: Callable[[str], None],
    ) -> None:
        super().__init__()
        self._state, self._change, self._complain = state, change, complain
        self.tile = named(QSpinBox(), "Tile", _description("tile"))
        self.tile.setRange(GRID, _LARGEST_TILE)
        self.tile.setSingleStep(GRID)
        self.tile.setSuffix(" px")
        self.tile.setKeyboardTracking(False)
        self.device = named(QComboBox(), "Device", _description("device"))
        self.device.addItems(["auto", "cpu", "cuda", "mps"])
        self.dtype = named(QComboBox(), "Output type", _description("dtype"))
        self.dtype.addItems(["input", "float32"])
        self.channels = named(
            QLineEdit(), "Channels", _description("channels") + " Write 0, 2; nothing for all."
        )
        self.channels.setPlaceholderText("all")
        self.time = named(
            QLineEdit(),
            "Time range",
            "First time point and the one after the last, counted from 0. Write 0:10; nothing for all.",
        )
        self.time.setPlaceholderText("all")
        form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        for title, control in (
            ("Tile", self.tile),
            ("Device", self.device),
            ("Output type", self.dtype),
            ("Channels", self.channels),
            ("Time range", self.time),
        ):
            form.addRow(title, control)
        self.tile.valueChanged.connect(lambda value: self._set(tile=round(value / GRID) * GRID))
        self.device.currentTextChanged.connect(lambda text: self._set(device=text))
        self.dtype.currentTextChanged.connect(lambda text: self._set(dtype=text))
        self.channels.editingFinished.connect(
            lambda: self._parse(self.channels, lambda text: {"channels": channels_of(text)})
        )
        self.time.editingFinished.connect(
            lambda: self._parse(self.time, lambda text: {"time": time_of(text)})
        )

    def show_state(self, state: DockState) -> None:
        """Show the settings; a run locks them."""
        self.setEnabled(not state.busy)
        more = state.advanced
        for control, show in (
            (self.tile, lambda: self.tile.setValue(more.tile)),
            (self.device, lambda: self.device.setCurrentText(more.device)),
            (self.dtype, lambda: self.dtype.setCurrentText(more.dtype)),
        ):
            control.blockSignals(True)
            show()
            control.blockSignals(False)
        for line in (self.channels, self.time):
            if not line.hasFocus():
                line.setText(self._text(line, more))

    def _text(self, line: QLineEdit, more: Advanced) -> str:
        if line is self.channels:
            return "" if more.channels is None else ", ".join(map(str, more.channels))
        return "" if more.time is None else "{}:{}".format(*more.time)

    def _set(self, **changes: Any) -> None:
        self._change(replace(self._state().advanced, **changes))

    def _parse(self, line: QLineEdit, read: Callable[[str], dict[str, Any]]) -> None:
        try:
            changes = read(line.text().strip())
            self._state().settings().replace(**changes)
        except ValueError as error:
            self._complain(_reason(error))
            line.setText(self._text(line, self._state().advanced))
            return
        self._set(**changes)


def channels_of(text: str) -> tuple[int, ...] | None:
    """Channel numbers from "0, 2"; None for an empty text.

    Raises:
        ValueError: if it is anything else.
    """
    if not text:
        return None
    try:
        return tuple(int(part) for part in text.replace(";", ",").split(",") if part.strip())
    except ValueError:
        found = f"channels: expected numbers such as 0, 2, found {text!r}; nothing takes all"
        raise ValueError(found) from None


def time_of(text: str) -> tuple[int, int] | None:
    """First time point and the one after the last from "0:10"; None for an empty text.

    Raises:
        ValueError: if it is anything else.
    """
    if not text:
        return None
    try:
        first, stop = (int(part) for part in text.split(":"))
    except ValueError:
        found = f"time: expected a range such as 0:10, found {text!r}; nothing takes all"
        raise ValueError(found) from None
    return first, stop


def _reason(error: ValueError) -> str:
    """What is wrong in words, without the frame that pydantic puts around them."""
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors()[0]
    words = first["msg"].removeprefix("Value error, ")
    if first["type"] == "value_error":
        return words  # ours, which name the setting
    return f"{first['loc'][0]}: {words[:1].lower()}{words[1:]}, found {first['input']}"


def _description(field: str) -> str:
    return cast("str", RunSettings.model_fields[field].description)
