"""Layers that lie where a noisy layer lies, and go where it goes.

A layer that the user has put elsewhere by hand stays there.
"""

from __future__ import annotations

from typing import Any

import napari
import numpy as np
from napari.layers import Image

from napari_rdpdenoise.ui.qt.layers import position_of
from napari_rdpdenoise.ui.qt.parts.links import Links

__all__ = ["Followers"]

_MOVES = ("scale", "translate", "rotate", "shear", "affine", "units")  # events of a layer


class Followers:
    """The layers that follow one noisy layer.

    Args:
        viewer: Viewer that holds the layers.
        noisy: Layer that is followed.
    """

    def __init__(self, viewer: napari.viewer.Viewer, noisy: Image) -> None:
        self._noisy, self._place = noisy, position_of(noisy)
        self._away: dict[int, tuple[Image, Any]] = {}  # by id: a layer, and how many pixels it begins later
        self._links = Links(viewer)
        for name in _MOVES:
            self._links.connect(getattr(noisy.events, name), self._move)

    def add(self, layer: Image) -> None:
        """Have a layer follow, from where it lies: the result of a few times begins at the first of them."""
        if layer.ndim == self._noisy.ndim:
            steps = np.asarray(layer.translate) - np.asarray(self._noisy.translate)
            self._away[id(layer)] = layer, steps / np.asarray(self._noisy.scale)

    def remove(self, layer: Any) -> None:
        """Let a layer follow no more."""
        self._away.pop(id(layer), None)

    def end(self) -> None:
        """Let go of all."""
        self._links.cut()
        self._away.clear()

    def _move(self, event: object = None) -> None:
        before, self._place = self._place, position_of(self._noisy)
        for layer, away in self._away.values():
            if _lies(layer, _shifted(before, away)):
                for name, value in _shifted(self._place, away).items():
                    setattr(layer, name, value)


def _shifted(place: dict[str, Any], away: Any) -> dict[str, Any]:
    """The same place, so many pixels later."""
    return place | {"translate": np.asarray(place["translate"]) + away * np.asarray(place["scale"])}


def _lies(layer: Image, place: dict[str, Any]) -> bool:
    """Whether a layer is there, whatever its axes are called."""
    found = position_of(layer)
    numbers = ("scale", "translate", "rotate", "shear")
    return (
        all(np.shape(found[name]) == np.shape(place[name]) for name in numbers)
        and all(np.allclose(found[name], place[name]) for name in numbers)
        and np.allclose(found["affine"].affine_matrix, place["affine"].affine_matrix)
        and tuple(found["units"]) == tuple(place["units"])
    )
