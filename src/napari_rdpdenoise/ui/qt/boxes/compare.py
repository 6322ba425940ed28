"""The dock's box for comparing: noisy against result, what was removed and added, and what to make of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import napari
from napari.layers import Image, Layer
from napari.utils.notifications import show_warning
from qtpy.QtCore import Qt
from qtpy.QtGui import QCloseEvent, QShowEvent
from qtpy.QtWidgets import QCheckBox, QHBoxLayout
from superqt import QLabeledSlider
from superqt.utils import signals_blocked

from napari_rdpdenoise.ui.preview.shown import Shown
from napari_rdpdenoise.ui.qt.boxes.compare_layers import GapLayer, Overlay, ResidualLayer, SplitLayer
from napari_rdpdenoise.ui.qt.boxes.compare_toggle import NO_REALISM, ToggleRow
from napari_rdpdenoise.ui.qt.boxes.compare_words import Teller
from napari_rdpdenoise.ui.qt.parts.controls import named, row, single_shot, stack, text_label
from napari_rdpdenoise.ui.qt.parts.links import Links
from napari_rdpdenoise.ui.qt.parts.section import Section
from napari_rdpdenoise.ui.qt.window import NapariWindow

__all__ = ["CompareBox", "section"]

_REFRESH_MS = 150  # a preview that fills in asks many times a second
_WORDS_MS = 400
_GAP_TIP = "Add a layer of realism - fidelity: texture that the data do not determine."


class CompareBox(Section):
    """Compare the noisy layer with its result. `refresh` is called whenever anything has changed.

    Args:
        viewer: Viewer that holds the layers.
        noisy_layer: Function that tells the chosen layer, or None.
        result_layer: Function that tells its result, or None.
        shown: Function that tells the plane that is shown, or None.
        set_realism: Function that moves the realism slider, 0 to 1.
    """

    title = "&Compare"

    def __init__(
        self,
        viewer: napari.viewer.Viewer,
        noisy_layer: Callable[[], Layer | None],
        result_layer: Callable[[], Layer | None],
        shown: Callable[[], Shown | None],
        set_realism: Callable[[float], None],
    ) -> None:
        super().__init__()
        self._viewer, self._noisy, self._result, self._shown = viewer, noisy_layer, result_layer, shown
        self._links = Links(viewer)
        self._toggle = ToggleRow(noisy_layer, result_layer, set_realism, self._links)
        self._split, self._residual, self._gap = SplitLayer(viewer), ResidualLayer(viewer), GapLayer(viewer)
        self._split_on, self._divider = QCheckBox("Split view"), QLabeledSlider(Qt.Orientation.Horizontal)
        self._residual_on, self._gap_on = QCheckBox("Residual"), QCheckBox("Realism gap")
        self._overlays: tuple[tuple[Overlay, QCheckBox], ...] = (
            (self._split, self._split_on),
            (self._residual, self._residual_on),
            (self._gap, self._gap_on),
        )
        self._words, self._teller = text_label(), Teller(self)
        self._timer = single_shot(self, _REFRESH_MS, self._update)
        self._words_timer = single_shot(self, _WORDS_MS, self._ask)
        self._build()
        self._listen()
        self.refresh()

    # What is in it

    def _build(self) -> None:
        self._divider.setRange(0, 100)
        self._divider.setValue(50)
        self._words.setTextFormat(Qt.TextFormat.PlainText)
        named(self._split_on, "Split view", "Lay the noisy image over the left part of the result.")
        named(self._divider, "Divider", "Percent of the width that shows the noisy image.")
        named(
            self._residual_on,
            "Residual",
            "Add a layer of what was removed, noisy - result: it should look like noise, without structure.",
        )
        named(self._words, "Residual checks", "What was removed, compared with the noise that is expected.")
        split = row(self._split_on, self._divider, wide=self._divider)
        layers = QHBoxLayout()
        layers.addWidget(self._residual_on)
        layers.addWidget(self._gap_on)
        layers.addStretch()
        stack(self, self._toggle, split, layers, self._words)
        self._enable(None, None)

    def _listen(self) -> None:
        self._teller.told.connect(self._words.setText)
        self._divider.valueChanged.connect(self._split.move_divider)
        for _, box in self._overlays:
            box.toggled.connect(self._update)
        self._links.connect(self._viewer.layers.events.removed, self._forget)
        self._links.connect(self._viewer.dims.events.order, self.refresh)
        self._links.connect(self._viewer.dims.events.ndisplay, self.refresh)
        self.destroyed.connect(self._links.cut)  # not a method of ours: they are gone by then

    # What the dock calls

    def refresh(self, event: Any = None) -> None:
        """Bring everything up to date soon, if anybody sees it: layers, planes, results or realism changed.

        Cheap, to be called as often as one likes.
        """
        needed = self.isVisible() or any(box.isChecked() for _, box in self._overlays)
        if needed and self._links.whole and not self._timer.isActive():
            self._timer.start()

    def opened(self) -> None:
        """Bring everything up to date."""
        self.refresh()

    def shut(self) -> None:
        """Take the split view and the key away and show what was hidden; residual and gap layers stay."""
        if not self._links.whole:
            return
        self._links.cut()
        self._timer.stop()
        self._words_timer.stop()
        self._teller.told.disconnect(self._words.setText)
        self._toggle.restore()
        self._split.remove()

    def closeEvent(self, event: QCloseEvent) -> None:
        """Let go of the viewer."""
        self.shut()
        super().closeEvent(event)

    def showEvent(self, event: QShowEvent) -> None:
        """Catch up: no words are looked for while nobody sees them."""
        super().showEvent(event)
        self.refresh()

    # Layers

    def _update(self) -> None:
        """Make all layers what the controls ask for."""
        if not self._links.whole:
            return
        shown, noisy, result = self._shown(), self._usable(self._noisy()), self._usable(self._result())
        self._toggle.update_from(None if shown is None else shown.alpha)
        self._enable(noisy, shown)
        for overlay, box in self._overlays:
            if overlay.orphan:
                _uncheck(box)
            if not box.isChecked():
                overlay.remove()
        if result is None:
            self._split.remove()
        if noisy is not None:
            self._update_layers(noisy, result, shown)
        if not self._words_timer.isActive():
            self._words_timer.start()

    def _update_layers(self, noisy: Image, result: Image | None, shown: Shown | None) -> None:
        if shown is not None and shown.layer != noisy.name:
            shown = None  # of the layer that was chosen before
        if self._split_on.isChecked() and result is not None:
            self._split.update(noisy, result, self._divider.value())
        if self._residual_on.isChecked() and result is not None:
            self._attempt(self._residual_on, lambda: self._residual.update(noisy, result, shown))
        if self._gap_on.isChecked():
            self._attempt(self._gap_on, lambda: self._gap.update(noisy, shown))

    def _attempt(self, box: QCheckBox, work: Callable[[], None]) -> None:
        """Do it, or say once why not and uncheck the box."""
        try:
            work()
        except ValueError as error:
            _uncheck(box)
            show_warning(f"No layer of the {box.text().lower()}: {error}")

    def _usable(self, layer: Layer | None) -> Image | None:
        """The layer, if it can be compared: an image with one value per pixel, that is in the viewer."""
        if not isinstance(layer, Image) or layer.rgb or layer not in self._viewer.layers:
            return None
        return layer

    def _enable(self, noisy: Image | None, shown: Shown | None) -> None:
        realism = shown is None or shown.realism is not None
        self._toggle.enable(usable=noisy is not None, realism=realism)
        for _, box in self._overlays:
            box.setEnabled(noisy is not None)
        self._gap_on.setEnabled(noisy is not None and (realism or self._gap_on.isChecked()))
        named(self._gap_on, "Realism gap", _GAP_TIP if realism else NO_REALISM)
        self._divider.setEnabled(noisy is not None and self._split_on.isChecked())

    def _forget(self, event: Any) -> None:
        """Uncheck the box of a layer that the user removed; what else follows from it comes soon."""
        for overlay, box in self._overlays:
            if overlay.forget(event.value):
                _uncheck(box)
        self.refresh()

    # Words

    def _ask(self) -> None:
        if self.isVisible():
            self._teller.ask(self._shown())


def section(window: NapariWindow) -> CompareBox:
    """The section of a dock. It follows the view also while it is folded away: its layers show then, too."""
    box = CompareBox(
        window.viewer,
        lambda: window.layer,
        lambda: window.result_layer,
        window.session.shown,
        lambda value: window.edit(realism=value),
    )
    window.settled_view.connect(box.refresh)
    window.redrawn.connect(box.refresh)
    return box


def _uncheck(box: QCheckBox) -> None:
    """Without the consequences that a click has."""
    with signals_blocked(box):
        box.setChecked(False)
