"""Copy what the dock would do as Python or as a command; save and load job files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from napari.utils.notifications import show_error
from qtpy.QtWidgets import QApplication, QFileDialog, QGridLayout, QMessageBox, QWidget

from napari_rdpdenoise.jobs.record import read_settings, write_job
from napari_rdpdenoise.settings import RunSettings
from napari_rdpdenoise.ui.qt.background import ask
from napari_rdpdenoise.ui.qt.parts.controls import button, named, scroll_to, single_shot, stack, text_label
from napari_rdpdenoise.ui.run.as_text import Request, as_command, as_python
from napari_rdpdenoise.ui.state import describe, limit_words

__all__ = ["RepeatBox"]

_NO_FILE = "; no file holds the layer as it is (made here, stacked, cropped, read by a plugin): save it first"
_LAID_OUT_MS = 100  # until what was said is laid out
_FILTER = "Job files (*.job.json *.json);;All files (*)"


def _ask_part(parent: QWidget, limits: str) -> bool | None:
    """Ask in a dialog whether a job's part of an image is meant for the layer that is chosen now."""
    box = QMessageBox(parent)
    box.setWindowTitle("Load job")
    box.setText(f"This job denoises only {limits}. Is that meant for this image too?")
    only = box.addButton(f"Only {limits}", QMessageBox.ButtonRole.YesRole)
    everything = box.addButton("All of it", QMessageBox.ButtonRole.NoRole)
    box.addButton(QMessageBox.StandardButton.Cancel)
    box.exec_()
    return {only: True, everything: False}.get(box.clickedButton())


class RepeatBox(QWidget):
    """Four buttons and a line that says what they did. Files are read and written in a thread.

    Args:
        request: Function that tells what the dock would do now; a ValueError says why nothing can be done.
        apply: Function that takes over loaded settings; a ValueError says why they do not fit.
        part: Function that asks whether only a part of the image, in words, is to be denoised: True for that,
            False for all of it, None to load nothing; for tests.
    """

    def __init__(
        self,
        request: Callable[[], Request],
        apply: Callable[[RunSettings], None],
        part: Callable[[QWidget, str], bool | None] = _ask_part,
    ) -> None:
        super().__init__()
        self._request, self._apply, self._part = request, apply, part
        self._python = button("Copy Python", "Copy Python text that denoises the same with these settings.")
        self._command = button("Copy command", "Copy a command line that denoises the same.")
        self._save = button(
            "Save job…", "Save these settings to a file that dock and command line load again."
        )
        self._load = button(
            "Load job…",
            "Take the settings from a job file, a saved one or the RESULT.job.json beside a result.",
        )
        self._told = named(text_label(), "Repeat", "What was copied, saved or loaded.")
        self._told.hide()
        # a method of ours: a function may be gone when the dock is deleted, and Qt calls it all the same
        self._bring = single_shot(self, _LAID_OUT_MS, self._scroll)
        grid = QGridLayout()
        for number, part in enumerate((self._python, self._command, self._save, self._load)):
            grid.addWidget(part, *divmod(number, 2))
        stack(self, grid, self._told)
        self._python.clicked.connect(lambda: self._copy(as_python, "Python text"))
        self._command.clicked.connect(lambda: self._copy(as_command, "Command"))
        self._save.clicked.connect(self._save_job)
        self._load.clicked.connect(self._load_job)

    def _copy(self, written: Callable[[Request], str], what: str) -> None:
        try:
            request = self._request()
            text = written(request)
        except ValueError as error:
            show_error(describe(error))
            return
        QApplication.clipboard().setText(text)
        lacks = written is as_command and request.path is None
        self._tell(f"{what} copied{_NO_FILE if lacks else ''}.")

    def _save_job(self) -> None:
        try:
            request = self._request()
        except ValueError as error:
            show_error(describe(error))
            return
        name, _ = QFileDialog.getSaveFileName(self, "Save job", _suggested(request), _FILTER)
        if not name:
            return
        path = Path(name)
        if not path.suffix:  # not every dialog adds it, and none asks before replacing the longer name
            path = path.with_name(f"{path.name}.job.json")
            if path.exists():
                show_error(
                    f"job: expected a new name, found a file at {path}; choose it itself to replace it"
                )
                return
        ask(
            self,
            lambda: write_job(path, request.settings, request.path, request.target),
            lambda _: self._tell(f"Job saved as {path.name}.", str(path)),
            _teller("The job could not be saved"),
        )

    def _load_job(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, "Load job", "", _FILTER)
        if name:
            path, failed = Path(name), _teller("The job could not be loaded")
            ask(self, lambda: read_settings(path), lambda settings: self._loaded(path, settings), failed)

    def _loaded(self, path: Path, settings: RunSettings) -> None:
        if limits := limit_words(settings):
            only = self._part(self, limits)
            if only is None:
                return
            if not only:
                settings = settings.replace(channels=None, time=None)
        try:
            self._apply(settings)
        except ValueError as error:
            show_error(f"The job does not fit: {describe(error)}")
            return
        self._tell(f"Settings taken from {path.name}.", str(path))

    def forget(self) -> None:
        """Say nothing any more of what was done, as another image is chosen now."""
        self._told.hide()

    def shut(self) -> None:
        """Do nothing more."""
        self._bring.stop()

    def _scroll(self) -> None:
        scroll_to(self._told)

    def _tell(self, text: str, tooltip: str = "") -> None:
        self._told.setText(text)
        self._told.setToolTip(tooltip)
        self._told.show()
        self._bring.start()


def _suggested(request: Request) -> str:
    """A name for the job file, beside the result or the input where there is a folder for it."""
    for path in (request.target, request.path):
        if path and "://" not in path:
            return f"{path.rstrip('/')}.job.json"
    return "denoise.job.json"


def _teller(what: str) -> Callable[[Exception | None], None]:
    """Tells an error, if there is one."""

    def tell(error: Exception | None) -> None:
        if error is not None:
            show_error(f"{what}: {describe(error)}")

    return tell
