"""What a fine-tuning is asked for: which way, from which images, under which name, for how long."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from napari.layers import Image
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QFormLayout, QLabel, QLineEdit, QSizePolicy, QSpinBox, QWidget

from napari_rdpdenoise.codec.library import model_folder
from napari_rdpdenoise.files import models_folder
from napari_rdpdenoise.ui.finetune.events import Kind, Task
from napari_rdpdenoise.ui.finetune.words import KINDS, folder_hint, model_name
from napari_rdpdenoise.ui.qt.boxes.finetune_sources import SourceChoice
from napari_rdpdenoise.ui.qt.parts.choice import Choice
from napari_rdpdenoise.ui.qt.parts.controls import button, named, row, stack, text_label
from napari_rdpdenoise.ui.qt.parts.layer_choice import stack_of

__all__ = ["FineTuneForm"]

_ABOVE = "as above"
_NONE = "choose…"
_AMOUNT = 64  # px, at least
_BUDGETS = {"minutes": 30, "steps": 1000}
_OTHERS: dict[Kind, tuple[str, str]] = {
    "unpaired": (
        "References",
        "Clean images of the same kind of specimen and pixel size, taken anywhere else.",
    ),
    "pairs": ("Partners", "One image for every noisy one, of the same place and in the same order."),
}


class FineTuneForm(QWidget):
    """The controls of a fine-tuning.

    Args:
        layers: List of the viewer's layers.
        image: Function that tells the layer that the dock denoises; None for none.
        model: Function that tells the model to start from.
        device: Function that tells the device.

    Attributes:
        changed: Signal: something was chosen.
    """

    changed = Signal()

    def __init__(
        self,
        layers: Any,
        image: Callable[[], Image | None],
        model: Callable[[], str],
        device: Callable[[], str],
    ) -> None:
        super().__init__()
        self._image, self._model, self._device = image, model, device
        self._parent: Path | None = None  # None: the user's folder of models
        self.kind = named(Choice(), "Learn from", "What there is to learn from.")
        for kind, (title, _) in KINDS.items():
            self.kind.addItem(title, kind)
        self.about = text_label()
        self.noisy = SourceChoice(
            layers,
            "Noisy images",
            "Noisy images of one channel, raw counts, as they come from the camera.",
            _ABOVE,
        )
        self.others = SourceChoice(layers, "References", _OTHERS["unpaired"][1], _NONE)
        self.partner = named(
            Choice(),
            "Partners are",
            "Clean: long exposures or averages. Noisy: second exposures like the first.",
        )
        self.partner.addItems(["clean", "noisy"])
        self.name = named(
            QLineEdit(),
            "Name",
            "Name of the new model, and of its folder. The shipped models are never changed.",
        )
        self.folder = button(
            "Folder…",
            "Write it into another folder than that of your models, where napari finds it again.",
            "Folder of the new model",
        )
        self.amount = named(
            QSpinBox(), "Budget", "How long to train at most; it ends earlier where nothing gets better."
        )
        self.amount.setRange(1, 1_000_000)
        # napari's style and its hint, of the longest number, ask for so much that the row would wrap
        self.amount.setStyleSheet(f"min-width: {_AMOUNT}px")
        self.amount.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.unit = named(Choice(), "Unit of the budget", "Minutes of training, or steps.")
        self.unit.addItems(list(_BUDGETS))
        self.amount.setValue(_BUDGETS["minutes"])
        self.hint = text_label()
        self._arrange()
        self._listen()
        self.refresh()

    def task(self) -> Task:
        """What is asked for; a ValueError says what is missing, or which layer cannot be used."""
        kind: Kind = self.kind.currentData()
        noisy = self.noisy.source()
        if noisy is None:
            layer = self._image()
            if layer is None:
                raise ValueError("Noisy: expected a layer or a folder, found none; choose one")
            noisy = stack_of(layer)
        others = None if kind == "zeroshot" else self.others.source()
        if kind != "zeroshot" and others is None:
            title, what = _OTHERS[kind]
            raise ValueError(f"{title}: expected a layer or a folder, found none; choose one. {what}")
        taken = self.noisy.layer or (self._image() if self.noisy.source() is None else None)
        other = None if others is None else self.others.layer
        if other is not None and taken is other:
            raise ValueError(
                f"{_OTHERS[kind][0]}: expected another layer than the noisy one, found {str(other)!r} for "
                "both: a layer that is opened is taken as the image; choose the noisy one at 1, or above"
            )
        amount = self.amount.value()
        minutes = self.unit.currentText() == "minutes"
        return Task(
            kind,
            noisy,
            others,
            self.out(),
            self._model(),
            self._device(),
            float(amount) if minutes else None,
            None if minutes else amount,
            {"partner": self.partner.currentText()} if kind == "pairs" else {},
        )

    def out(self) -> Path:
        """Folder of the new model; a ValueError says why it can have no such name."""
        name = self.name.text().strip() or self.name.placeholderText()
        if name in (".", "..") or any(letter in name for letter in '/\\:*?"<>|'):
            raise ValueError(
                f'Name: expected the name of a folder, found {name!r}; leave out / \\ : * ? " < > |'
            )
        out = (self._parent or models_folder()) / name
        if _folder_of(self._model()) == out.resolve():
            raise ValueError(
                f"Name: expected a new one, found {name!r}, that of the model chosen above; give another, "
                "or, to train it further, choose the model above that it started from"
            )
        return out

    def refresh(self) -> None:
        """Bring names, hints and what is visible up to date."""
        kind: Kind = self.kind.currentData()
        self.about.setText(KINDS[kind][1])
        title, tooltip = _OTHERS.get(kind, ("", ""))
        self._others_title.setText(title)
        if title:
            named(self.others.layers, title, tooltip)
        for part in (self._others_title, self.others):
            part.setVisible(bool(title))
        for part in (self._partner_title, self.partner):
            part.setVisible(kind == "pairs")
        layer = self.noisy.layer or self._image()
        folder = None if self.noisy.layer else self.noisy.folder
        given = folder.name if folder else layer.name if layer is not None else ""
        self.name.setPlaceholderText(model_name(given, kind))
        try:
            words = folder_hint(self.out())
        except ValueError as error:
            words = str(error)
        self.hint.setText(words)
        self.hint.setVisible(bool(words))
        self.changed.emit()

    def _arrange(self) -> None:
        self._others_title, self._partner_title = QLabel("References"), QLabel("Partners are")
        form = QFormLayout()
        form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)  # where words are longer
        form.setContentsMargins(0, 0, 0, 0)
        form.addRow("1  Noisy", self.noisy)
        form.addRow("2  From", self.kind)
        form.addRow(self._others_title, self.others)
        form.addRow(self._partner_title, self.partner)
        form.addRow(self.about)
        form.addRow("3  At most", row(self.amount, self.unit, wide=self.amount))
        form.addRow("Name", row(self.name, self.folder, wide=self.name))
        stack(self, form, self.hint)

    def _listen(self) -> None:
        self.kind.currentIndexChanged.connect(lambda _index: self.refresh())
        self.noisy.changed.connect(self.refresh)
        self.others.changed.connect(self.changed)
        self.name.textChanged.connect(lambda _text: self.refresh())
        self.unit.currentTextChanged.connect(lambda unit: self.amount.setValue(_BUDGETS[unit]))
        self.folder.clicked.connect(self._choose_folder)

    def _choose_folder(self) -> None:
        text = QFileDialog.getExistingDirectory(self, "Folder in which the new model gets its own")
        if text:
            self._parent = None if Path(text) == models_folder() else Path(text)
            named(self.folder, "Folder of the new model", f"The new model gets a folder in {text}.")
            self.refresh()


def _folder_of(model: str) -> Path:
    try:
        return model_folder(model).resolve()
    except FileNotFoundError:
        return Path(model).resolve()
