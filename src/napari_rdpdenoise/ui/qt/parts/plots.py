"""Two small live plots: rate against residual, and what the realism slider trades.

pyqtgraph takes a third of a second to import, so it is imported in a thread when a plot is first shown; until
then, and where it is not installed, the same numbers stand there in words.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QEvent, Qt
from qtpy.QtGui import QColor, QPalette, QShowEvent
from qtpy.QtWidgets import QWidget

from napari_rdpdenoise.ui.compare.readouts import RealismPath
from napari_rdpdenoise.ui.qt.background import Newest
from napari_rdpdenoise.ui.qt.parts.controls import named, stack, text_label

if TYPE_CHECKING:
    from napari_rdpdenoise.codec.choice import RateChoice

__all__ = ["PathPlot", "Plot", "RatePlot", "quiet_plot"]

_HEIGHT = 140  # px
_SIDES = ("left", "bottom", "top")
_TICKS = (0.0, 0.25, 0.5, 0.75)  # of the rate; the unit stands at 1
_LEFT = 46  # px, so that the plots stand below each other
_RIGHT = 12  # px, for half of the last number


class Plot(QWidget):
    """A plot with a name, and its numbers in words below it, or a text while there is nothing to plot."""

    def __init__(self, name: str, empty: str) -> None:
        super().__init__()
        self._pg: Any = None
        self._plot: Any = None
        self._loader = Newest(self)
        self._styles: list[tuple[Any, bool, bool]] = []
        self._lines: list[tuple[Any, bool]] = []
        self._empty = empty
        self._missing = ""
        self._label = text_label()
        stack(self, self._label)
        named(self, name, empty)
        self._label.setAccessibleName(f"{name} in words")
        self._say()

    def showEvent(self, event: QShowEvent) -> None:
        """Build the plot when it is first seen."""
        super().showEvent(event)
        if self._plot is not None or self._missing or self._loader.busy:
            return
        loaded = sys.modules.get("pyqtgraph")
        if hasattr(loaded, "PlotWidget"):  # not while another plot's thread is in the middle of importing it
            self._build(loaded)
        else:
            self._loader.ask(lambda: import_module("pyqtgraph"), self._build, self._loaded)

    def changeEvent(self, event: QEvent) -> None:
        """Follow the theme."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.StyleChange, QEvent.Type.PaletteChange) and self._plot is not None:
            self._draw()

    def _loaded(self, error: Exception | None) -> None:
        if error is not None:
            self._missing = f"No plot: {error}; install pyqtgraph to see it. "
            self._say()

    def _build(self, pyqtgraph: Any) -> None:
        self._pg = pyqtgraph
        self._plot = quiet_plot(pyqtgraph, self, _HEIGHT)
        self._plot.getAxis("left").setWidth(_LEFT)
        self._plot.getPlotItem().layout.setContentsMargins(0, 0, _RIGHT, 0)
        self.layout().insertWidget(0, self._plot)
        self._make()
        self._draw()

    def _dots(self, shape: str, size: int, *, filled: bool = True, line: bool = False) -> Any:
        """Add points of a shape and size in px, set later: Qt may still paint items that were removed."""
        item = self._plot.plot([], [], pen=None, symbol=shape, symbolSize=size)
        self._styles.append((item, filled, line))
        return item

    def _level(self, angle: int, *, dashed: bool = False) -> Any:
        """Add a line across the plot, hidden at first; 0 degrees is level, 90 upright."""
        line = self._pg.InfiniteLine(0, angle=angle)
        line.hide()
        self._plot.addItem(line, ignoreBounds=True)
        self._lines.append((line, dashed))
        return line

    def _draw(self) -> None:
        """Show what is set, in the theme's colours: a few dozen points."""
        if self._plot is None:
            return
        colour, ground = self._colours()
        self._plot.setBackground(ground)
        for side in _SIDES:
            axis = self._plot.getAxis(side)
            axis.setPen(colour)
            axis.setTextPen(colour)
        for item, filled, line in self._styles:
            item.setPen(self._pg.mkPen(colour, width=2) if line else None)
            item.setSymbolPen(colour)
            item.setSymbolBrush(colour if filled else None)
        for line, dashed in self._lines:
            style = Qt.PenStyle.DashLine if dashed else Qt.PenStyle.SolidLine
            line.setPen(self._pg.mkPen(colour, width=1 if dashed else 2, style=style))
        self._set()

    def _colours(self) -> tuple[QColor, QColor]:
        """Text and ground of the theme: a style sheet colours the palette of the label, not of its parent."""
        self._label.ensurePolished()
        palette = self._label.palette()
        return palette.color(QPalette.ColorRole.WindowText), palette.color(QPalette.ColorRole.Window)

    def _make(self) -> None:
        """Add what is drawn, without data."""
        raise NotImplementedError("a plot says what is in it")

    def _set(self) -> None:
        """Give what is drawn its data."""
        raise NotImplementedError("a plot says what is in it")

    def _words(self) -> str:
        """The plot's numbers in words; empty while there is nothing to plot."""
        raise NotImplementedError("a plot says its numbers")

    def _say(self) -> None:
        words = self._words() or self._empty
        self._label.setText(self._missing + words)
        self.setAccessibleDescription(words)
        self.setToolTip(words)


