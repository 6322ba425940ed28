"""Denoising the whole layer: where to, progress, and the result as a layer."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from napari.layers import Image
from napari.utils.notifications import show_error, show_info
from qtpy.QtCore import QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QFileDialog, QMenu, QMessageBox, QWidget

from napari_rdpdenoise.io.origin import files_behind, refuse_overwriting
from napari_rdpdenoise.jobs.job import Job
from napari_rdpdenoise.places import place_of
from napari_rdpdenoise.store.tile.terms import Residual
from napari_rdpdenoise.ui.layers.axes import axes_note
from napari_rdpdenoise.ui.qt.boxes.image import ImageBox
from napari_rdpdenoise.ui.qt.layers import OURS, full_data, look_of, made_of
from napari_rdpdenoise.ui.qt.parts.controls import button, named, row, stack, text_label
from napari_rdpdenoise.ui.qt.parts.progress import Activity, Bar
from napari_rdpdenoise.ui.qt.parts.section import Section
from napari_rdpdenoise.ui.qt.window import NapariWindow
from napari_rdpdenoise.ui.run.jobs import Finished, channel_names, planes_of
from napari_rdpdenoise.ui.run.runs import Cancelled, Event, Failed
from napari_rdpdenoise.ui.state import DockState, describe, limit_words, sentence

__all__ = ["RunBox", "section"]

_BAR_STEPS = 1000
_FEW = 2  # sentences on what a run found that are shown at once
_ENDINGS = {
    "OME-Zarr": (".ome.zarr", "OME-Zarr (*.ome.zarr)"),
    "OME-TIFF": (".ome.tif", "OME-TIFF (*.ome.tif)"),
    "Store": (".ome.zarr", "Store in an OME-Zarr (*.ome.zarr)"),
}
_STORE = (
    "Denoised image and original in one small OME-Zarr; realism and layer are chosen when it is read. An "
    "automatic rate is the one of the fewest bits here whose error is at most 2 % above the least."
)
_KEPT: dict[Residual, str] = {
    "1": "With the original, 4 % more noise",
    "0.5": "With the original, 1 % more noise",
    "lossless": "With the original, lossless",
    "none": "Denoised image alone",
}


class RunBox(Section):
    """Buttons, progress and status of a window's runs.

    Args:
        window: Window of the dock.
        targets: Function that tells the layers that a run takes, the chosen one first; None for that alone.
        choose: Function that chooses another layer, as the next of several is denoised.
    """

    def __init__(
        self,
        window: NapariWindow,
        targets: Callable[[], list[Image]] | None = None,
        choose: Callable[[Image], None] = lambda layer: None,
    ) -> None:
        super().__init__()
        self._viewer, self._window, self._choose = window.viewer, window, choose
        self._targets = targets or (lambda: [layer for layer in (window.layer,) if layer is not None])
        self._queue: list[tuple[Image, Path | None]] = []  # what is denoised next, and where to
        self._residual: Residual | None = None  # of a store that they come into
        self._replaced: set[Path] = set()  # files that the user has agreed to lose
        self._told: list[str] = []  # of those that are done
        self._first: Image | None = None  # of several
        self._made: Path | None = None  # file of the last run
        self._layer: Image | None = None  # that is denoised, its pixels, and how it looks
        self._pixels: Any = None
        self._look: dict[str, Any] = {}
        self._activity = Activity(self)
        self.denoise = button("Denoise", "Denoise the whole layer into a new layer, in memory.")
        self.save = button("Save as…", "Denoise the whole layer into a file, block by block, and open that.")
        self.save.setMenu(QMenu(self.save))
        for name in ("OME-Zarr", "OME-TIFF"):
            self.save.menu().addAction(f"{name}…", partial(self._save_as, name))
        store = self.save.menu().addMenu("Store")
        store.setToolTipsVisible(True)
        for residual, words in _KEPT.items():
            store.addAction(f"{words}…", partial(self._save_as, "Store", residual)).setToolTip(_STORE)
        self.stop = button(
            "Cancel", "Stop after the block in work. What was computed is kept for the next run."
        )
        self.bar = named(Bar(), "Progress", "Blocks done.")
        self.part = text_label()
        self.status = named(text_label(), "Status", "How far the run is, or what came of it.")
        self.folder = button("Show folder", "Open the folder of the result.")
        self.notes = button("", "Show all that the run found, sentence by sentence.", "Notes")
        self.notes.setCheckable(True)
        self._idle, self._working = QWidget(), QWidget()
        for box, parts in ((self._idle, (self.denoise, self.save)), (self._working, (self.bar, self.stop))):
            line = row(*parts, wide=parts[0])
            line.setContentsMargins(0, 0, 0, 0)
            box.setLayout(line)
        after = row(self.notes, self.folder, wide=self.folder)
        stack(self, self.part, self._idle, self._working, self.status, after)
        for part in (self.part, self._working, self.status, self.folder, self.notes):
            part.hide()
        self.denoise.clicked.connect(self._start)
        self.stop.clicked.connect(self._cancel)
        self.folder.clicked.connect(self._open_folder)
        self.notes.toggled.connect(lambda on: self.show_state(window.session.state))

    def show_state(self, state: DockState) -> None:
        """Show where the run stands."""
        self._idle.setVisible(not state.busy)
        self._working.setVisible(state.busy)
        if state.busy:  # what the run before found is over
            self.notes.hide()
            self.notes.blockSignals(True)
            self.notes.setChecked(False)
            self.notes.blockSignals(False)
        for part in (self.denoise, self.save):
            part.setEnabled(state.can_start)
        self.denoise.setText(self._words())
        self.stop.setEnabled(state.can_cancel)
        if state.busy and not state.total:
            self.bar.setRange(0, 0)  # Qt's moving bar: work whose length is not known
        else:
            self.bar.setRange(0, _BAR_STEPS)
            self.bar.setValue(round(_BAR_STEPS * state.done / max(state.total, 1)))
        self.status.setText(self._which() + state.hint if state.busy else self._brief(state.hint))
        self.status.setVisible(bool(state.hint))
        limits = limit_words(state.base)
        self.part.setText(f"Only {limits} (under More)." if limits else "")
        self.part.setVisible(bool(limits))
        self.folder.setVisible(self._made is not None and not state.busy and bool(state.hint))
        if state.busy:
            self._activity.show(f"Denoising {state.layer}", state.done, state.total)
        else:
            self._activity.end()

    def _brief(self, hint: str) -> str:
        """What came of a run; many sentences on what it found are shown when they are asked for."""
        lines = hint.split("\n")
        found = [line for line in lines if line.startswith("!")]
        many = len(found) > _FEW
        self.notes.setText(f"{len(found)} notes")
        self.notes.setVisible(many)
        if not many or self.notes.isChecked():
            return hint
        return "\n".join(line for line in lines if line not in found)

    def _which(self) -> str:
        """Which of several layers is denoised now, in words; empty for a single one."""
        count = len(self._told) + 1 + len(self._queue)
        return f"Layer {len(self._told) + 1} of {count}: " if count > 1 else ""

    def _words(self) -> str:
        """What the button does: how many planes it denoises."""
        subject = self._window.session.view.subject
        if subject is None:
            return "Denoise"
        layers = len(self._targets())
        count = layers * planes_of(subject.data.shape, subject.axes, self._window.session.state.settings())
        return "Denoise" if count == 1 else f"Denoise {count} planes"

    def run(
        self, target: Path | None = None, *, overwrite: bool = False, residual: Residual | None = None
    ) -> None:
        """Start a run of the chosen layer, as `Session.run`; a file that a layer is read from is refused."""
        if target is not None:
            self._check(target)
        layer = self._window.layer
        if layer is not None:
            # taken now, as the layer may be gone when the run ends
            self._layer, self._pixels, self._look = layer, full_data(layer), look_of(layer)
            if note := axes_note(layer.ndim, layer.axis_labels):
                show_info(note)
        self._made = None
        self._window.session.run(target, overwrite=overwrite, residual=residual)

    def take(self, event: Event) -> None:
        """Show what came of a run."""
        job = self._window.session.runs.job
        if isinstance(event, Finished) and job is not None:
            self._made = event.path
            self.folder.setVisible(event.path is not None)
            self._add(event, job)
            self._go_on(job)
        elif isinstance(event, Cancelled | Failed):
            self._queue.clear()
        if isinstance(event, Failed):
            show_error(f"Denoising failed: {describe(event.error)}")

    def shut(self) -> None:
        """Take the bar out of napari's activity dock."""
        self._activity.close()

    # Inside

    def _start(self) -> None:
        """Denoise what is chosen, one layer after the other, into new layers."""
        self._begin()
        self._queue = [(layer, None) for layer in self._targets()[1:]]
        try:
            self.run()
        except ValueError as error:
            self._refuse(error)

    def _refuse(self, error: ValueError) -> None:
        """Say why nothing was started, also in the dock: what napari shows is cut off after a few words."""
        self._window.session.tell(f"Not started: {sentence(describe(error))}")
        show_error(describe(error))

    def _begin(self) -> None:
        self._told, self._queue, self._first = [], [], self._window.layer
        self._residual = None

    def _cancel(self) -> None:
        self._queue.clear()
        self._window.session.cancel()

    def _go_on(self, job: Job) -> None:
        """Denoise the next layer, if one is left."""
        state = self._window.session.state
        self._told.append(_of_layer(job.name, state.status))
        while self._queue:
            layer, target = self._queue.pop(0)
            if layer in self._viewer.layers:
                self._choose(layer)
                self.run(target, overwrite=target in self._replaced, residual=self._residual)
                return
        if len(self._told) > 1:
            if self._first is not None and self._first in self._viewer.layers:
                self._choose(self._first)  # what the user had chosen
            self._window.session.tell("\n".join(self._told))
        self._told = []

    def _open_folder(self) -> None:
        if self._made is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._made.parent)))

    def _save_as(self, kind: str, residual: Residual | None = None) -> None:
        ending, pattern = _ENDINGS[kind]
        what = "denoised" if residual is None else "store"
        title, others = "Save the denoised image" if residual is None else "Save a store", self._targets()[1:]
        if others:
            title += f" of the first of {len(others) + 1} layers; the others go beside it"
        text, _ = QFileDialog.getSaveFileName(
            self,
            title,
            self._suggested(ending, what),
            pattern,
            # It would not ask for the folder that a Zarr is, and before an ending was added; we ask for all
            options=QFileDialog.Option.DontConfirmOverwrite,
        )
        if not text:
            return
        path = Path(text)
        if not path.name.endswith((".zarr", ".tif", ".tiff") if residual is None else ".zarr"):
            path = path.with_name(path.name + ending)
        try:
            places = [path, *(path.with_name(f"{_file_name(o.name)}-{what}{ending}") for o in others)]
            if len(set(map(place_of, places))) < len(places):
                raise ValueError(
                    f"target: expected a name for each layer, found {path.name} twice; choose another"
                )
            for place in places:
                self._check(place)  # before it is asked whether it may be replaced
            there = [place for place in places if place.exists()]
            if not there or self._may_replace(there):
                self._begin()
                self._residual, self._replaced = residual, set(there)
                self._queue = list(zip(others, places[1:], strict=True))
                self.run(path, overwrite=path in there, residual=residual)
        except ValueError as error:
            self._refuse(error)

    def _suggested(self, ending: str, what: str) -> str:
        """A name beside the image's file, where there is one."""
        layer, subject = self._window.layer, self._window.session.view.subject
        name = "image" if layer is None else _file_name(layer.name)
        path = None if subject is None else subject.path
        if path is None and layer is not None and layer.source is not None:
            path = layer.source.path  # read by another plugin, such as that for PNG
        beside = Path(path).parent if path and "://" not in str(path) else Path()
        return str(beside / f"{name}-{what}{ending}")

    def _check(self, target: Path) -> None:
        """Raise a ValueError for a file that the image, or any other layer, is read from."""
        subject = self._window.session.view.subject
        if subject is not None:
            refuse_overwriting(target, files_behind(subject.data, subject.path))
        for layer in self._viewer.layers:
            paths = layer.source.path if layer.source else None, made_of(layer).get("path")
            files = {file for path in paths for file in files_behind(full_data(layer), path)}
            refuse_overwriting(target, sorted(files), f"the layer {layer.name}")

    def _may_replace(self, paths: list[Path]) -> bool:
        names = ", ".join(path.name for path in paths)
        words = ("are", "them", "each") if len(paths) > 1 else ("is", "it", "the")
        text = "{} {} there already. Replace {} when {} new result is complete?".format(names, *words)
        answer = QMessageBox.question(self, "Replace?", text)
        return answer == QMessageBox.StandardButton.Yes

    def _add(self, done: Finished, job: Job) -> None:
        source = self._layer
        if source is not None and (
            source not in self._viewer.layers or full_data(source) is not self._pixels
        ):
            source = None  # its pixels are not those that were denoised
        look = dict(self._look) if source is None else look_of(source)  # it may have been moved meanwhile
        settings = job.settings.model_dump(mode="json")
        if job.settings.time is not None and "T" in job.axes:
            axis = job.axes.index("T")
            look["translate"] = np.array(look["translate"], dtype=float)
            look["translate"][axis] += job.settings.time[0] * look["scale"][axis]
        report = done.report
        made: dict[str, Any] = {"role": "result", "source": job.name, "settings": settings}
        made |= {"rate": report.rate, "bpp": report.bpp, "messages": list(report.messages)}
        if job.target is not None:
            made["path"] = str(job.target)
        if names := channel_names(job):
            made["channel_names"] = names
        several, name = isinstance(done.data, list), f"{job.name} denoised"
        layer = Image(done.data, name=name, multiscale=several, metadata={OURS: made}, **look)
        if source is not None:
            self._window.family_of(source).put_result(layer)
        else:
            self._viewer.add_layer(layer)


def section(window: NapariWindow, image: ImageBox) -> RunBox:
    """The section of a dock."""
    box = RunBox(window, lambda: image.targets, image.choose)
    window.happened.connect(box.take)
    window.counted.connect(lambda: box.show_state(window.session.state))
    return box


def _of_layer(name: str, status: str) -> str:
    """What came of the run of one of several layers: its sentences say whose they are."""
    first, *rest = status.split("\n")
    named = [f"! {name}: {line[2:]}" if line.startswith("! ") else line for line in rest]
    return "\n".join([f"{name}: {first}", *named])


def _file_name(name: str) -> str:
    return name.replace("/", "_").replace("\\", "_")
