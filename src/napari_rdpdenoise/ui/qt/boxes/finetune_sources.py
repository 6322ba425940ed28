"""Choosing images to learn from: a layer of the viewer, or a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari.layers import Image
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QPushButton, QWidget

from napari_rdpdenoise.ui.layers.stacks import Stack
from napari_rdpdenoise.ui.qt.parts.controls import named, row, stack
from napari_rdpdenoise.ui.qt.parts.layer_choice import LayerChoice, stack_of

__all__ = ["SourceChoice"]


class _Layers(LayerChoice):
    """Layers, and first what is chosen without one."""

    def set_none(self, text: str) -> None:
        """Call it by another name, and choose it."""
        self._none = text
        self.choose(None)
        self.follow()


class SourceChoice(QWidget):
    """A list of image layers and a button for a folder.

    Args:
        layers: the viewer's list of layers.
        title: what is chosen, for screen readers.
        tooltip: what it is for.
        none: what stands there as long as nothing is chosen.

    Attributes:
        changed: signal: something else is chosen.
        folder: that was chosen; None for a layer or nothing.
    """

    changed = Signal()

    def __init__(self, layers: Any, title: str, tooltip: str, none: str) -> None:
        super().__init__()
        self.folder: Path | None = None
        self._title = title
        self.layers = named(_Layers(layers, Image, none), title, tooltip)
        self.browse = named(
            QPushButton("Folder…"), f"{title}: folder", "Take all TIFF and PNG images of a folder instead."
        )
        stack(self, row(self.layers, self.browse, wide=self.layers))
        self.layers.currentIndexChanged.connect(lambda _index: self.changed.emit())
        self.browse.clicked.connect(self._browse)

    @property
    def layer(self) -> Image | None:
        """The chosen layer; None for a folder or nothing."""
        return self.layers.layer

    def source(self) -> Stack | Path | None:
        """What was chosen; None for nothing.

        Raises:
            ValueError: if the layer holds colours, or its axes cannot be told.
        """
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
