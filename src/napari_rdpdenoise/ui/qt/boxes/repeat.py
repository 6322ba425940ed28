"""Copy what the dock would do as Python or as a command; save and load job files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from napari.utils.notifications import show_error
from qtpy.QtWidgets import QApplication, QFileDialog, QGridLayout, QPushButton, QVBoxLayout

from napari_rdpdenoise.ui.qt.background import ask
from napari_rdpdenoise.ui.qt.parts.controls import named, text_label
from napari_rdpdenoise.ui.qt.parts.section import Section
from napari_rdpdenoise.ui.run.recipes import Recipe, as_command, as_python
from napari_rdpdenoise.ui.state import describe

if TYPE_CHECKING:
    from napari_rdpdenoise.settings import RunSettings
    from napari_rdpdenoise.ui.qt.window import NapariWindow

__all__ = ["RepeatBox", "section"]

_FILTER = "Job files (*.job.json *.json);;All files (*)"


class _Answer(NamedTuple):
    """What a thread did with a file; an exception that is returned bare would count as raised."""

    path: Path
    settings: RunSettings | None = None
    error: Exception | None = None


class RepeatBox(Section):
    """Four buttons and a line that says what they did. Files are read and written in a thread.

    Args:
        recipe: tells what the dock would do now; a ValueError says why nothing can be done.
        apply: takes over loaded settings; a ValueError says why they do not fit.
    """

    title = "Repeat"

    def __init__(self, recipe: Callable[[], Recipe], apply: Callable[[RunSettings], None]) -> None:
        super().__init__()
        self._recipe, self._apply = recipe, apply
        self._python = _button(
            "Copy as Python", "Copy Python text that denoises the same with these settings."
        )
        self._command = _button("Copy as command", "Copy a command line that denoises the same.")
        self._save = _button(
            "Save job...", "Save these settings to a file that dock and command line load again."
        )
        self._load = _button(
            "Load job...",
            "Take the settings from a job file, a saved one or the RESULT.job.json beside a result.",
        )
        self._told = named(text_label(), "Repeat", "What was copied, saved or loaded.")
        self._told.hide()
        grid = QGridLayout()
        for number, button in enumerate((self._python, self._command, self._save, self._load)):
            grid.addWidget(button, *divmod(number, 2))
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(grid)
        column.addWidget(self._told)
        self._python.clicked.connect(lambda: self._copy(_python_of, "Python text"))
        self._command.clicked.connect(lambda: self._copy(_command_of, "Command"))
        self._save.clicked.connect(self._save_job)
        self._load.clicked.connect(self._load_job)

    def _now(self) -> Recipe | None:
        try:
            return self._recipe()
        except ValueError as error:
            show_error(describe(error))
            return None

    def _copy(self, written: Callable[[Recipe], str], what: str) -> None:
        recipe = self._now()
        if recipe is None:
            return
        try:
            text = written(recipe)
        except ValueError as error:
            show_error(describe(error))
            return
        QApplication.clipboard().setText(text)
        note = "; the layer has to be saved first" if written is _command_of and recipe.path is None else ""
        self._tell(f"{what} copied{note}.")

    def _save_job(self) -> None:
        recipe = self._now()
        if recipe is None:
            return
        name, _ = QFileDialog.getSaveFileName(self, "Save job", _suggested(recipe), _FILTER)
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
        ask(self, lambda: _write(path, recipe), self._saved)

    def _saved(self, answer: _Answer) -> None:
        if answer.error is not None:
            show_error(f"The job could not be saved: {describe(answer.error)}")
        else:
            self._tell(f"Job saved as {answer.path.name}.", str(answer.path))

    def _load_job(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, "Load job", "", _FILTER)
        if name:
            ask(self, lambda: _read(Path(name)), self._loaded)

    def _loaded(self, answer: _Answer) -> None:
        if answer.settings is None:
            show_error(f"The job could not be loaded: {describe(answer.error or ValueError())}")
            return
        try:
            self._apply(answer.settings)
        except ValueError as error:
            show_error(f"The job does not fit: {describe(error)}")
            return
        self._tell(f"Settings taken from {answer.path.name}.", str(answer.path))

    def _tell(self, text: str, tooltip: str = "") -> None:
        self._told.setText(text)
        self._told.setToolTip(tooltip)
        self._told.show()


def section(window: NapariWindow) -> RepeatBox:
    """The section of a dock."""
    return RepeatBox(window.session.recipe, window.session.take_settings)


def _button(text: str, tooltip: str) -> QPushButton:
    return named(QPushButton(text), text.removesuffix("..."), tooltip)


def _python_of(recipe: Recipe) -> str:
    return as_python(recipe.settings, path=recipe.path, target=recipe.target, layer=recipe.layer)


def _command_of(recipe: Recipe) -> str:
    return as_command(recipe.settings, recipe.path, recipe.target, recipe.layer)


def _suggested(recipe: Recipe) -> str:
    """A name for the job file, beside the result or the input where there is a folder for it."""
    for path in (recipe.target, recipe.path):
        if path and "://" not in path:
            return f"{path.rstrip('/')}.job.json"
    return "denoise.job.json"


def _write(path: Path, recipe: Recipe) -> _Answer:
    from napari_rdpdenoise.jobs.record import write_job

    try:
        write_job(path, recipe.settings, recipe.path, recipe.target)
    except (OSError, ValueError) as error:
        return _Answer(path, error=error)
    return _Answer(path)


def _read(path: Path) -> _Answer:
    from napari_rdpdenoise.jobs.record import read_settings

    try:
        return _Answer(path, read_settings(path))
    except (OSError, ValueError) as error:
        return _Answer(path, error=error)
