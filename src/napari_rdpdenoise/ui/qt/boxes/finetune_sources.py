"""Choosing images to learn from: a layer of the viewer, or a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari.layers import Image
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QWidget

from napari_rdpdenoise.ui.layers.stacks import Stack
from napari_rdpdenoise.ui.qt.parts.controls import button, named, row, stack
from napari_rdpdenoise.ui.qt.parts.layer_choice import LayerChoice, stack_of

__all__ = ["SourceChoice"]


class SourceChoice(QWidget):
    """A list of image layers and a button for a folder.

    Args:
        layers: List of the viewer's layers.
        title: Name of what is chosen, for screen readers.
        tooltip: Words on what it is for.
        none: Text that stands there as long as nothing is chosen.

    Attributes:
        changed: Signal: something else is chosen.
        folder: Folder that was chosen; None for a layer or nothing.
    """

    changed = Signal()

    def __init__(self, layers: Any, title: str, tooltip: str, none: str) -> None:
        super().__init__()
        self.folder: Path | None = None
        self._title = title
        self.layers = named(LayerChoice(layers, Image, none), title, tooltip)
        take = "Take all TIFF and PNG images of a folder instead."
        self.browse = button("Folder…", take, f"{title}: folder")
        stack(self, row(self.layers, self.browse, wide=self.layers))
        self.layers.currentIndexChanged.connect(lambda _index: self.changed.emit())
        self.browse.clicked.connect(self._browse)

    @property
    def layer(self) -> Image | None:
        """The chosen layer; None for a folder or nothing."""
        return self.layers.layer

    def source(self) -> Stack | Path | None:
        """What was chosen; None for nothing. Raises as `stack_of`."""
        return self.folder if self.layer is None else stack_of(self.layer)

    def take_folder(self, folder: Path) -> None:
        """Choose a folder."""
        self.folder = folder
        self.layers.set_none(f"Folder {folder.name}")
        self.layers.setToolTip(str(folder))
        self.changed.emit()

    def _browse(self) -> None:
        text = QFileDialog.getExistingDirectory(self, f"{self._title}: folder of images")
        if text:
            self.take_folder(Path(text))
