"""The dock: it shows a `DockState` and passes on what the user does. All decisions are the controller's."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import napari
from magicgui.widgets import create_widget
from napari.utils.notifications import show_error, show_info, show_warning
from qtpy.QtCore import QEvent, Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)
from superqt import QLabeledDoubleSlider

from ..controller import Controller, Failed, Finished, Job, axes_note, denoise_job, layer_axes, realism_note
from ..state import DockState, describe
from ..worker import look_up, run_job

if TYPE_CHECKING:
    from ..controller import Event, Stream

__all__ = ["DenoiseDock"]

_MIN_WIDTH = 320  # px; a dock without one opens too narrow for its labels
_BAR_STEPS = 1000


class DenoiseDock(QWidget):
    """Denoise the chosen image layer into a new layer.

    Args:
        viewer: the viewer whose layers are offered and that takes the result.
        stream: does the work; for tests.
        realism_question: tells why the model offers no realism, or None; for tests.
    """

    def __init__(
        self,
        viewer: napari.viewer.Viewer,
        stream: Stream = denoise_job,
        realism_question: Callable[[], str | None] = realism_note,
    ) -> None:
        super().__init__()
        self._viewer = viewer
        self._controller = Controller(stream, self._show)
        self._look: dict[str, Any] = {}
        self._build()
        self._listen()
        self._choose_layer()
        self._show(self._controller.state)
        question = look_up(realism_question)
        question.returned.connect(self._set_realism_note)
        question.start()

    # What is in it

    def _build(self) -> None:
        self._layers = create_widget(annotation=napari.layers.Image, name="layer")
        self._auto = QCheckBox("Auto")
        self._rate = _slider()
        self._realism = _slider()
        self._denoise = QPushButton("Denoise")
        self._cancel = QPushButton("Cancel")
        self._bar = QProgressBar()
        self._status = QLabel()
        self._status.setWordWrap(True)
        self._status.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        _name(self._layers.native, "Image layer", "The image layer to denoise, with all its planes.")
        _name(self._auto, "Automatic rate", "Choose the rate from the noise measured in the image.")
        _name(
            self._rate,
            "Rate",
            "Bits that the image may keep: 0 fewest, the strongest denoising; 1 most, the weakest.",
        )
        _name(self._denoise, "Denoise", "Denoise the layer into a new layer.")
        _name(self._cancel, "Cancel", "Stop after the tile in work; no layer is added.")
        _name(self._bar, "Progress", "Tiles done.")
        _name(self._status, "Status", "")
        self._arrange()

    def _arrange(self) -> None:
        rate = QHBoxLayout()
        rate.addWidget(self._auto)
        rate.addWidget(self._rate, stretch=1)
        form = QFormLayout()
        form.addRow("Image", self._layers.native)
        form.addRow("Rate", rate)
        form.addRow("Realism", self._realism)
        buttons = QHBoxLayout()
        buttons.addWidget(self._denoise)
        buttons.addWidget(self._cancel)
        inside = QWidget()
        column = QVBoxLayout(inside)
        column.addLayout(form)
        column.addLayout(buttons)
        column.addWidget(self._bar)
        column.addWidget(self._status)
        column.addStretch()
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setWidget(inside)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(scroll)
        self.setMinimumWidth(_MIN_WIDTH)

    # What the user does

    def _listen(self) -> None:
        events = self._viewer.layers.events
        for event in (events.inserted, events.removed, events.reordered, events.renamed):
            event.connect(self._refresh_layers)
        self._layers.changed.connect(self._choose_layer)
        self._auto.toggled.connect(lambda on: self._controller.edit(auto_rate=on))
        self._rate.valueChanged.connect(lambda value: self._controller.edit(rate=value))
        self._realism.valueChanged.connect(lambda value: self._controller.edit(realism=value))
        self._denoise.clicked.connect(self._start)
        self._cancel.clicked.connect(self._controller.cancel)

    def _refresh_layers(self) -> None:
        images = [layer for layer in self._viewer.layers if isinstance(layer, napari.layers.Image)]
        chosen = self._layers.value
        self._layers.choices = images
        if chosen in images:
            self._layers.value = chosen
        self._choose_layer()

    def _choose_layer(self) -> None:
        layer = self._layers.value
        self._controller.edit(layer=layer.name if layer is not None else None)

    def _set_realism_note(self, note: str | None) -> None:
        self._controller.edit(realism_note=note)

    def _start(self) -> None:
        layer = self._layers.value
        try:
            axes = layer_axes(layer.ndim, layer.axis_labels, rgb=layer.rgb)
        except ValueError as error:
            show_error(str(error))
            return
        if note := axes_note(layer.ndim, layer.axis_labels):
            show_info(note)
        data = layer.data[0] if layer.multiscale else layer.data
        self._look = _look_of(layer)
        self._controller.start()
        worker = run_job(self._controller, Job(data, axes, self._controller.state.settings()))
        worker.yielded.connect(self._take)
        worker.start()

    def _take(self, event: Event) -> None:
        self._controller.apply(event)
        if isinstance(event, Finished):
            self._viewer.add_image(event.data, **self._look)
            for message in event.report.messages:
                show_warning(message)
        elif isinstance(event, Failed):
            show_error(f"Denoising failed: {describe(event.error)}")

    def event(self, event: QEvent) -> bool:
        """Stop the run when the dock is closed: napari then takes this widget out of its dock."""
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self._controller.cancel()
        return bool(super().event(event))

    # What it shows

    def _show(self, state: DockState) -> None:
        free = not state.busy
        self._layers.enabled = free
        self._auto.setEnabled(free)
        self._auto.setChecked(state.auto_rate)
        self._rate.setEnabled(free and not state.auto_rate)
        self._rate.setValue(state.rate)
        self._realism.setEnabled(free and state.realism_note is None)
        self._realism.setValue(state.realism)
        _name(
            self._realism,
            "Realism",
            state.realism_note
            or "0 for the lowest error, 1 for the most natural texture, which is no measurement.",
        )
        self._denoise.setEnabled(state.can_start)
        self._cancel.setEnabled(state.can_cancel)
        self._show_progress(state)
        self._status.setText(state.hint)

    def _show_progress(self, state: DockState) -> None:
        if state.busy and not state.total:
            self._bar.setRange(0, 0)  # Qt's moving bar: work whose length is not known
        else:
            self._bar.setRange(0, _BAR_STEPS)
            self._bar.setValue(round(_BAR_STEPS * state.done / max(state.total, 1)))


def _slider() -> QLabeledDoubleSlider:
    slider = QLabeledDoubleSlider(Qt.Orientation.Horizontal)
    slider.setRange(0.0, 1.0)
    slider.setSingleStep(0.05)
    slider.setDecimals(2)
    return slider


def _name(widget: QWidget, name: str, tooltip: str) -> None:
    """Name a control for screen readers, and explain it."""
    widget.setAccessibleName(name)
    widget.setAccessibleDescription(tooltip)
    widget.setToolTip(tooltip)


def _look_of(layer: napari.layers.Image) -> dict[str, Any]:
    """Return what the result shares with its source: place, units, axes and display."""
    return {
        "name": f"{layer.name} denoised",
        "scale": layer.scale,
        "translate": layer.translate,
        "rotate": layer.rotate,
        "shear": layer.shear,
        "affine": layer.affine,
        "units": layer.units,
        "axis_labels": layer.axis_labels,
        "rgb": layer.rgb,
        "colormap": layer.colormap,
        "contrast_limits": layer.contrast_limits,
        "gamma": layer.gamma,
        "blending": layer.blending,
    }
