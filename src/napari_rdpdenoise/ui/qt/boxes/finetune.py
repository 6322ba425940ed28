"""The dock's fine-tuning: starts, watches and ends a training in a thread, and offers what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import napari
from napari.utils.notifications import show_error
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QWidget

from napari_rdpdenoise.codec.library import find
from napari_rdpdenoise.ui.finetune.curves import Curves
from napari_rdpdenoise.ui.finetune.events import Checked, Crop, Done, Event, Failed, Preparing, Progress, Task
from napari_rdpdenoise.ui.finetune.run import events
from napari_rdpdenoise.ui.finetune.words import KEPT, checked_words, done_words, failed_words, progress_words
from napari_rdpdenoise.ui.qt.background import Newest
from napari_rdpdenoise.ui.qt.boxes.finetune_form import FineTuneForm
from napari_rdpdenoise.ui.qt.boxes.finetune_view import CropView, CropWindow, CurvePlots
from napari_rdpdenoise.ui.qt.boxes.models import ModelsBox, models_of
from napari_rdpdenoise.ui.qt.parts.controls import (
    button,
    named,
    row,
    scroll_to,
    single_shot,
    stack,
    text_label,
)
from napari_rdpdenoise.ui.qt.parts.progress import Bar
from napari_rdpdenoise.ui.qt.parts.section import Section
from napari_rdpdenoise.ui.qt.window import NapariWindow
from napari_rdpdenoise.ui.state import DockState

__all__ = ["FineTuneBox", "section"]

_REDRAW_MS = 300  # between two drawings of the curves
_LAID_OUT_MS = 150  # until a line that has come is laid out
_STOPPING = "Stopping after the step in work; the window is free."


class FineTuneBox(Section):
    """Form, buttons, curves, a held-out picture, and the report.

    Args:
        viewer: Viewer whose layers are offered.
        image, model, device: As `FineTuneForm` takes them.
        stream: Function that does the work; for tests.

    Attributes:
        tuned: Signal with the folder of a new model that is better.
        used: Signal with the folder of the model that shall be used.
    """

    title = "Train"
    tuned = Signal(str)
    used = Signal(str)

    def __init__(
        self,
        viewer: napari.viewer.Viewer,
        image: Callable[[], napari.layers.Image | None],
        model: Callable[[], str],
        device: Callable[[], str],
        stream: Callable[[Task], Iterator[Event]] = events,
    ) -> None:
        super().__init__()
        self._stream = stream
        self._training = training = Newest(self, task="Training")
        self._paused = False
        self._layer: str | None = None
        self._made: str | None = None  # folder of the better model
        self._complaint = ""  # about what is missing in the form
        self._models: ModelsBox | None = None
        self._curves = Curves()
        self.form = FineTuneForm(viewer.layers, image, model, device)
        self.start = button("Start &training", "Check the images, then train in the background.")
        self.pause = button("Pause", "Hold the training after the step in work, or go on.", "Pause training")
        self.cancel = button("Cancel", f"Stop after the step in work. {KEPT}", "Cancel training")
        self.bar = named(Bar(), "Training progress", "Steps done.")
        self.status = named(text_label(), "Training status", "")
        self.notes = named(text_label(), "About the images", "")
        self.plots, self.crop = CurvePlots(), CropView()
        self.large = button(
            "Compare in a large window",
            "Show the same three pictures large: noisy, denoised before the training, and now.",
        )
        self._window: CropWindow | None = None
        self._crop: Crop | None = None  # the newest
        self.report = named(text_label(), "Report of the training", "")
        self.use = button(
            "Use this model",
            "Choose the new model above; the preview follows. Only where it is better on held-out images.",
        )
        self._bring = single_shot(self, _LAID_OUT_MS, lambda: scroll_to(self.status))
        self._bring_pictures = single_shot(self, _LAID_OUT_MS, lambda: self._bring_to(self.large))
        self._bring_end = single_shot(self, _LAID_OUT_MS, self._show_end)
        self._redraw = single_shot(self, _REDRAW_MS, lambda: self.plots.set_curves(self._curves))
        buttons = row(self.start, self.pause, self.cancel, wide=self.start)
        seen = self.bar, self.status, self.crop, self.large, self.plots, self.report, self.use, self.notes
        stack(self, self.form, buttons, *seen)
        self.large.hide()
        self.large.clicked.connect(self.compare)
        self.start.clicked.connect(self.begin)
        self.pause.clicked.connect(self._pause_or_go_on)
        self.cancel.clicked.connect(self.stop)
        self.use.clicked.connect(lambda: self._made and self.used.emit(self._made))
        self.use.clicked.connect(self.form.refresh)  # the model to start from is another then
        self.form.changed.connect(self._other_form)
        self.destroyed.connect(lambda: training.stop())  # with the whole window
        self._show_buttons()

    @property
    def busy(self) -> bool:
        """Whether a training is under way, its last step included."""
        return self._training.busy

    def show_state(self, state: DockState) -> None:
        """Follow the layer that is denoised."""
        if state.layer != self._layer:
            self._layer = state.layer
            self.form.refresh()

    def show_models(self, models: ModelsBox) -> None:
        """Show the user's models below, and list them anew when there is a new one."""
        self._models = models
        self.layout().addWidget(models)
        self.tuned.connect(lambda folder: models.refresh())

    def opened(self) -> None:
        """Bring hints and models up to date."""
        self.form.refresh()
        if self._models is not None:
            self._models.refresh()

    def begin(self) -> None:
        """Start, or say what is missing."""
        if self.busy:
            return
        try:
            task = self.form.task()
        except ValueError as error:
            self._complain(str(error))
            return
        self._made, self._paused, self._curves = None, False, Curves()
        self.plots.set_curves(self._curves)
        self.crop.hide()
        self.large.hide()
        for label in (self.notes, self.report):
            label.setText("")
        self.status.setText("Starting.")
        work = self._work = self._training.start(lambda: self._stream(task), self._hear, self._ended)
        work.paused.connect(self._has_paused)
        work.resumed.connect(self._has_resumed)
        self._show_buttons()
        self._bring.start()

    def stop(self) -> None:
        """Ask the training to stop; returns at once."""
        if self.busy and not self._training.stopping:
            self._training.stop()
            self.status.setText(_STOPPING)
            self._show_buttons()

    def compare(self) -> None:
        """Show the pictures large, in a window that follows the training."""
        if self._crop is not None:
            if self._window is None:
                self._window = CropWindow(self)
            self._window.view.set_crop(self._crop)
            self._window.show()
            self._window.raise_()

    def shut(self) -> None:
        """End it all, because the dock is closed."""
        if self._window is not None:
            self._window.close()
        self._redraw.stop()
        self._bring.stop()
        self._bring_pictures.stop()
        self._bring_end.stop()
        self._training.stop()

    # What the thread says

    def _hear(self, event: Event) -> None:
        if isinstance(event, Progress):
            self._curves.add(event)
            if not self._redraw.isActive():
                self._redraw.start()
            self.bar.setRange(0, event.steps)
            self.bar.setValue(event.step)
        if isinstance(event, Crop):
            if not self.large.isVisibleTo(self):  # the first of this training
                self._bring_pictures.start()
            self._crop = event
            self.crop.set_crop(event)
            self.large.show()
            if self._window is not None and self._window.isVisible():
                self._window.view.set_crop(event)
        elif isinstance(event, Checked):
            self._curves = Curves(event.goal)
            self._curves.extend(event.past)
            self.notes.setText(checked_words(event))
        elif isinstance(event, Done):
            self._hear_result(event)
        elif isinstance(event, Failed):
            self.status.setText(failed_words(event))
        elif not self._training.stopping and not self._paused:
            self.status.setText(event.message if isinstance(event, Preparing) else progress_words(event))

    def _hear_result(self, done: Done) -> None:
        self.report.setText(done_words(done))
        self.status.setText(
            "Done: the new model is better." if done.better else "Done: the model chosen above is kept."
        )
        if done.better:
            self._made = str(done.out)
            self.tuned.emit(self._made)

    def _has_paused(self) -> None:
        if not self._training.stopping:
            self._paused = True
            self.status.setText("Paused. The processor is free.")
            self._show_buttons()

    def _has_resumed(self) -> None:
        self._paused = False
        self.status.setText("Going on.")
        self._show_buttons()

    def _ended(self, error: Exception | None) -> None:
        if error is not None:  # the generator tells its own
            raise error
        if self.status.text() == _STOPPING:
            self.status.setText(f"Cancelled. {KEPT}")
        self._paused = False
        self.form.refresh()  # and with it the buttons
        self._bring_end.start()

    # Inside

    def _bring_to(self, part: QWidget) -> None:
        """Scroll to a part, unless the user looks at something else."""
        if self.isVisible():
            scroll_to(part)

    def _show_end(self) -> None:
        """Scroll to what came of it: the report with the button that uses it, or the line that says why."""
        parts = self.use, self.report, self.status
        self._bring_to(next((part for part in parts if part.isVisible()), self.status))

    def _complain(self, words: str) -> None:
        """Say what is missing, until something else is chosen."""
        self._complaint = words
        self.status.setText(words)
        self._show_buttons()
        self._bring.start()

    def _other_form(self) -> None:
        if self._complaint and self.status.text() == self._complaint:
            self.status.setText("")
        self._complaint = ""
        self._show_buttons()

    def _pause_or_go_on(self) -> None:
        if not self.busy:
            return
        self.pause.setEnabled(False)  # until it has done so
        if self._paused:
            self._work.resume()
        else:
            self.status.setText("Pausing after the step in work.")
            self._work.pause()

    def _show_buttons(self) -> None:
        busy, stopping = self.busy, self._training.stopping
        self.form.setEnabled(not busy)
        self.start.setEnabled(not busy)
        self.pause.setEnabled(busy and not stopping)
        self.pause.setText("Resume" if self._paused else "Pause")
        self.cancel.setEnabled(busy and not stopping)
        self.use.setEnabled(self._made is not None and not busy)
        self.use.setVisible(self._made is not None)
        self.bar.setVisible(busy)
        if busy and self.status.text() == "Starting.":
            self.bar.setRange(0, 0)  # Qt's moving bar: work whose length is not known
        elif not busy and self.bar.maximum() == 0:
            self.bar.setRange(0, 1)
        for label in (self.status, self.notes, self.report):
            label.setVisible(bool(label.text()))
        self.plots.setVisible(busy or bool(self._curves.shown))


def section(window: NapariWindow) -> FineTuneBox:
    """The section of a dock."""
    session = window.session
    box = FineTuneBox(
        window.viewer,
        lambda: window.layer,
        lambda: session.view.settings.model,
        lambda: session.state.base.device,
    )
    box.show_models(models_of(window))
    box.tuned.connect(window.tuned)
    box.used.connect(lambda folder: _use(window, folder))
    return box


def _use(window: NapariWindow, folder: str) -> None:
    """Choose a model that was made here."""
    state = window.session.state
    if state.busy:
        show_error("A run is under way with the model chosen now: use the new one when it is over.")
        return
    try:
        model = find(folder).key
    except (OSError, ValueError) as error:  # removed since
        show_error(str(error))
        return
    if state.model == model:  # trained further: what it made before does not hold
        window.look_afresh()
    window.edit(model=model)
