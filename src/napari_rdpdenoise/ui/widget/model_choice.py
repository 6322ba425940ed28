"""Choice of the model: a shipped one, or a folder of one's own."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QFileDialog

from .controls import named

__all__ = ["ModelChoice"]

_OTHER = "Other folder…"


class ModelChoice(QComboBox):
    """Names of models, and a last entry that asks for a folder.

    Attributes:
        chosen: signal with the name or path that the user chose.
    """

    chosen = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        named(self, "Model", "The model that denoises: a shipped one, or a folder with your own.")
        self._shown = "default"
        self.addItems([self._shown, _OTHER])
        self.activated.connect(self._choose)

    def offer(self, names: Sequence[str]) -> None:
        """Add names that are not there yet."""
        for name in names:
            if self.findText(name) < 0:
                self.insertItem(self.count() - 1, name)

    def show_model(self, name: str) -> None:
        """Show a model's name or path."""
        self.offer([name])
        self._shown = name
        self.setCurrentText(name)

    def _choose(self) -> None:
        name = self.currentText()
        if name == _OTHER:
            name = QFileDialog.getExistingDirectory(self, "Folder of a model (with card.yaml)")
        if name:
            self.chosen.emit(name)
        else:
            self.show_model(self._shown)