class RatePlot(Plot):
    """What each rate removes, the residual, as the automatic choice of the rate saw them.

    A line with small dots: the rates tried; a dashed line: the residual that the noise alone would leave; a
    diamond: the automatic choice; an upright line: the rate in use. Bits per pixel stand above.
    """

    def __init__(self) -> None:
        self._choice: RateChoice | None = None
        self._rate: float | None = None
        super().__init__(
            "What each rate removes", "No curve of rates: it is measured when the rate is automatic."
        )

    def set_choice(self, choice: RateChoice | None, rate: float | None) -> None:
        """Show a choice of the rate, None for none, and the rate in use, 0 to 1, None for the choice's."""
        if (choice, rate) == (self._choice, self._rate):
            return
        self._choice, self._rate = choice, rate
        self._draw()
        self._say()

    def _make(self) -> None:
        self._plot.setLabel("left", "removed")
        self._plot.getAxis("bottom").setTicks([[*((rate, f"{rate:g}") for rate in _TICKS), (1.0, "rate")]])
        self._curve = self._dots("o", 5, line=True)
        self._auto = self._dots("d", 14)
        self._expected, self._used = self._level(0, dashed=True), self._level(90)

    def _set(self) -> None:
        choice, rate = self._choice, self._rate
        self._plot.showAxis("top", choice is not None)
        self._expected.setVisible(choice is not None)
        self._used.setVisible(choice is not None and rate is not None)
        if choice is None:
            self._curve.setData([], [])
            self._auto.setData([], [])
            return
        rates, residuals, bits = np.array(choice.curve).T
        ticks = [(tick, f"{np.interp(tick, rates, bits):.2f}") for tick in _TICKS]
        self._plot.getAxis("top").setTicks([[*ticks, (1.0, "bits")]])
        self._curve.setData(rates, residuals)
        self._auto.setData([choice.rate], [choice.found])
        self._expected.setValue(choice.expected)
        self._used.setValue(choice.rate if rate is None else rate)
        low, high = min(residuals.min(), choice.expected), max(residuals.max(), choice.expected)
        self._plot.setXRange(0, 1, padding=0.04)
        self._plot.setYRange(low, high, padding=0.12)

    def _words(self) -> str:
        choice = self._choice
        if choice is None:
            return ""
        rates, residuals, bits = np.array(choice.curve).T
        words = (
            f"On samples of this channel, ◆ the automatic rate {choice.rate:.2f} removes "
            f"{choice.found:.2f} of the noise (variance) at {choice.bpp:.2f} bits/pixel; ┄ all noise and "
            f"nothing else would be {choice.expected:.2f}."
        )
        if self._rate is not None and abs(self._rate - choice.rate) > 0.005:
            residual, bpp = np.interp(self._rate, rates, residuals), np.interp(self._rate, rates, bits)
            words += f" │ The rate in use, {self._rate:.2f}: about {residual:.2f} at {bpp:.2f} bits/pixel."
        return words


