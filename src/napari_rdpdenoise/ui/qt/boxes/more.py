"""What most users never touch: the model, the preview, other settings, jobs and the cache."""

from __future__ import annotations

from napari.layers import Labels
from napari.utils.notifications import show_error
from qtpy.QtWidgets import QCheckBox, QFormLayout

from napari_rdpdenoise.codec.library import find
from napari_rdpdenoise.ui.qt.boxes.cache import CacheBox
from napari_rdpdenoise.ui.qt.boxes.model import ModelChoice
from napari_rdpdenoise.ui.qt.boxes.repeat import RepeatBox
from napari_rdpdenoise.ui.qt.parts.controls import named, stack
from napari_rdpdenoise.ui.qt.parts.layer_choice import LayerChoice
from napari_rdpdenoise.ui.qt.parts.section import Section
from napari_rdpdenoise.ui.qt.parts.settings_form import SettingsForm
from napari_rdpdenoise.ui.qt.window import NapariWindow
from napari_rdpdenoise.ui.state import DockState

__all__ = ["MoreBox", "section"]


class MoreBox(Section):
    """Model, preview, the settings of the group "advanced" of a window's session, jobs, and the cache."""

    title = "More"

    def __init__(self, window: NapariWindow) -> None:
        super().__init__()
        session = window.session
        self.model = ModelChoice()
        self.preview = named(
            QCheckBox("Denoise what is in view at once"),
            "Preview",
            "Show the result of what is in view at once.",
        )
        self.form = SettingsForm(
            "advanced",
            lambda: session.state.settings(),
            lambda name, value: session.edit_settings(**{name: value}),
            show_error,
        )
        self.mask = named(
            LayerChoice(window.viewer.layers, Labels, "no mask layer"),
            "Mask layer",
            "A labels layer: what is painted in it is not image. It stays as it is, and counts nowhere.",
        )
        self.repeat = RepeatBox(session.request, session.take_settings)
        self.cache = CacheBox(window.cache)
        self._layer: str | None = None  # of which it is said what was copied or saved
        form = QFormLayout()
        form.addRow("Model", self.model)
        form.addRow("Not image", self.mask)
        stack(self, form, self.preview, self.form, self.repeat, self.cache)
        self.mask.currentIndexChanged.connect(lambda _: window.mask.choose(self.mask.layer))
        self.model.chosen.connect(lambda name: window.edit(model=name))
        self.preview.toggled.connect(lambda on: session.edit(preview=on))
        window.tuned.connect(lambda folder: self.model.offer([find(folder)]))

    def show_state(self, state: DockState) -> None:
        """Show the settings; a run locks them."""
        if state.layer != self._layer:
            self._layer = state.layer
            self.repeat.forget()
        self.model.setEnabled(not state.busy)
        self.mask.setEnabled(not state.busy)
        self.model.show_model(state.model)
        self.preview.setChecked(state.preview)
        self.form.setEnabled(not state.busy)
        self.form.show_settings(state.settings())

    def shut(self) -> None:
        """Leave nothing to come."""
        self.repeat.shut()

    def opened(self) -> None:
        """Bring the size of the cache up to date."""
        self.cache.refresh()


section = MoreBox
