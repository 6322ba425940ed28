"""What is known of the viewer's layers from one look to the next: whether pixels changed, and their files."""

from __future__ import annotations

import itertools
from typing import Any
from weakref import WeakKeyDictionary

from napari.layers import Image

from napari_rdpdenoise.ui.layers.origin import Origin, find_origin
from napari_rdpdenoise.ui.preview.window import Subject
from napari_rdpdenoise.ui.qt.layers import full_data, made_of, subject_of

__all__ = ["KnownLayers"]


class KnownLayers:
    """Keys and files of layers, which end with them. A layer that comes back keeps its own."""

    _numbers = itertools.count()  # of all windows: docks share what was computed

    def __init__(self) -> None:
        self._keys: WeakKeyDictionary[Image, int] = WeakKeyDictionary()
        self._origins: WeakKeyDictionary[Image, tuple[Any, Origin | None]] = WeakKeyDictionary()

    def key_of(self, layer: Image) -> int:
        """Number of a layer with the pixels that it has."""
        return self._keys.setdefault(layer, next(self._numbers))

    def renew(self, layer: Image) -> None:
        """Take it for another one: its pixels are others, or nothing that was made of it holds any more."""
        self._keys[layer] = next(self._numbers)

    def origin_of(self, layer: Image) -> Origin | None:
        """The file that holds what a layer does; looked for once for the same data."""
        known = self._origins.get(layer)
        if known is None or known[0] is not layer.data:
            path = layer.source.path if layer.source is not None else None
            channel = made_of(layer).get("channel")
            known = self._origins[layer] = layer.data, find_origin(path, full_data(layer), channel)
        return known[1]

    def subject(self, layer: Image) -> Subject:
        """A layer as the session takes it, without a mask; raises as `layer_axes`."""
        return subject_of(layer, self.key_of(layer), self.origin_of(layer))
