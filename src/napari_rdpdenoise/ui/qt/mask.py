"""A labels layer that says what of the chosen layer, and of those denoised with it, is not image."""

from __future__ import annotations

from collections.abc import Callable

import napari
import numpy as np
from napari.layers import Image, Labels
from numpy.typing import NDArray
from qtpy.QtCore import QObject

from napari_rdpdenoise.ui.qt.layers import full_data
from napari_rdpdenoise.ui.qt.parts.controls import single_shot
from napari_rdpdenoise.ui.qt.parts.links import Links

__all__ = ["Mask"]

_PAINTED_MS = 400  # after a stroke, until the preview follows


class Mask:
    """The labels layer that is chosen; what is painted in it counts soon.

    Args:
        owner: Qt object that ends with the window.
        viewer: Viewer that holds the layer.
        changed: Function called when other pixels are masked.

    Attributes:
        layer: Labels layer; None for none.
    """

    def __init__(self, owner: QObject, viewer: napari.viewer.Viewer, changed: Callable[[], None]) -> None:
        self.layer: Labels | None = None
        self._viewer, self._changed = viewer, changed
        self._links = Links(viewer)
        self._timer = single_shot(owner, _PAINTED_MS, changed)

    def choose(self, layer: Labels | None) -> None:
        """Take another labels layer, or with None mask nothing."""
        if layer is self.layer:
            return
        self._links.cut()
        self.layer, self._links = layer, Links(self._viewer)
        if layer is not None:
            for event in (layer.events.paint, layer.events.data, layer.events.labels_update):
                self._links.connect(event, self._soon)
        self._changed()

    def of(self, image: Image) -> NDArray[np.bool_] | None:
        """What of an image layer is masked: every label but 0; None for no mask.

        Raises:
            ValueError: If the layer's shape is neither that of the image nor that of its last axes.
        """
        if self.layer is None:
            return None
        mask, shape = np.asarray(full_data(self.layer)) != 0, tuple(full_data(image).shape[: image.ndim])
        if mask.ndim < 2 or mask.shape != shape[len(shape) - mask.ndim :]:
            raise ValueError(
                f"mask: expected labels of the shape {shape} of {image.name} or of its last axes, found "
                f"{mask.shape} in {self.layer.name}; choose another layer under More, or none"
            )
        return mask

    def close(self) -> None:
        """Let go of the layer."""
        self._links.cut()
        self._timer.stop()

    def _soon(self, event: object = None) -> None:
        self._timer.start()
