"""What is denoised and how: the layer, the model, rate and realism, and whether it is previewed."""

from __future__ import annotations

from napari.layers import Image
from qtpy.QtWidgets import QCheckBox, QFormLayout, QLabel

from napari_rdpdenoise.codec.library import find
from napari_rdpdenoise.ui.qt.background import alive
from napari_rdpdenoise.ui.qt.boxes.model import ModelChoice
from napari_rdpdenoise.ui.qt.layers import is_ours
from napari_rdpdenoise.ui.qt.parts.controls import named, row, show_value, stack, text_label, unit_slider
from napari_rdpdenoise.ui.qt.parts.layer_choice import LayerChoice
from napari_rdpdenoise.ui.qt.parts.links import Links
from napari_rdpdenoise.ui.qt.parts.section import Section
from napari_rdpdenoise.ui.qt.window import NapariWindow
from napari_rdpdenoise.ui.state import DockState

__all__ = ["ImageBox", "section"]


class ImageBox(Section):
    """The controls that are always in sight, of a window with the viewer and the session."""

    def __init__(self, window: NapariWindow) -> None:
        super().__init__()
        self._window = window
        self._links = Links(window.viewer)
        self.layers = named(
            LayerChoice(window.viewer.layers, Image, None, is_ours),
            "Image layer",
            "The image layer to denoise.",
        )
        self.facts = named(text_label(), "About the layer", "Axes, size, and the noise that was measured.")
        self.model = ModelChoice()
        self.auto = named(
            QCheckBox("Auto"), "Automatic rate", "Choose the rate from the noise measured in the image."
        )
        self.rate = named(
            unit_slider(),
            "Rate",
            "Bits that the image may keep: 0 fewest, the strongest denoising; 1 most, the weakest.",
        )
        self.outcome = named(
            text_label(), "Outcome", "Bits per pixel, and what was removed against the noise measured."
        )
        self.realism = unit_slider()
        self.preview = named(
            QCheckBox("Previe&w what is in view"),
            "Preview",
            "Denoise what the viewer shows at once, into a layer that fills in.",
        )
        self.preview_line = named(text_label(), "Preview status", "")
        self._arrange()
        self._listen()

    def _arrange(self) -> None:
        form = QFormLayout()
        form.addRow("&Image", self.layers)
        form.addRow(self.facts)
        form.addRow("&Model", self.model)
        title = QLabel("&Rate")
        title.setBuddy(self.rate)
        form.addRow(title, row(self.auto, self.rate, wide=self.rate))
        form.addRow(self.outcome)
        form.addRow("R&ealism", self.realism)
        stack(self, form, self.preview, self.preview_line)

    def _listen(self) -> None:
        window = self._window
        events = window.viewer.layers.events
        for event in (events.inserted, events.removed, events.reordered, events.renamed):
            self._links.connect(event, self.follow)
        self.layers.currentIndexChanged.connect(lambda _: window.choose(self.layers.layer))
        self.auto.toggled.connect(lambda on: window.edit(auto_rate=on))
        self.rate.valueChanged.connect(lambda value: window.edit(rate=value))
        self.realism.valueChanged.connect(lambda value: window.edit(realism=value))
        self.preview.toggled.connect(lambda on: window.session.edit(preview=on))
        self.model.chosen.connect(lambda name: window.edit(model=name))
        self.destroyed.connect(self._links.cut)  # not a method of ours: they are gone by then
        window.tuned.connect(lambda folder: self.model.offer([find(folder)]))

    def follow(self, event: object = None) -> None:
        """List the viewer's layers anew, and take the one that is chosen then."""
        if not self._links.whole or not alive(self):
            return
        self.layers.follow()
        self._window.choose(self.layers.layer)

    def choose(self, layer: Image) -> None:
        """Take a layer of the viewer; a ValueError says that it is not offered."""
        if layer not in self.layers.offered:
            raise ValueError(f"layer: expected an image layer of this viewer, found {layer!r}; add it first")
        self.layers.choose(layer)

    def show_state(self, state: DockState) -> None:
        """Show what is set and what was found; a run locks the settings."""
        free = not state.busy
        self.layers.setEnabled(free)
        self.facts.setText(state.facts)
        self.model.setEnabled(free)
        self.model.show_model(state.model)
        self.auto.setEnabled(free)
        self.auto.setChecked(state.auto_rate)
        self.rate.setEnabled(free and not state.auto_rate)
        show_value(self.rate, state.shown_rate)
        self.outcome.setText(state.outcome)
        self.realism.setEnabled(state.realism_note is None)
        show_value(self.realism, state.realism)
        named(
            self.realism,
            "Realism",
            state.realism_note
            or "0 for the lowest error, 1 for the most natural texture, which is no measurement.",
        )
        self.preview.setChecked(state.preview)
        self.preview_line.setText(state.preview_line)

    def shut(self) -> None:
        """Let go of the viewer."""
        self._links.cut()


section = ImageBox
