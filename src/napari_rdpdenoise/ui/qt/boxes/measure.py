"""What the numbers say of what is shown: readouts, the rate's curve, and what realism trades."""

from __future__ import annotations

from napari_rdpdenoise.ui.qt.boxes.readouts import ReadoutsBox
from napari_rdpdenoise.ui.qt.parts.controls import stack
from napari_rdpdenoise.ui.qt.parts.plots import PathPlot, RatePlot
from napari_rdpdenoise.ui.qt.parts.section import Section
from napari_rdpdenoise.ui.qt.preferences import backbone_folder, preferences
from napari_rdpdenoise.ui.qt.window import NapariWindow
from napari_rdpdenoise.ui.state import DockState

__all__ = ["MeasureBox", "section"]


class MeasureBox(Section):
    """Readouts and plots of a window's preview."""

    title = "Read&outs"

    def __init__(self, window: NapariWindow) -> None:
        super().__init__()
        self._view = window.session.view
        self.readouts = ReadoutsBox(
            window.viewer,
            window.session.shown,
            lambda: window.layer,
            lambda: window.result_layer,
            lambda: backbone_folder(preferences()),
        )
        self.rates, self.path = RatePlot(), PathPlot()
        self.readouts.path_changed.connect(self.path.set_path)
        stack(self, self.readouts, self.rates, self.path)

    def show_state(self, state: DockState) -> None:
        """Follow the realism slider."""
        self.path.set_realism(state.shown_realism)

    def settled(self) -> None:
        """Show the curve of the channel in view, and check the plane anew."""
        plan = self._view.plan
        self.rates.set_choice(self._view.choice, None if plan is None else plan.rate)
        self.readouts.refresh()

    def shut(self) -> None:
        """Stop what is measured."""
        self.readouts.cancel()


section = MeasureBox
