"""A chooser of layers that follows the viewer, and layers as plain stacks and boxes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from napari.layers import Image, Layer, Shapes
from qtpy.QtCore import Qt
from superqt.utils import signals_blocked

from napari_rdpdenoise.names import shown
from napari_rdpdenoise.ui.layers.axes import layer_axes
from napari_rdpdenoise.ui.layers.stacks import Box, Stack, box_of
from napari_rdpdenoise.ui.qt.background import alive
from napari_rdpdenoise.ui.qt.layers import full_data
from napari_rdpdenoise.ui.qt.parts.choice import Choice

__all__ = ["LayerChoice", "region_of", "stack_of"]


class LayerChoice(Choice):
    """Offers layers of one kind, and first none at all, which is also the choice to begin with.

    Args:
        layers: List of the viewer's layers.
        kind: Class of the layers that are offered.
        none: Name of no layer; None where there is no such choice.
        leave_out: Function that tells whether a layer is not offered.
        remark: Function that tells what is said behind a layer's name, such as why it hardly serves; layers
            with a remark come last. Empty for nothing.
    """

    def __init__(
        self,
        layers: Any,
        kind: type[Layer],
        none: str | None,
        leave_out: Callable[[Layer], bool] = lambda layer: False,
        remark: Callable[[Layer], str] = lambda layer: "",
    ) -> None:
        super().__init__()
        self._layers, self._kind, self._none = layers, kind, none
        self._leave_out, self._remark = leave_out, remark
        events = layers.events
        for event in (events.inserted, events.removed, events.reordered, events.renamed):
            event.connect(self.follow)
        self.follow()

    @property
    def layer(self) -> Layer | None:
        """The chosen layer; None for none."""
        return self.currentData()

    def choose(self, layer: Layer | None) -> None:
        """Choose a layer that is offered; anything else is none."""
        found = (n for n in range(self.count()) if layer is not None and self.itemData(n) == layer)
        self.setCurrentIndex(next(found, 0))

    @property
    def offered(self) -> list[Layer]:
        """The layers that are offered."""
        found = (self.itemData(number) for number in range(self.count()))
        return [layer for layer in found if layer is not None]

    def set_none(self, text: str) -> None:
        """Give no layer another name, and choose it."""
        self._none = text
        self.choose(None)
        self.follow()

    def follow(self, event: object = None) -> None:
        """List the viewer's layers anew and keep the choice, if it is still there."""
        if not alive(self):  # the viewer does not know that Qt has deleted the widget
            return
        chosen, number = self.layer, self.currentIndex()
        with signals_blocked(self):
            self.clear()
            if self._none is not None:
                self.addItem(self._none, None)
            kind = (layer for layer in self._layers if isinstance(layer, self._kind))
            offered = [(layer, self._remark(layer)) for layer in kind if not self._leave_out(layer)]
            for layer, remark in sorted(offered, key=lambda item: bool(item[1])):
                name = f"{shown(layer.name)} ({remark})" if remark else shown(layer.name)
                self.addItem(name, layer)
                self.setItemData(self.count() - 1, name, Qt.ItemDataRole.ToolTipRole)
            if self._none is None and chosen not in self.offered:
                self.setCurrentIndex(max(0, min(number, self.count() - 1)))  # the one that takes its place
            else:
                self.choose(chosen)
        if (self.layer is None) != (chosen is None):
            self.currentIndexChanged.emit(self.currentIndex())


def stack_of(layer: Image) -> Stack:
    """An image layer's array at full resolution, with its axes; a ValueError says why there is none."""
    if layer.rgb:
        raise ValueError(
            f"{layer.name}: expected one intensity per pixel, found colours (RGB); "
            "split the layer into its channels and choose one"
        )
    return Stack(layer.name, full_data(layer), layer_axes(layer.ndim, layer.axis_labels, rgb=False))


def region_of(shapes: Shapes, image: Image) -> Box:
    """The pixels of an image's planes within the first rectangle, else the first shape, of a shapes layer.

    A ValueError says that there is no shape, or that it covers no pixel.
    """
    if not len(shapes.data):
        raise ValueError(f"region: expected a shape in {shapes.name}, found none; draw a rectangle in it")
    first = next((n for n, kind in enumerate(shapes.shape_type) if kind == "rectangle"), 0)
    stack = stack_of(image)
    corners = []
    for vertex in np.asarray(shapes.data[first]):
        world = np.asarray(shapes.data_to_world(vertex))
        missing = max(image.ndim - world.size, 0)  # layers meet at their last axes
        world = np.concatenate([np.zeros(missing), world])[-image.ndim :]
        corners.append(np.asarray(image.world_to_data(world)))
    y, x = stack.axes.index("Y"), stack.axes.index("X")
    return box_of(np.array(corners)[:, [y, x]], stack.plane_shape)
