"""Whether to believe the result: pictures of the difference, numbers against a clean image, and plots."""

from __future__ import annotations

from qtpy.QtWidgets import QCheckBox

from napari_rdpdenoise.ui.compare.verdict import kept_words
from napari_rdpdenoise.ui.compare.view import View
from napari_rdpdenoise.ui.qt.boxes.readouts import ReadoutsBox
from napari_rdpdenoise.ui.qt.boxes.view import ViewBox, ViewButtons
from napari_rdpdenoise.ui.qt.parts.controls import named, stack, text_label
from napari_rdpdenoise.ui.qt.parts.plots import PathPlot, RatePlot
from napari_rdpdenoise.ui.qt.parts.section import Section
from napari_rdpdenoise.ui.qt.preferences import backbone_folder, preferences
from napari_rdpdenoise.ui.qt.window import NapariWindow
from napari_rdpdenoise.ui.state import DockState

__all__ = ["CheckBox"]

_WHAT = {
    View.REMOVED: "Noisy - denoised, from -4 to 4 times the noise: good if you see no shapes of the image.",
    View.TEXTURE: "What Realism 1 adds, from -1 to 1 times the noise: not in the data, not for measuring.",
    View.ERROR: "In 8 to 9 of 10 pixels the value without noise is at most so many counts off (Realism 0).",
}
_NOT_TOLD = "This model does not tell how far its results may be off; fluo-light does."


class CheckBox(Section):
    """Pictures, readouts and plots of a window's preview.

    Args:
        window: Window of the dock.
        view: Box that shows one image at a time.
    """

    title = "Check"

    def __init__(self, window: NapariWindow, view: ViewBox) -> None:
        super().__init__()
        self._window, self._view = window, view
        self.views = ViewButtons((View.REMOVED, View.TEXTURE), self._toggle)
        self.kept = ViewButtons((View.KEPT, View.ERROR), self._toggle)
        self.what = text_label()
        self.readouts = ReadoutsBox(
            window.viewer,
            window.session.shown,
            lambda: window.layer,
            lambda: window.result_layer,
            lambda: backbone_folder(preferences()),
        )
        self.rates, self.path = RatePlot(), PathPlot()
        self.readouts.path_changed.connect(self.path.set_path)
        self.curves = named(
            QCheckBox("Curves of rate and realism"), "Curves", "Show what rate and realism trade."
        )
        stack(self, self.views, self.kept, self.what, self.readouts, self.curves, self.rates, self.path)
        for part in (self.what, self.rates, self.path):
            part.hide()
        for plot in (self.rates, self.path):
            self.curves.toggled.connect(plot.setVisible)
        window.looked.connect(self._show_view)

    def show_state(self, state: DockState) -> None:
        """Follow the realism slider."""
        self.path.set_realism(state.shown_realism)
        for views in (self.views, self.kept):
            views.setEnabled(state.layer is not None)

    def settled(self) -> None:
        """Show the curve of the channel in view, and check the plane anew."""
        view = self._window.session.view
        plan = view.plan
        self.rates.set_choice(view.choice, None if plan is None else plan.rate)
        self._show_view()
        self.readouts.refresh()

    def shut(self) -> None:
        """Stop what is measured."""
        self.readouts.cancel()

    def _toggle(self, view: View) -> None:
        """Show a picture, or the denoised image again."""
        family = self._window.family
        self._view.choose(View.DENOISED if family is not None and family.view is view else view)

    def _show_view(self, event: object = None) -> None:
        family = self._window.family
        seen = None if family is None else family.seen
        for views in (self.views, self.kept):
            views.show_view(seen)
        self.what.setText(self._words(seen))
        self.what.setVisible(bool(self.what.text()))

    def _words(self, seen: View | None) -> str:
        """What a picture shows; empty for what is none of ours."""
        family = self._window.family
        shown = self._window.session.shown()
        if seen is View.KEPT:
            return kept_words(shown)
        if seen is View.ERROR and shown is not None and shown.error is None:
            return _NOT_TOLD
        picture = None if family is None else family.picture(View.ERROR)
        if seen is View.ERROR and picture is not None:
            picture.events.contrast_limits.connect(self._show_view)  # once, however often it is asked for
            dark, bright = picture.contrast_limits
            return f"{_WHAT[seen]} From dark to bright: {dark:.3g} to {bright:.3g} counts."
        return "" if seen is None else _WHAT.get(seen, "")
