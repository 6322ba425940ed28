"""Settings that most users never touch, and the cache, folded away."""

from __future__ import annotations

from napari.utils.notifications import show_error

from napari_rdpdenoise.ui.qt.boxes.cache import CacheBox
from napari_rdpdenoise.ui.qt.parts.controls import stack
from napari_rdpdenoise.ui.qt.parts.section import Section
from napari_rdpdenoise.ui.qt.parts.settings_form import SettingsForm
from napari_rdpdenoise.ui.qt.window import NapariWindow
from napari_rdpdenoise.ui.state import DockState

__all__ = ["AdvancedBox", "section"]


class AdvancedBox(Section):
    """The settings of the group "advanced" of a window's session, and the cache."""

    title = "&Advanced"

    def __init__(self, window: NapariWindow) -> None:
        super().__init__()
        session = window.session
        self.form = SettingsForm(
            "advanced",
            lambda: session.state.settings(),
            lambda name, value: session.edit_settings(**{name: value}),
            show_error,
        )
        self.cache = CacheBox(window.cache)
        stack(self, self.form, self.cache)

    def show_state(self, state: DockState) -> None:
        """Show the settings; a run locks them."""
        self.form.setEnabled(not state.busy)
        self.form.show_settings(state.settings())

    def opened(self) -> None:
        """Bring the size of the cache up to date."""
        self.cache.refresh()


section = AdvancedBox
