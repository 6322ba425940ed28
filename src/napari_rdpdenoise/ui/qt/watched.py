"""The layer that is chosen, which is watched: its pixels, name and place may change at any time."""

from __future__ import annotations

from collections.abc import Callable

import napari

from napari_rdpdenoise.ui.qt.parts.links import Links

__all__ = ["WatchedLayer"]

_PIXELS = ("data", "axis_labels")
_PLACE = ("scale", "translate", "rotate", "shear", "affine", "units")


class WatchedLayer:
    """At most one layer at a time.

    Args:
        viewer: Viewer that holds the layer.
        pixels: Function called when its pixels, or what their axes mean, are others.
        name: Function called when it has another name.
        place: Function called when it has another place, scale or unit.
        view: Function called when another part of it is shown, by a projection.

    Attributes:
        layer: Layer that is watched; None for none.
    """

    def __init__(
        self,
        viewer: napari.viewer.Viewer,
        pixels: Callable[[], None],
        name: Callable[[], None],
        place: Callable[[], None],
        view: Callable[[], None],
    ) -> None:
        self.layer: napari.layers.Image | None = None
        self._links = Links(viewer)
        self._calls = [*((event, pixels) for event in _PIXELS), ("name", name), ("projection_mode", view)]
        self._calls += [(event, place) for event in _PLACE]

    def watch(self, layer: napari.layers.Image | None) -> None:
        """Watch another layer, None for none."""
        self._links.cut()
        self.layer = layer
        if layer is not None:
            for event, call in self._calls:
                self._links.connect(getattr(layer.events, event), call)
