"""Limits of the small plots of a training."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.display


def test_limits_of_a_plot_make_nothing_of_nothing():
    from napari_rdpdenoise.ui.qt.boxes.finetune_view import limits

    assert limits([1.0, 2.0]) == (1.0, 2.0)
    low, high = limits([1.0, 1.001])
    assert high - low == pytest.approx(0.02, rel=0.01)
    assert limits([float("nan"), 3.0, 4.0]) == (3.0, 4.0)
    low, high = limits([0.0])
    assert low < 0 < high


@pytest.mark.parametrize("scale", [1.0, 1.5])
def test_names_and_steps_of_the_curves_are_whole_in_a_narrow_dock(qtbot, scale):
    """Names with their values as long as they get, before there is a value of what is looked at rarely."""
    from napari_rdpdenoise.ui.finetune.curves import Curves
    from napari_rdpdenoise.ui.finetune.events import Progress
    from napari_rdpdenoise.ui.qt.boxes.finetune_view import CurvePlots

    plots, curves = CurvePlots(), Curves()
    qtbot.addWidget(plots)
    plots.setStyleSheet(f"* {{font-size: {round(12 * scale)}px}}")
    plots.resize(290, 400)
    plots.show()
    qtbot.waitUntil(lambda: len(plots._panels) == 4, timeout=30_000)
    curves.add(Progress(31, 100, {"loss": 0.00123, "critic": -0.0123, "bpp": 0.00123}, before=0.0397))
    plots.set_curves(curves)
    ranges = {tuple(panel.plot.viewRange()[0]) for panel in plots._panels}
    ticks = {str(panel.plot.getAxis("bottom")._tickLevels) for panel in plots._panels}
    assert len(ranges) == 1, "one step is at one place in all of them"
    assert len(ticks) == 1
    assert "31" in ticks.pop()
    curves.add(Progress(32, 100, {}, held_out=-0.000391, before=0.0397))
    plots.set_curves(curves)

    def cut():
        titles = [panel.title for panel in plots._panels]
        widest = lambda label: max(map(label.fontMetrics().horizontalAdvance, label.text().split()))  # noqa: E731
        wide = [t.text() for t in titles if not t.wordWrap() or widest(t) > t.width()]
        return wide + [t.text() for t in titles if t.heightForWidth(t.width()) > t.height()]

    qtbot.waitUntil(lambda: not cut(), timeout=5000)
