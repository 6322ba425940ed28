"""The families of a viewer's layers, as one dock knows them; docks share them."""

from __future__ import annotations

from collections.abc import Callable

import napari
from napari.layers import Image, Layer

from napari_rdpdenoise.ui.qt.family import Family

__all__ = ["Families"]


class Families:
    """Families by noisy layer, made when they are asked for.

    Args:
        viewer: Viewer that holds the layers.
        elsewhere: Function that gives the family of a layer that another dock knows; None for none.
        changed: Function called when something else of any of them is shown.

    Attributes:
        known: Families that were asked for, by noisy layer.
    """

    def __init__(
        self,
        viewer: napari.viewer.Viewer,
        elsewhere: Callable[[Image], Family | None],
        changed: Callable[[], None],
    ) -> None:
        self._viewer, self._elsewhere = viewer, elsewhere
        self._changed = changed  # by identity: a signal's method is another one each time
        self.known: dict[Image, Family] = {}

    def of(self, noisy: Image) -> Family:
        """What was made of a layer of the viewer."""
        if noisy not in self.known:
            self.known[noisy] = self._elsewhere(noisy) or Family(self._viewer, noisy)
            self.known[noisy].listen(self._changed)
        return self.known[noisy]

    def apply(self) -> None:
        """Show of each what can be shown now, as in 3-D only whole stacks can."""
        for family in self.known.values():
            family.apply()

    def removed(self, layer: Layer) -> Family | None:
        """Note that a layer was removed by somebody; returns its family, which is to end, if it had one."""
        for family in self.known.values():
            if family.forget(layer):
                break
        return self.known.pop(layer, None)

    def close(self) -> None:
        """End all that no other dock knows."""
        for noisy, family in self.known.items():
            family.unlisten(self._changed)
            if self._elsewhere(noisy) is None:
                family.end()
        self.known.clear()
