"""The row of buttons that flips between noisy, fidelity, realism and the slider's own blend."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import napari
from napari.layers import Layer
from qtpy.QtWidgets import QButtonGroup, QHBoxLayout, QPushButton, QSizePolicy, QWidget

from napari_rdpdenoise.nn.decoder_names import REALISM, lacks
from napari_rdpdenoise.ui.compare.arrays import Toggle, Which
from napari_rdpdenoise.ui.qt.parts.controls import named
from napari_rdpdenoise.ui.qt.parts.links import Links

__all__ = ["KEY", "NO_REALISM", "ToggleRow"]

KEY = "N"  # napari 0.9 has it neither for the viewer nor for image layers
NO_REALISM = f"{lacks(REALISM).capitalize()}."
_TIPS = {
    Which.NOISY: "Show the noisy image: the result layer is hidden.",
    Which.FIDELITY: "Show the decode of lowest error: the realism slider at 0.",
    Which.REALISM: "Show the decode of most natural texture: the realism slider at 1.",
    Which.SLIDER: "Show what the realism slider asks for.",
}


class ToggleRow(QWidget):
    """Four buttons of which one is down.

    Args:
        noisy_layer, result_layer, set_realism: As `CompareBox` takes them.
        links: Links of the box, for the key.
    """

    def __init__(
        self,
        noisy_layer: Callable[[], Layer | None],
        result_layer: Callable[[], Layer | None],
        set_realism: Callable[[float], None],
        links: Links,
    ) -> None:
        super().__init__()
        self._noisy, self._result = noisy_layer, result_layer
        self._toggle = Toggle(set_realism)
        self._back = Which.SLIDER  # what was shown before the noisy image
        self._changed: list[tuple[Layer, bool]] = []  # layers that are shown or hidden now, and as they were
        self._buttons = {which: QPushButton(which.value) for which in Which}
        free = links.bind(KEY, _flipper(self))
        self._hint = f" Hold {KEY} in the viewer to flip between noisy and result." if free else ""
        self._build()

    def _build(self) -> None:
        group, row = QButtonGroup(self), QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(1)
        for which, button in self._buttons.items():
            button.setCheckable(True)
            # a quarter of the row each: what a style asks for beside the words may be more than 320 px
            button.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
            group.addButton(button)
            row.addWidget(button, stretch=1)
            button.clicked.connect(lambda _, which=which: self.choose(which))
        self._buttons[self.which].setChecked(True)
        self.enable(usable=False, realism=True)

    @property
    def which(self) -> Which:
        """What is shown."""
        return self._toggle.which

    def button(self, which: Which) -> QPushButton:
        """The button of one choice."""
        return self._buttons[which]

    def choose(self, which: Which) -> None:
        """Show something else in the place of the result."""
        if which is Which.NOISY and self.which is not Which.NOISY:
            self._back = self.which
        self._toggle.choose(which)
        self.apply()

    def flip(self) -> None:
        """From the noisy image to what was shown before it, or from anything else to the noisy image."""
        self.choose(self._back if self.which is Which.NOISY else Which.NOISY)

    def update_from(self, realism: float | None) -> None:
        """Follow the realism slider, and another result layer, or one that the user shows by hand."""
        if realism is not None:
            self._toggle.saw(realism)
        result = self._result()
        if self.which is Which.NOISY and any(
            layer is result and result.visible for layer, _ in self._changed
        ):
            self._changed = [(layer, visible) for layer, visible in self._changed if layer is not result]
            self._toggle.which = self._back
        self.apply()

    def apply(self) -> None:
        """Hide the result while the noisy image is chosen, else show what was hidden."""
        self._buttons[self.which].setChecked(True)
        if self.which is not Which.NOISY:
            self.restore()
            return
        known = {id(layer) for layer, _ in self._changed}
        for layer, visible in ((self._result(), False), (self._noisy(), True)):
            if layer is not None and id(layer) not in known:
                self._changed.append((layer, layer.visible))
                layer.visible = visible

    def restore(self) -> None:
        """Show and hide the layers as they were before the noisy image was chosen."""
        changed, self._changed = self._changed, []
        for layer, visible in changed:
            layer.visible = visible

    def enable(self, *, usable: bool, realism: bool) -> None:
        """Offer what there is: whether there is a layer to compare, and a realism decoder."""
        for which, button in self._buttons.items():
            lacking = which is Which.REALISM and not realism
            button.setEnabled(usable and not lacking)
            named(button, f"Show {which.value.lower()}", NO_REALISM if lacking else _TIPS[which] + self._hint)


def _flipper(row: ToggleRow) -> Callable[[Any], Iterator[None]]:
    """For a key: flips while it is held. napari asks for a generator function, which no method is."""

    def flip(viewer: napari.viewer.Viewer) -> Iterator[None]:
        row.flip()
        yield
        row.flip()

    return flip
