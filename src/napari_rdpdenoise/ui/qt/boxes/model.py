"""Choice of the model: a shipped one, one of the user's own, or any folder."""

from __future__ import annotations

from collections.abc import Iterable

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QFileDialog

from napari_rdpdenoise.codec.library import (
    COLOUR_MODEL,
    DEFAULT,
    DEFAULT_MODEL,
    GPU_MODEL,
    ListedModel,
    list_models,
)
from napari_rdpdenoise.ui.qt.background import ask
from napari_rdpdenoise.ui.qt.parts.choice import Choice
from napari_rdpdenoise.ui.qt.parts.controls import named

__all__ = ["ModelChoice"]

_OTHER = "Other folder…"
_FITTING = f"{DEFAULT}: fits the image"


class ModelChoice(Choice):
    """Names of models, and a last entry that asks for a folder; `chosen` tells what the user chose."""

    chosen = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        named(
            self,
            "Model",
            "The model that denoises: a shipped one, one that you have fine-tuned, or any folder with one.",
        )
        self._shown = DEFAULT
        self.addItem(self._shown, self._shown)
        self.addItem(_OTHER, None)
        self.activated.connect(self._choose)

    def fill(self) -> None:
        """Ask in a thread which models there are, and offer them."""
        ask(self, list_models, self.offer)

    def offer(self, models: Iterable[ListedModel]) -> None:
        """Add models that are not there yet."""
        models = tuple(models)
        shipped = {model.name for model in models if model.where == "shipped"}
        others = {"on a GPU": GPU_MODEL, "in colour": COLOUR_MODEL}
        elsewhere = "".join(f", {where} {name}" for where, name in others.items() if name in shipped)
        for model in models:
            if model.name == DEFAULT_MODEL and model.where == "shipped":  # it is there by its other name
                row = self.findData(DEFAULT)
                self.setItemText(row, _FITTING if elsewhere else f"{DEFAULT} ({model.name})")
                self.setItemData(row, f"{model.name}{elsewhere}", Qt.ItemDataRole.ToolTipRole)
                continue
            known = self.findData(str(model.folder)) >= 0
            title = model.name if model.where == "shipped" else f"{model.name} (tuned)"
            self._add(title, str(model.folder) if known else model.key)

    def show_model(self, name: str) -> None:
        """Show a model by the name or path that finds it."""
        if self.findData(name) < 0:
            self._add(name, name)
        self._shown = name
        self.setCurrentIndex(self.findData(name))

    def _add(self, title: str, value: str) -> None:
        row = self.findData(value)
        if row < 0:
            self.insertItem(self.count() - 1, title, value)
        elif title != value:  # a path that now has a name
            self.setItemText(row, title)

    def _choose(self) -> None:
        name = self.currentData()
        if name is None:
            name = QFileDialog.getExistingDirectory(self, "Folder of a model (with card.yaml)")
        if name:
            self.chosen.emit(name)
        else:
            self.show_model(self._shown)
