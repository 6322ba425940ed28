"""The two live plots: what is drawn, what is said in words, and what they do without pyqtgraph."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from napari_rdpdenoise.codec.choice import RateChoice
from napari_rdpdenoise.ui.compare.readouts import PathPoint, RealismPath

pytestmark = pytest.mark.display

CURVE = tuple((r, 1 + 2 * (1 - r) ** 4, 0.1 + r) for r in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0))
CHOICE = RateChoice(0.4, 0.5, 1.0, 1.26, CURVE, None)
POINTS = tuple(PathPoint(a, 0.08 + 0.1 * a, 36.0 - 2 * a) for a in (0.0, 0.5, 1.0))
PATH = RealismPath(POINTS, "LPIPS", "PSNR, dB")


@pytest.fixture
def shown(qtbot):
    """Shows a plot, waits until it is built, and holds it: nothing must delete it while Qt paints it."""
    held = []

    def show(plot):
        held.append(plot)
        qtbot.addWidget(plot)
        plot.resize(320, 220)
        plot.show()
        qtbot.waitUntil(lambda: plot._plot is not None, timeout=30_000)
        return plot

    yield show
    held.clear()


def drawn(plot):
    """Symbol and data of everything drawn with points."""
    curves = plot._plot.getPlotItem().listDataItems()
    return [(item.opts["symbol"], *item.getData()) for item in curves if item.getData()[0] is not None]


def lines(plot):
    import pyqtgraph

    items = plot._plot.getPlotItem().items
    lines = [item for item in items if isinstance(item, pyqtgraph.InfiniteLine) and item.isVisible()]
    return {line.angle: line.value() for line in lines}


def test_the_rate_plot_draws_curve_level_choice_and_rate_in_use(shown):
    from napari_rdpdenoise.ui.qt.parts.plots import RatePlot

    plot = shown(RatePlot())
    assert drawn(plot) == []
    plot.set_choice(CHOICE, 0.7)
    (line, x, y), (mark, auto_x, auto_y) = drawn(plot)
    np.testing.assert_allclose(np.array([x, y]).T, np.array(CURVE)[:, :2])
    assert (auto_x[0], auto_y[0]) == (0.4, 1.26)
    assert line != mark
    assert lines(plot) == {0: 1.0, 90: 0.7}
    words = plot.accessibleDescription()
    for number in ("0.40", "1.26", "0.50 bits/pixel", "1.00", "0.70", "0.80 bits/pixel"):
        assert number in words
    assert plot._label.text() == words
    plot.set_choice(None, 0.7)
    assert drawn(plot) == []
    assert lines(plot) == {}
    assert "No curve" in plot.accessibleDescription()


def test_the_path_plot_moves_its_ring_along_the_path(shown):
    from napari_rdpdenoise.ui.qt.parts.plots import PathPlot

    plot = shown(PathPlot())
    plot.set_path(PATH)
    plot.set_realism(0.25)
    marks = drawn(plot)
    assert len({mark for mark, *_ in marks[1:]}) == 3
    assert (marks[-1][1][0], marks[-1][2][0]) == pytest.approx((0.105, 35.5))
    assert "slider at 0.25: 35.50 at 0.105" in plot.accessibleDescription()
    # the numbers at the axes are the data's own
    assert plot._plot.getAxis("bottom").autoSIPrefixScale == 1
    plot.set_path(RealismPath((), "", "", "Nothing to trade."))
    plot.set_realism(0.5)
    assert drawn(plot) == []
    assert plot.accessibleDescription() == "Nothing to trade."


def test_a_path_that_grows_has_no_realism_end_and_no_slider_beyond_it_in_words(shown):
    from napari_rdpdenoise.ui.qt.parts.plots import PathPlot

    plot = shown(PathPlot())
    plot.set_realism(0.9)
    plot.set_path(RealismPath(POINTS[:2], "LPIPS", "PSNR, dB"))
    assert "▲" not in plot.accessibleDescription()
    assert "slider" not in plot.accessibleDescription()
    plot.set_path(PATH)
    assert "▲ realism 1: 34.00" in plot.accessibleDescription()
    assert "slider at 0.90" in plot.accessibleDescription()


@pytest.mark.parametrize(("text", "ground"), [("#f0f0f0", "#262930"), ("#3b3a39", "#efebe9")])
def test_the_colours_are_those_of_the_style_sheet(shown, text, ground):
    from napari_rdpdenoise.ui.qt.parts.plots import PathPlot

    plot = PathPlot()
    plot.set_path(PATH)
    shown(plot)
    plot.setStyleSheet(f"QWidget {{ color: {text}; background-color: {ground}; }}")
    assert plot._plot.backgroundBrush().color().name() == ground
    assert plot._plot.getAxis("left").textPen().color().name() == text


def test_without_pyqtgraph_the_words_remain(qtbot, monkeypatch):
    from napari_rdpdenoise.ui.qt.parts.plots import RatePlot

    monkeypatch.setitem(sys.modules, "pyqtgraph", None)
    plot = RatePlot()
    qtbot.addWidget(plot)
    plot.show()
    qtbot.waitUntil(lambda: "install pyqtgraph" in plot._label.text())
    plot.set_choice(CHOICE, None)
    assert "automatic rate 0.40" in plot._label.text()
    plot.hide()
    plot.show()
    assert plot._plot is None


def test_pyqtgraph_is_not_imported_before_a_plot_is_shown():
    code = (
        "import sys; from qtpy.QtWidgets import QApplication; app = QApplication([]); "
        "from napari_rdpdenoise.ui.qt.parts.plots import RatePlot; RatePlot(); "
        "sys.exit('pyqtgraph' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0


def test_a_plot_shown_while_another_imports_pyqtgraph_waits_for_it(qtbot, monkeypatch):
    import types

    from napari_rdpdenoise.ui.qt.parts import plots

    monkeypatch.setitem(sys.modules, "pyqtgraph", types.ModuleType("pyqtgraph"))  # half imported
    started = []
    plot = plots.RatePlot()
    qtbot.addWidget(plot)
    monkeypatch.setattr(plot._loader, "ask", lambda *arguments: started.append(arguments))
    plot.show()
    assert plot._plot is None
    assert len(started) == 1
