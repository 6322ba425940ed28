"""The user's own models: used, renamed, deleted, and exported for other programs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from qtpy.QtWidgets import QFileDialog, QInputDialog, QLabel, QMessageBox, QWidget

from napari_rdpdenoise.codec.library import ListedModel, delete_model, list_models, rename_model
from napari_rdpdenoise.ui.qt.background import Newest
from napari_rdpdenoise.ui.qt.parts.choice import Choice
from napari_rdpdenoise.ui.qt.parts.controls import button, named, row, stack, text_label
from napari_rdpdenoise.ui.qt.window import NapariWindow
from napari_rdpdenoise.ui.state import describe

__all__ = ["ModelsBox", "models_of"]


class ModelsBox(QWidget):
    """A choice among the user's models, and what can be done with the chosen one.

    Args:
        use: Function that has the dock denoise with a model, by what finds it.
        in_use: Function that tells what finds the model of the dock.
        export: Function that takes what finds a model and a path, and gives the function that writes the
            model there as a package for other programs, which is slow.
    """

    def __init__(
        self,
        use: Callable[[str], None],
        in_use: Callable[[], str],
        export: Callable[[str, Path], Callable[[], Any]],
    ) -> None:
        super().__init__()
        self._use, self._in_use, self._export = use, in_use, export
        self._models: tuple[ListedModel, ...] = ()
        self._looking, self._exporting = Newest(self), Newest(self, task="Exporting a model")
        self.choice = named(Choice(), "Models of yours", "Models that were trained here.")
        self.use = button("Use", "Denoise with this model; the preview follows.")
        self.rename = button("Rename…", "Give the model another name.")
        self.delete = button("Delete…", "Delete the model for ever; you are asked first.")
        self.export = button(
            "Export…",
            "Write the model as a BioImage.IO package, for the camera of the image above and the rate and "
            "realism that are set: other programs run it without this one.",
        )
        self.told = text_label()
        self._buttons = (self.use, self.rename, self.delete, self.export)
        stack(
            self,
            row(QLabel("Your models"), self.choice, wide=self.choice),
            row(self.use, self.rename, wide=self.use),
            row(self.delete, self.export, wide=self.delete),
            self.told,
        )
        self.told.hide()
        self.use.clicked.connect(lambda: self._use(self._chosen.key))
        self.rename.clicked.connect(self._rename)
        self.delete.clicked.connect(self._delete)
        self.export.clicked.connect(self._ask_where)
        self._show(())

    def refresh(self) -> None:
        """List the models anew, in a thread."""
        self._looking.ask(lambda: tuple(m for m in list_models() if m.where == "yours"), self._show)

    @property
    def _chosen(self) -> ListedModel:
        return self._models[self.choice.currentIndex()]

    def _show(self, models: Sequence[ListedModel]) -> None:
        name = self.choice.currentText()
        self._models = tuple(models)
        self.choice.clear()
        self.choice.addItems([model.name for model in models] or ["none yet"])
        self.choice.setCurrentIndex(max(0, self.choice.findText(name)))
        for part in (self.choice, *self._buttons):
            part.setEnabled(bool(models))
        for part in self._buttons:
            part.setVisible(bool(models))

    def _rename(self) -> None:
        model = self._chosen
        name, agreed = QInputDialog.getText(self, "Rename the model", "New name", text=model.name)
        if agreed and name.strip() != model.name:
            self._attempt(lambda: self._take_renamed(model, rename_model(model, name)))

    def _take_renamed(self, before: ListedModel, now: ListedModel) -> None:
        if self._in_use() in (before.key, str(before.folder)):
            self._use(now.key)
        self._tell(f"{before.name} is now {now.name}.")

    def _delete(self) -> None:
        model = self._chosen
        text = f"Delete the model {model.name} for ever?\n\nImages that it has denoised are not touched."
        yes, no = QMessageBox.StandardButton.Yes, QMessageBox.StandardButton.Cancel
        if QMessageBox.question(self, "Delete a model", text, yes | no, no) == yes:
            if self._in_use() in (model.key, str(model.folder)):
                self._use("default")
            self._attempt(lambda: self._take_deleted(model))

    def _take_deleted(self, model: ListedModel) -> None:
        delete_model(model)
        self._tell(f"{model.name} is deleted.")

    def _ask_where(self) -> None:
        model = self._chosen
        name, _ = QFileDialog.getSaveFileName(
            self, "Export the model", f"{model.name}.zip", "Package (*.zip)"
        )
        if not name:
            return
        path = Path(name if name.endswith(".zip") else f"{name}.zip")
        self._tell("Packing, and testing with BioImage.IO's tool…")
        work = self._export(model.key, path)
        self._exporting.ask(work, lambda written: self._tell(f"Written: {written}."), self._exported)

    def _exported(self, error: Exception | None) -> None:
        if error is not None:
            self._tell(f"Not exported: {describe(error)}")

    def _attempt(self, work: Callable[[], object]) -> None:
        try:
            work()
        except (OSError, ValueError) as error:
            self._tell(describe(error))
        self.refresh()

    def _tell(self, text: str) -> None:
        self.told.setText(text)
        self.told.show()


def models_of(window: NapariWindow) -> ModelsBox:
    """The box of a dock."""
    session = window.session

    def export(model: str, path: Path) -> Callable[[], Path]:
        state, subject = session.state, session.view.subject
        rate = "auto" if state.shown_rate is None else state.shown_rate
        chosen = {"rate": rate, "realism": state.shown_realism}
        sample, axes = (None, None) if subject is None else (subject.data, subject.axes)

        def write() -> Path:
            from napari_rdpdenoise.export.package import export_bioimageio

            return export_bioimageio(model, path, sample=sample, axes=axes, overwrite=True, **chosen)

        return write

    return ModelsBox(lambda key: window.edit(model=key), lambda: session.state.model, export)