class PathPlot(Plot):
    """Distortion against perception while realism goes from 0 to 1.

    A square: fidelity; a triangle: realism; a ring: where the slider stands.
    """

    def __init__(self) -> None:
        self._path: RealismPath | None = None
        self._alpha = 0.0
        super().__init__("What realism trades", "No path yet: it is found when the preview is done.")

    def set_path(self, path: RealismPath | None) -> None:
        """Show a path, also one that is still growing; None for none."""
        self._path = path
        self._draw()
        self._say()

    def set_realism(self, alpha: float) -> None:
        """Move the ring to a position of the slider, 0 to 1."""
        if alpha != self._alpha:
            self._alpha = alpha
            if self._plot is not None and self._path is not None:
                self._move_ring(self._path)  # alone: a slider that is dragged must not redraw the plot
            self._say()

    def _make(self) -> None:
        self._line = self._dots("o", 4, line=True)
        self._low, self._high = self._dots("s", 9), self._dots("t1", 10)
        self._ring = self._dots("o", 15, filled=False)

    def _set(self) -> None:
        path = self._path
        if path is None or not path.points:
            for item in (self._line, self._low, self._high, self._ring):
                item.setData([], [])
            return
        _, x, y = _columns(path)
        whole = path.points[-1].alpha == 1
        self._plot.setLabel("left", path.y_name)
        self._plot.setLabel("bottom", path.x_name)
        self._line.setData(x, y)
        self._low.setData(x[:1], y[:1])
        self._high.setData(x[-1:] if whole else [], y[-1:] if whole else [])
        self._move_ring(path)
        self._plot.enableAutoRange()

    def _move_ring(self, path: RealismPath) -> None:
        """Put the ring where the slider stands, once the path reaches so far."""
        if path.points and self._alpha <= path.points[-1].alpha:
            x, y = self._here(path)
            self._ring.setData([x], [y])
        else:
            self._ring.setData([], [])

    def _here(self, path: RealismPath) -> tuple[float, float]:
        alpha, x, y = _columns(path)
        return float(np.interp(self._alpha, alpha, x)), float(np.interp(self._alpha, alpha, y))

    def _words(self) -> str:
        path = self._path
        if path is None:
            return ""
        if not path.points:
            return path.note
        first, last = path.points[0], path.points[-1]
        words = f"{path.y_name} against {path.x_name}: ■ realism 0: {first.y:.2f} at {first.x:.3g}"
        if last.alpha == 1:
            words += f", ▲ realism 1: {last.y:.2f} at {last.x:.3g}"
        if self._alpha <= last.alpha:
            x, y = self._here(path)
            words += f", ○ slider at {self._alpha:.2f}: {y:.2f} at {x:.3g}"
        return f"{words[:1].upper()}{words[1:]}. {path.note}".strip()


def quiet_plot(pyqtgraph: Any, parent: QWidget, height: int) -> Any:
    """An empty plot of a height in px with nothing to drag or click: the wheel goes on to the dock."""
    plot = pyqtgraph.PlotWidget(parent, enableMenu=False)
    plot.setFixedHeight(height)
    plot.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
    plot.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    plot.setMouseEnabled(False, False)
    plot.hideButtons()
    for side in _SIDES:
        axis = plot.getAxis(side)
        axis.enableAutoSIPrefix(False)  # before there is a label: later it keeps the factor it has then
        axis.setStyle(hideOverlappingLabels=False)
    return plot


def _columns(path: RealismPath) -> Any:
    return np.array([(point.alpha, point.x, point.y) for point in path.points]).T
