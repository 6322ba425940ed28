"""Controls made from the fields of `RunSettings`, as the options of the command line are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, get_args

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from qtpy.QtWidgets import QComboBox, QFormLayout, QLineEdit, QSpinBox, QWidget
from superqt.utils import signals_blocked

from napari_rdpdenoise.fields import (
    Decides,
    Marks,
    bound_of,
    choices_of,
    group_fields,
    marks_of,
    option_types,
)
from napari_rdpdenoise.settings import RunSettings
from napari_rdpdenoise.ui.qt.parts.controls import named

__all__ = ["SettingsForm"]

_MOST = 1_000_000  # where a field has no bound


@dataclass(frozen=True)
class _Control:
    """A widget for one field.

    Attributes:
        widget: Widget to put into a form.
        show: Function that shows a value without telling so.
        listen: Function that takes a callback, which gets what the user has set: a value, or a text to read.
        read: Function that makes a value of it; a ValueError says what is wrong.
        hint: Words about how a value is written.
    """

    widget: QWidget
    show: Callable[[Any], None]
    listen: Callable[[Callable[[Any], None]], Any]
    read: Callable[[Any], Any] = lambda value: value
    hint: str = ""


class SettingsForm(QWidget):
    """One row for each field of a group, made of its title, description, bounds and choices.

    Args:
        group: Group of fields, see `fields.Marks`.
        settings: Function that gives the settings that are shown.
        change: Function that is called with the name of a field and its new value, which is valid.
        complain: Function that is called with what is wrong with a value.

    Attributes:
        controls: Widgets by field.
    """

    def __init__(
        self,
        group: str,
        settings: Callable[[], RunSettings],
        change: Callable[[str, Any], None],
        complain: Callable[[str], None],
    ) -> None:
        super().__init__()
        self._settings, self._change, self._complain = settings, change, complain
        self._made = {name: _control(name, field) for name, field in group_fields(RunSettings, group)}
        self.controls = {name: control.widget for name, control in self._made.items()}
        form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        for name, control in self._made.items():
            field = RunSettings.model_fields[name]
            title, words = str(field.title), str(field.description)
            form.addRow(title, named(control.widget, title, words + control.hint))
            control.listen(partial(self._set, name))

    def show_settings(self, settings: RunSettings) -> None:
        """Show what is set."""
        for name, control in self._made.items():
            if not isinstance(control.widget, QLineEdit) or not control.widget.hasFocus():
                control.show(getattr(settings, name))

    def _set(self, name: str, given: Any) -> None:
        control, settings = self._made[name], self._settings()
        try:
            value = getattr(settings.replace(**{name: control.read(given)}), name)
        except ValueError as error:
            self._complain(_reason(error))
            control.show(getattr(settings, name))
            return
        self._change(name, value)


def _control(name: str, field: FieldInfo) -> _Control:
    choices, kind = choices_of(field), option_types(field.annotation)[0]
    if choices is not None:
        box = QComboBox()
        box.addItems(choices)
        return _Control(box, _quietly(box, box.setCurrentText), box.currentTextChanged.connect)
    if kind is int:
        return _number(field)
    if Ellipsis in get_args(kind):
        return _text(name, "numbers", "0, 2", _numbers, lambda numbers: ", ".join(map(str, numbers)))
    return _text(name, "a range", "0:10", _range, lambda bounds: "{}:{}".format(*bounds))


def _number(field: FieldInfo) -> _Control:
    box, marks = QSpinBox(), marks_of(field) or Marks(Decides.NOTHING)
    step = bound_of(field, "multiple_of") or 1
    box.setRange(bound_of(field, "ge") or 0, bound_of(field, "le") or marks.most or _MOST)
    box.setSingleStep(step)
    box.setSuffix(f" {marks.unit}" if marks.unit else "")
    box.setKeyboardTracking(False)
    show = _quietly(box, box.setValue)
    return _Control(box, show, box.valueChanged.connect, lambda value: round(value / step) * step)


def _text(
    name: str, what: str, example: str, read: Callable[[str], Any], write: Callable[[Any], str]
) -> _Control:
    """A line for a field that is written as a text; an empty one stands for all."""
    line = QLineEdit()
    line.setPlaceholderText("all")

    def value_of(text: str) -> Any:
        try:
            return read(text) if text else None
        except ValueError:
            found = f"{name}: expected {what} such as {example}, found {text!r}; nothing takes all"
            raise ValueError(found) from None

    return _Control(
        line,
        lambda value: line.setText("" if value is None else write(value)),
        lambda take: line.editingFinished.connect(lambda: take(line.text().strip())),
        value_of,
        f" Write {example}; nothing for all.",
    )


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.replace(";", ",").split(",") if part.strip())


def _range(text: str) -> tuple[int, int]:
    first, stop = (int(part) for part in text.split(":"))
    return first, stop


def _quietly(widget: QWidget, set_value: Callable[[Any], None]) -> Callable[[Any], None]:
    """The same without the signals of the widget."""

    def show(value: Any) -> None:
        with signals_blocked(widget):
            set_value(value)

    return show


def _reason(error: ValueError) -> str:
    """What is wrong in words, without the frame that pydantic puts around them."""
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors()[0]
    words = first["msg"].removeprefix("Value error, ")
    if first["type"] == "value_error":
        return words  # ours, which name the setting
    return f"{first['loc'][0]}: {words[:1].lower()}{words[1:]}, found {first['input']}"
