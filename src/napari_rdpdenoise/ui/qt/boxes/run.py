"""Denoising the whole layer: where to, progress, and the result as a layer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from napari.layers import Image
from napari.utils import progress
from napari.utils.notifications import show_error, show_info, show_warning
from qtpy.QtWidgets import QComboBox, QFileDialog, QFormLayout, QMessageBox, QProgressBar

from napari_rdpdenoise.io.origin import files_behind, refuse_overwriting
from napari_rdpdenoise.jobs.job import Job
from napari_rdpdenoise.ui.layers.axes import axes_note
from napari_rdpdenoise.ui.qt.layers import OURS, full_data, look_of, made_of
from napari_rdpdenoise.ui.qt.parts.controls import button, named, row, stack, text_label
from napari_rdpdenoise.ui.qt.parts.section import Section
from napari_rdpdenoise.ui.qt.window import NapariWindow
from napari_rdpdenoise.ui.run.jobs import Finished
from napari_rdpdenoise.ui.run.runs import Event, Failed
from napari_rdpdenoise.ui.state import DockState, describe

__all__ = ["RunBox", "section"]

_BAR_STEPS = 1000
_MEMORY, _ZARR, _TIFF = "A new layer, in memory", "An OME-Zarr folder…", "An OME-TIFF file…"
_ENDINGS = {_ZARR: (".ome.zarr", "OME-Zarr (*.ome.zarr)"), _TIFF: (".ome.tif", "OME-TIFF (*.ome.tif)")}


class RunBox(Section):
    """Buttons, progress and status of a window's runs."""

    def __init__(self, window: NapariWindow) -> None:
        super().__init__()
        self._viewer, self._window = window.viewer, window
        self._layer: Image | None = None  # that is denoised, and how it looks
        self._look: dict[str, Any] = {}
        self._task: Any = None  # in napari's activity dock
        self.target = named(
            QComboBox(),
            "Save to",
            "A layer in memory, or a file that is written tile by tile and then opened.",
        )
        self.target.addItems([_MEMORY, _ZARR, _TIFF])
        self.denoise = button(
            "&Denoise stack",
            "Denoise all planes of the layer, or the channels and times chosen under Advanced.",
        )
        self.stop = button(
            "Ca&ncel", "Stop after the block in work. What was computed is kept for the next run."
        )
        self.bar = named(QProgressBar(), "Progress", "Tiles done.")
        self.status = named(text_label(), "Status", "")
        form = QFormLayout()
        form.addRow("Save to", self.target)
        buttons = row(self.denoise, self.stop, wide=self.denoise)
        stack(self, form, buttons, self.bar, self.status)
        self.denoise.clicked.connect(self._start)
        self.stop.clicked.connect(window.session.cancel)

    def show_state(self, state: DockState) -> None:
        """Show where the run stands."""
        self.target.setEnabled(not state.busy)
        self.denoise.setEnabled(state.can_start)
        self.stop.setEnabled(state.can_cancel)
        if state.busy and not state.total:
            self.bar.setRange(0, 0)  # Qt's moving bar: work whose length is not known
        else:
            self.bar.setRange(0, _BAR_STEPS)
            self.bar.setValue(round(_BAR_STEPS * state.done / max(state.total, 1)))
        self.status.setText(state.hint)
        self._show_task(state)

    def run(self, target: Path | None = None, *, overwrite: bool = False) -> None:
        """Start a run of the chosen layer, as `Session.run`; a file that a layer is read from is refused."""
        if target is not None:
            self._check(target)
        layer = self._window.layer
        if layer is not None:
            # taken now, as the layer may be gone when the run ends
            self._layer, self._look = layer, look_of(layer)
            if note := axes_note(layer.ndim, layer.axis_labels):
                show_info(note)
        self._window.session.run(target, overwrite=overwrite)

    def take(self, event: Event) -> None:
        """Show what came of a run."""
        job = self._window.session.runs.job
        if isinstance(event, Finished) and job is not None:
            self._add(event, job)
            for message in event.report.messages:
                show_warning(message)
        elif isinstance(event, Failed):
            show_error(f"Denoising failed: {describe(event.error)}")

    def shut(self) -> None:
        """Take the bar out of napari's activity dock."""
        if self._task is not None:
            self._task.close()
            self._task = None

    # Inside

    def _start(self) -> None:
        kind = self.target.currentText()
        if kind == _MEMORY:
            self.run()
            return
        ending, pattern = _ENDINGS[kind]
        layer = self._window.layer
        name = "image" if layer is None else layer.name.replace("/", "_")
        text, _ = QFileDialog.getSaveFileName(
            self,
            "Save the denoised stack",
            f"{name} denoised{ending}",
            pattern,
            # It would not ask for the folder that a Zarr is, and before an ending was added; we ask for all
            options=QFileDialog.Option.DontConfirmOverwrite,
        )
        if not text:
            return
        path = Path(text)
        if not path.name.endswith((".zarr", ".tif", ".tiff")):
            path = path.with_name(path.name + ending)
        try:
            self._check(path)  # before it is asked whether it may be replaced
            if not path.exists() or self._may_replace(path):
                self.run(path, overwrite=path.exists())
        except ValueError as error:
            show_error(describe(error))

    def _check(self, target: Path) -> None:
        """Raise a ValueError for a file that the image, or any other layer, is read from."""
        subject = self._window.session.view.subject
        if subject is not None:
            refuse_overwriting(target, files_behind(subject.data, subject.path))
        for layer in self._viewer.layers:
            paths = layer.source.path if layer.source else None, made_of(layer).get("path")
            files = {file for path in paths for file in files_behind(full_data(layer), path)}
            refuse_overwriting(target, sorted(files), f"the layer {layer.name}")

    def _may_replace(self, path: Path) -> bool:
        answer = QMessageBox.question(
            self, "Replace?", f"{path.name} is there already. Replace it when the new result is complete?"
        )
        return answer == QMessageBox.StandardButton.Yes

    def _show_task(self, state: DockState) -> None:
        if not state.busy:
            self.shut()
            return
        if self._task is None:
            self._task = progress(desc=f"Denoising {state.layer}", total=0)
        if state.total and self._task.total != state.total:
            self._task.reset(total=state.total)
        if state.done > self._task.n:
            self._task.update(state.done - self._task.n)

    def _add(self, done: Finished, job: Job) -> None:
        look, settings = dict(self._look), job.settings.model_dump(mode="json")
        if job.settings.time is not None and "T" in job.axes:
            axis = job.axes.index("T")
            look["translate"] = np.array(look["translate"], dtype=float)
            look["translate"][axis] += job.settings.time[0] * look["scale"][axis]
        report = done.report
        made: dict[str, Any] = {"role": "result", "source": job.name, "settings": settings}
        made |= {"rate": report.rate, "bpp": report.bpp, "messages": list(report.messages)}
        if job.target is not None:
            made["path"] = str(job.target)
        if names := _channel_names(job):
            made["channel_names"] = names
        several, name = isinstance(done.data, list), f"{job.name} denoised"
        layer = Image(done.data, name=name, multiscale=several, metadata={OURS: made}, **look)
        source = self._layer
        if source is not None and source in self._viewer.layers:
            self._window.family_of(source).put_result(layer)
        else:
            self._viewer.add_layer(layer)


def section(window: NapariWindow) -> RunBox:
    """The section of a dock."""
    box = RunBox(window)
    window.happened.connect(box.take)
    return box


def _channel_names(job: Job) -> tuple[str, ...]:
    """Names of the channels that were denoised; empty where they are not known."""
    names = () if job.metadata is None else job.metadata.channel_names
    chosen = job.settings.channels
    if "C" not in job.axes or len(names) != job.input.shape[job.axes.index("C")]:
        return ()
    return names if chosen is None else tuple(names[number] for number in chosen)
