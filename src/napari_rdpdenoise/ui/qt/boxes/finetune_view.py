"""What is seen of a training: its curves, and a held-out part of an image before and now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QRectF, Qt, QTimer
from qtpy.QtGui import QImage, QPainter, QPaintEvent, QResizeEvent
from qtpy.QtWidgets import QDialog, QGridLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from napari_rdpdenoise.ui.finetune.curves import Curve, Curves
from napari_rdpdenoise.ui.finetune.events import Crop
from napari_rdpdenoise.ui.qt.background import alive
from napari_rdpdenoise.ui.qt.parts.controls import named
from napari_rdpdenoise.ui.qt.parts.plots import Plot, quiet_plot

__all__ = ["CropView", "CropWindow", "CurvePlots"]

_HEIGHT = 84  # px of a small plot
_PANELS = 4
_AXIS = 48  # px left of it, for its numbers


class CurvePlots(Plot):
    """Up to four small plots, two beside each other, each below its name and latest value."""

    def __init__(self) -> None:
        self._curves = Curves()
        self._panels: list[_Panel] = []
        super().__init__("Curves of the training", "The curves begin with the first steps.")

    def set_curves(self, curves: Curves) -> None:
        """Show curves, also the same ones after they have grown."""
        self._curves = curves
        self._draw()
        self._say()

    def _build(self, pyqtgraph: Any) -> None:
        self._pg = pyqtgraph
        self._plot = QWidget(self)
        grid = QGridLayout(self._plot)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(2)
        for column in range(2):
            grid.setColumnStretch(column, 1)
        self.layout().insertWidget(0, self._plot)
        self._say()
        QTimer.singleShot(0, self._add_panel)

    def _add_panel(self) -> None:
        """One at a time: each takes some 50 ms."""
        if not alive(self):
            return
        number, panel = len(self._panels), _Panel(self._pg, self._plot)
        self._panels.append(panel)
        self._plot.layout().addWidget(panel.title, 2 * (number // 2), number % 2)
        self._plot.layout().addWidget(panel.plot, 2 * (number // 2) + 1, number % 2)
        self._draw()
        if len(self._panels) < _PANELS:
            QTimer.singleShot(0, self._add_panel)

    def _draw(self) -> None:
        if self._plot is None:
            return
        shown, end = self._curves.shown, self._curves.last_step
        colours = self._colours()
        for number, panel in enumerate(self._panels):
            panel.show_curve(shown[number] if number < len(shown) else None, end, self._pg, colours)
        self._plot.setVisible(bool(shown))

    def _words(self) -> str:
        shown = self._curves.shown
        if not shown:
            return ""
        if self._plot is not None and not self._missing:  # the values stand above the plots
            return self._curves.held_out_words
        return "; ".join(_caption(curve) for curve in shown)


class _Panel:
    """A small plot with a caption."""

    def __init__(self, pyqtgraph: Any, parent: QWidget) -> None:
        self.title = QLabel(parent)
        self.title.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self.title.setWordWrap(True)  # a name and a value can be wider than half of the dock
        self.title.setAlignment(Qt.AlignmentFlag.AlignBottom)
        self.title.setIndent(4)
        self.plot = quiet_plot(pyqtgraph, parent, _HEIGHT)
        self.plot.getAxis("left").setWidth(_AXIS)
        self.plot.getPlotItem().layout.setContentsMargins(0, 0, 14, 0)
        self._line = self.plot.plot([], [])
        self._level = pyqtgraph.InfiniteLine(0, angle=0)
        self.plot.addItem(self._level, ignoreBounds=True)

    def show_curve(self, curve: Curve | None, end: float, pyqtgraph: Any, colours: tuple[Any, Any]) -> None:
        """Draw a curve from step 0 to the end, in the colours of text and ground; None hides the plot."""
        for part in (self.title, self.plot):
            part.setVisible(curve is not None)
        if curve is None:
            return
        text, ground = colours
        self.title.setText(_caption(curve))
        for part in (self.title, self.plot):
            named(part, curve.title, f"{_caption(curve)}. {curve.words}")
        self.plot.setBackground(ground)
        for side in ("left", "bottom"):
            self.plot.getAxis(side).setPen(text)
            self.plot.getAxis(side).setTextPen(text)
        steps, values = curve.steps, curve.values
        few = len(values) < 25
        self._line.setPen(pyqtgraph.mkPen(text, width=2 if few else 1))
        self._line.setData(steps, values, symbol="o" if few else None, symbolSize=5)
        self._line.setSymbolPen(text)
        self._line.setSymbolBrush(text)
        self._level.setVisible(curve.level is not None)
        if curve.level is not None:
            self._level.setValue(curve.level)
            self._level.setPen(pyqtgraph.mkPen(text, style=Qt.PenStyle.DashLine))
            values = [*values, curve.level]
        low, high = limits(values)
        self.plot.setYRange(low, high, padding=0.1)
        self.plot.getAxis("left").setTicks([[(value, f"{value:.3g}") for value in (low, high)]])
        end = max(end, 1)
        self.plot.getAxis("bottom").setTicks([[(0, "0"), (end / 2, "steps"), (end, f"{end:.0f}")]])
        self.plot.setXRange(0, end, padding=0.02)


class CropView(QWidget):
    """Noisy, before and now beside each other, in the grey values that the decode before spans."""

    def __init__(self) -> None:
        super().__init__()
        self._pictures = [_Picture() for _ in range(3)]
        self._captions = [QLabel() for _ in range(3)]
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(3)
        for column, (picture, caption) in enumerate(zip(self._pictures, self._captions, strict=True)):
            caption.setAlignment(Qt.AlignmentFlag.AlignHCenter)
            grid.addWidget(picture, 0, column)
            grid.addWidget(caption, 1, column)
        self.hide()

    def set_crop(self, crop: Crop) -> None:
        """Show a crop."""
        low, high = (float(v) for v in np.percentile(crop.before, [0.2, 99.9]))
        margin = 0.1 * max(high - low, 1e-6)
        images = (crop.noisy, crop.before, crop.after)
        names = ("noisy", "before", f"step {crop.step}")
        for picture, caption, image, name in zip(self._pictures, self._captions, images, names, strict=True):
            picture.set_image(image, low - margin, high + margin)
            caption.setText(name)
        named(
            self,
            "Held-out part of an image",
            f"A part that is not learned from: noisy, denoised before, and denoised at step {crop.step}.",
        )
        self.show()


class CropWindow(QDialog):
    """The same, large, in a window of its own that follows the training.

    Args:
        parent: Widget that it belongs to.
    """

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("Before and after the training")
        self.view, layout = CropView(), QVBoxLayout(self)
        layout.addWidget(self.view)
        layout.addStretch(1)
        self.resize(1080, 420)


class _Picture(QWidget):
    """A grey image, as wide as there is room, square pixels."""

    def __init__(self) -> None:
        super().__init__()
        self._image: QImage | None = None
        self._pixels: NDArray[np.uint8] | None = None  # Qt does not copy them
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def set_image(self, image: NDArray[np.float32], low: float, high: float) -> None:
        """Show an image (height, width), counts, black at low and white at high."""
        grey = np.clip((image - low) / (high - low), 0, 1)
        self._pixels = np.ascontiguousarray(np.nan_to_num(255 * grey).astype(np.uint8))
        height, width = self._pixels.shape
        self._image = QImage(self._pixels.data, width, height, width, QImage.Format.Format_Grayscale8)
        self._fit()
        self.update()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Keep the pixels square."""
        super().resizeEvent(event)
        self._fit()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw it, smoothly."""
        if self._image is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawImage(QRectF(self.rect()), self._image)
        painter.end()

    def _fit(self) -> None:
        if self._image is not None:
            height = max(1, round(self.width() * self._image.height() / self._image.width()))
            if height != self.height():
                self.setFixedHeight(height)


def limits(values: Sequence[float]) -> tuple[float, float]:
    """Least and greatest finite value, at least 2 % apart: changes that mean nothing look like nothing."""
    finite = [value for value in values if np.isfinite(value)] or [0.0]
    low, high = min(finite), max(finite)
    missing = max(0.02 * max(abs(low), abs(high), 1e-9) - (high - low), 0.0) / 2
    return low - missing, high + missing


def _caption(curve: Curve) -> str:
    return curve.title if curve.last is None else f"{curve.title} {curve.last:.3g}"
