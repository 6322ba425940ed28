"""The dock: it shows a `DockState` and passes on what the user does. All decisions are the session's."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import napari
from magicgui.widgets import create_widget
from napari.utils.notifications import show_error
from qtpy.QtCore import QEvent, QTimer
from qtpy.QtWidgets import (
    QApplication,
    QCheckBox,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from napari_rdpdenoise.codec.library import find
from napari_rdpdenoise.ui.qt.boxes.advanced import AdvancedBox
from napari_rdpdenoise.ui.qt.boxes.cache import CacheBox
from napari_rdpdenoise.ui.qt.boxes.compare import CompareBox
from napari_rdpdenoise.ui.qt.boxes.finetune import FineTuneBox
from napari_rdpdenoise.ui.qt.boxes.model import ModelChoice
from napari_rdpdenoise.ui.qt.boxes.readouts import ReadoutsBox
from napari_rdpdenoise.ui.qt.boxes.repeat import RepeatBox
from napari_rdpdenoise.ui.qt.boxes.run import RunBox
from napari_rdpdenoise.ui.qt.layers import is_ours
from napari_rdpdenoise.ui.qt.live import Live
from napari_rdpdenoise.ui.qt.parts.controls import Fold, named, show_value, text_label, unit_slider
from napari_rdpdenoise.ui.qt.parts.plots import PathPlot, RatePlot
from napari_rdpdenoise.ui.qt.preferences import backbone_folder, open_cache, preferences
from napari_rdpdenoise.ui.run.jobs import realism_note

if TYPE_CHECKING:
    from napari_rdpdenoise.ui.run.controller import Stream
    from napari_rdpdenoise.ui.session import Session
    from napari_rdpdenoise.ui.state import DockState

__all__ = ["DenoiseDock"]

_MIN_WIDTH = 320  # px; a dock without one opens too narrow for its labels
_WARM_UP_MS = 200  # after the dock is there: loading PyTorch holds up the window for a moment


class DenoiseDock(QWidget):
    """Preview, denoise and compare the chosen image layer.

    For scripts: `session` has ``preview()``, ``cancel()``, ``rate`` and ``realism``; `choose` takes a layer,
    `run` denoises it all, `wait` returns when everything is done.

    Args:
        viewer: the viewer whose layers are offered and that takes the results.
        stream: does the work of a run; None for the engine. For tests.
        realism_question: tells why a model offers no realism, or None; for tests.
        load: gives the codec of a model and a device; for tests.
    """

    def __init__(
        self,
        viewer: napari.viewer.Viewer,
        stream: Stream | None = None,
        realism_question: Callable[[str], str | None] = realism_note,
        load: Callable[[str, str], Any] | None = None,
    ) -> None:
        super().__init__()
        self._viewer = viewer
        self._closed = False
        self._names: list[str] = []  # of the layers that are offered
        self._preferences = preferences()
        cache = open_cache(self._preferences) if stream is None else None
        self._live = Live(
            viewer,
            self._show,
            lambda event: self._runs.take(event),  # made after this
            stream=stream,
            cache=cache,
            load=load,
            realism_question=realism_question,
        )
        self._build(cache)
        self._listen()
        self.session.edit(model=self._preferences.model or "default")
        device: Any = self._preferences.device or "auto"
        self.session.edit(advanced=replace(self.session.state.advanced, device=device))
        self._refresh_layers()
        self._show(self.session.state)
        session = self.session  # not through self, which is gone by then
        self.destroyed.connect(lambda: session.close())  # when the whole window is closed
        QTimer.singleShot(_WARM_UP_MS, self._warm_up)

    @property
    def session(self) -> Session:
        """The controller behind the dock."""
        return self._live.session

    @property
    def layer(self) -> napari.layers.Image | None:
        """The layer that is denoised."""
        return self._live.layer

    @property
    def preview_layer(self) -> napari.layers.Image | None:
        """The layer that shows the preview."""
        return self._live.preview_layer

    def choose(self, layer: napari.layers.Image) -> None:
        """Take a layer of the viewer.

        Raises:
            ValueError: if the dock does not offer it.
        """
        if layer not in self._layers.choices:
            raise ValueError(f"layer: expected an image layer of this viewer, found {layer!r}; add it first")
        self._layers.value = layer

    def run(self, target: str | Path | None = None, *, overwrite: bool = False) -> None:
        """Denoise the whole layer in a thread, to a file or to a new layer.

        Args:
            target: file of the result (.ome.zarr or .ome.tif); None for memory.
            overwrite: whether a finished result at ``target`` is replaced.

        Raises:
            RuntimeError: if no layer is chosen or a run is under way.
        """
        self._runs.run(None if target is None else Path(target), overwrite=overwrite)

    def wait(self, timeout_s: float = 600.0) -> None:
        """For scripts: keep the window alive until the preview is complete and no run is under way.

        Raises:
            TimeoutError: if that takes longer.
        """
        self._live.look_at_once()
        end = time.monotonic() + timeout_s
        while self.session.unsettled:
            if time.monotonic() > end:
                raise TimeoutError(f"the dock was not done after {timeout_s:g} s: {self.session.state.hint}")
            QApplication.processEvents()
            time.sleep(0.005)

    # What is in it

    def _build(self, cache: Any) -> None:
        session = self.session
        self._layers = create_widget(annotation=napari.layers.Image, name="layer")
        named(self._layers.native, "Image layer", "The image layer to denoise.")
        self._facts = named(text_label(), "About the layer", "Axes, size, and the noise that was measured.")
        self._model = ModelChoice()
        self._auto = named(
            QCheckBox("Auto"), "Automatic rate", "Choose the rate from the noise measured in the image."
        )
        self._rate = named(
            unit_slider(),
            "Rate",
            "Bits that the image may keep: 0 fewest, the strongest denoising; 1 most, the weakest.",
        )
        self._outcome = named(
            text_label(), "Outcome", "Bits per pixel, and what was removed against the noise measured."
        )
        self._realism = unit_slider()
        self._preview = named(
            QCheckBox("Previe&w what is in view"),
            "Preview",
            "Denoise what the viewer shows at once, into a layer that fills in.",
        )
        self._preview_line = named(text_label(), "Preview status", "")
        self._runs = RunBox(self._viewer, self._live, lambda: self._closed)
        self._compare = CompareBox(
            self._viewer,
            lambda: self.layer,
            lambda: self._live.result_layer,
            session.shown,
            lambda value: self._edit(realism=value),
        )
        self._readouts = ReadoutsBox(
            self._viewer,
            session.shown,
            lambda: self._live.result_layer,
            lambda: backbone_folder(preferences()),
        )
        self._rate_plot, self._path_plot = RatePlot(), PathPlot()
        self._repeat = RepeatBox(session.recipe, session.take_settings)
        self._finetune = FineTuneBox(
            self._viewer,
            lambda: self.layer,
            lambda: session.state.model,
            lambda: session.state.advanced.device,
        )
        self._advanced = AdvancedBox(
            lambda: session.state, lambda value: session.edit(advanced=value), show_error
        )
        self._cache_box = CacheBox(cache)
        self._arrange()

    def _arrange(self) -> None:
        rate = QHBoxLayout()
        rate.addWidget(self._auto)
        rate.addWidget(self._rate, stretch=1)
        form = QFormLayout()
        form.addRow("&Image", self._layers.native)
        form.addRow(self._facts)
        form.addRow("&Model", self._model)
        title = QLabel("&Rate")
        title.setBuddy(self._rate)
        form.addRow(title, rate)
        form.addRow(self._outcome)
        form.addRow("R&ealism", self._realism)
        inside = QWidget()
        column = QVBoxLayout(inside)
        column.addLayout(form)
        column.addWidget(self._preview)
        column.addWidget(self._preview_line)
        column.addWidget(self._runs)
        self._folds = {
            "&Compare": Fold("&Compare", [self._compare], self._settled),
            "Read&outs": Fold("Read&outs", [self._readouts, self._rate_plot, self._path_plot], self._settled),
            "&Fine-tune": Fold("&Fine-tune", [self._finetune], self._finetune.refresh),
            "Repeat": Fold("Repeat", [self._repeat]),
            "&Advanced": Fold("&Advanced", [self._advanced, self._cache_box], self._cache_box.refresh),
        }
        for fold in self._folds.values():
            column.addWidget(fold)
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
        session = self.session
        self._layers.changed.connect(lambda layer: self._live.choose(layer))
        self._auto.toggled.connect(lambda on: self._edit(auto_rate=on))
        self._rate.valueChanged.connect(lambda value: self._edit(rate=value))
        self._realism.valueChanged.connect(lambda value: self._edit(realism=value))
        self._preview.toggled.connect(lambda on: session.edit(preview=on))
        self._model.chosen.connect(lambda name: self._edit(model=name))
        self._live.settled_view.connect(self._settled)
        self._live.redrawn.connect(self._compare.refresh)
        self._readouts.path_changed.connect(self._path_plot.set_path)
        self._finetune.tuned.connect(lambda folder: self._model.offer([find(folder)]))
        self._finetune.used.connect(self._use_tuned)

    def _edit(self, **changes: Any) -> None:
        """What a slider says is seen in the preview, so it is shown even where a result covers it."""
        self._live.reveal()
        self.session.edit(**changes)

    def _use_tuned(self, folder: str) -> None:
        if self.session.state.busy:
            show_error("A run is under way with the model chosen now: use the new one when it is over.")
            return
        try:
            model = find(folder).key
        except (OSError, ValueError) as error:  # removed since
            show_error(str(error))
            return
        if self.session.state.model == model:  # trained further: what it made before does not hold
            self._live.look_afresh()
        self._edit(model=model)

    def _refresh_layers(self) -> None:
        if self._closed:
            return
        images = [x for x in self._viewer.layers if isinstance(x, napari.layers.Image) and not is_ours(x)]
        chosen = self._layers.value
        names = [layer.name for layer in images]
        if list(self._layers.choices) != images or names != self._names:
            self._names = names
            self._layers.choices = images
            if chosen in images:
                self._layers.value = chosen
        self._live.choose(self._layers.value)
        self._finetune.refresh()

    def _warm_up(self) -> None:
        if self._closed:
            return
        self.session.warm_up()
        self._live.ask_realism()
        self._model.fill()

    def event(self, event: QEvent) -> bool:
        """End everything when the dock is closed: napari then takes this widget out of its dock."""
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self._shut()
        return bool(super().event(event))

    def _shut(self) -> None:
        if self._closed:
            return
        self._closed = True
        events = self._viewer.layers.events
        for event in (events.inserted, events.removed, events.reordered, events.renamed):
            event.disconnect(self._refresh_layers)
        self._runs.close_task()
        self._compare.shut()
        self._readouts.cancel()
        self._finetune.shut()
        self._live.close()

    # What it shows

    def _settled(self) -> None:
        self._compare.refresh()
        if self._folds["Read&outs"].is_open:
            plan = self.session.plan
            self._rate_plot.set_choice(self.session.choice, None if plan is None else plan.rate)
            self._readouts.refresh()

    def _show(self, state: DockState) -> None:
        if self._closed or not hasattr(self, "_cache_box"):
            return
        free = not state.busy
        self._layers.enabled = free
        self._facts.setText(state.facts)
        self._model.setEnabled(free)
        self._model.show_model(state.model)
        self._auto.setEnabled(free)
        self._auto.setChecked(state.auto_rate)
        self._rate.setEnabled(free and not state.auto_rate)
        show_value(self._rate, state.shown_rate)
        self._outcome.setText(state.outcome)
        self._realism.setEnabled(state.realism_note is None)
        show_value(self._realism, state.realism)
        named(
            self._realism,
            "Realism",
            state.realism_note
            or "0 for the lowest error, 1 for the most natural texture, which is no measurement.",
        )
        self._path_plot.set_realism(state.shown_realism)
        self._preview.setChecked(state.preview)
        self._preview_line.setText(state.preview_line)
        self._advanced.show_state(state)
        self._runs.show_state(state)
