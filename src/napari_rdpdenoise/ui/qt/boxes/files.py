"""Many files at once, with the settings of the dock: dropped here, denoised one after the other, reported."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt, QUrl
from qtpy.QtGui import QDesktopServices, QDragEnterEvent, QDropEvent
from qtpy.QtWidgets import (
    QApplication,
    QComboBox,
    QFileDialog,
    QFormLayout,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
)

from napari_rdpdenoise.jobs.batch import IMAGE_ENDINGS, Ended, Started
from napari_rdpdenoise.settings import RunSettings
from napari_rdpdenoise.stream import Progress
from napari_rdpdenoise.ui.qt.background import Newest
from napari_rdpdenoise.ui.qt.parts.controls import (
    button,
    named,
    row,
    scroll_to,
    short,
    single_shot,
    stack,
    text_label,
)
from napari_rdpdenoise.ui.qt.parts.progress import Bar
from napari_rdpdenoise.ui.qt.parts.section import Section
from napari_rdpdenoise.ui.qt.window import NapariWindow
from napari_rdpdenoise.ui.run.files import batch, batch_command, images_in, left_out, row_words
from napari_rdpdenoise.ui.state import describe, progress_words, sentence, stopping_words

__all__ = ["FilesBox", "section"]

_FORMATS = {"as each file": None, "OME-Zarr": "ome-zarr", "OME-TIFF": "ome-tiff"}
_HINT = (
    "Drop files or folders here. They are denoised with the rate, realism and settings of this dock, each by "
    "its own noise. What is done already is skipped, so that a stopped batch goes on."
)
_KINDS = (
    "TIFF, OME-TIFF, OME-Zarr, Zarr and .npy can be read here, and CZI, ND2 and LIF with the extra formats. "
    "Open others in napari and denoise them there."
)
_NAMED = 2  # names of files that are left out
_STEPS = 1000  # of the bar, per file
_LIST_HEIGHT = 80, 192  # px, of few files and of many
_LAID_OUT_MS = 50  # until a list that has grown, or a bar that has come, is laid out
_PATH = Qt.ItemDataRole.UserRole


class FilesBox(Section):
    """A table of files, where their results go, and how far it is.

    Args:
        settings: Function that tells the settings of the dock.
        work: Function that denoises, as `batch` without a cache; for tests.
    """

    title = "Files"

    def __init__(
        self,
        settings: Callable[[], RunSettings],
        work: Callable[[list[str], str, RunSettings], Generator[Any, None, Any]],
    ) -> None:
        super().__init__()
        self._settings, self._work = settings, work
        self._running = Newest(self, task="Denoising files")
        self._number = self._failed = 0
        self._preparing = ""  # what is done before the first block of a file, in words
        self._noted = False  # whether there is more to read of a file than its row
        self.hint = text_label(_HINT)
        self.table = named(QListWidget(), "Files", "Files to denoise, and below each what came of it.")
        self.add = button("Add files…", "Choose image files.")
        self.add_folder = button("Add folder…", "Take all images that lie in a folder.")
        self.remove = button("Remove", "Take the selected files off the list, or all if none is selected.")
        self.out = named(
            QLineEdit(), "Output folder", "Folder of the results; it is made if it is not there."
        )
        self.browse = button("…", "Choose the output folder.", "Choose output folder")
        self.format = named(QComboBox(), "Format", "Format of the results.")
        self.format.addItems(_FORMATS)
        self.start = button("Denoise files", "Denoise the files one after the other.")
        self.stop = button("Cancel", "Stop after the block in work; starting again goes on there.")
        self.bar = named(Bar(), "Progress", "Files done.")
        self.status = named(text_label(), "Status of the files", "How far the files are.")
        self.copy = button("Copy command", "Copy a command line that does the same.")
        self.folder = button("Show folder", "Open the folder of the results.")
        self._bring = single_shot(self, _LAID_OUT_MS, self._bring_next)
        self._arrange()
        self._listen()
        self.setAcceptDrops(True)
        self.status.hide()
        self._show()

    def _arrange(self) -> None:
        self.table.setSelectionMode(QListWidget.SelectionMode.ExtendedSelection)
        self.table.setTextElideMode(Qt.TextElideMode.ElideMiddle)  # of names; what came of them wraps
        self.table.setWordWrap(True)
        self.table.setResizeMode(QListWidget.ResizeMode.Adjust)
        self.table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.table.setSpacing(1)
        self.table.setSizeAdjustPolicy(QListWidget.SizeAdjustPolicy.AdjustToContents)
        self.table.setMinimumHeight(_LIST_HEIGHT[0])
        self.table.setMaximumHeight(_LIST_HEIGHT[1])
        form = QFormLayout()
        form.addRow("Into", row(self.out, self.browse, wide=self.out))
        form.addRow("Format", self.format)
        self.browse.setMaximumWidth(30)
        adding = row(self.add, self.add_folder, self.remove, wide=self.add)
        doing = row(self.start, self.stop, wide=self.start)
        after = row(self.copy, self.folder, wide=self.copy)
        stack(self, self.hint, self.table, adding, form, doing, self.bar, self.status, after)

    def _listen(self) -> None:
        self.add.clicked.connect(self._add_files)
        self.add_folder.clicked.connect(self._add_folder)
        self.remove.clicked.connect(self._remove)
        self.browse.clicked.connect(self._choose_out)
        self.start.clicked.connect(self.begin)
        self.stop.clicked.connect(self._stop)
        self.copy.clicked.connect(self._copy)
        self.folder.clicked.connect(self._open_folder)
        self.out.textChanged.connect(lambda _: self._show())

    @property
    def paths(self) -> list[str]:
        """The files on the list."""
        return [self._item(number).data(_PATH) for number in range(self.table.count())]

    @property
    def results(self) -> list[str]:
        """What came of each file, in words; empty for nothing yet."""
        return [self._item(number).text().partition("\n")[2] for number in range(self.table.count())]

    def take(self, paths: list[str]) -> None:
        """Put image files, and those in folders, on the list."""
        found = images_in(paths)
        for path in found:
            if path not in self.paths:
                item = QListWidgetItem(Path(path).name)
                item.setData(_PATH, path)
                item.setToolTip(path)
                self.table.addItem(item)
        if found and not self.out.text():
            self.out.setText(str(Path(found[0]).parent / "denoised"))
        self._say(_left_words(left_out(paths)))
        self._show()
        self._bring.start()

    def begin(self) -> None:
        """Denoise what is on the list, or say what is missing."""
        if self._running.busy:
            return
        paths, out, settings = self.paths, self.out.text().strip(), self._chosen()
        for number in range(len(paths)):
            self._write(number, "", "")
        self._number = self._failed = 0
        self._noted, self._preparing = False, "Starting."
        self._say(self._preparing)
        self.bar.setRange(0, _STEPS * len(paths))
        self.bar.setValue(0)
        self._running.start(lambda: self._work(paths, out, settings), self._hear, self._ended)
        self._show()
        self._bring.start()

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Take files."""
        if event.mimeData().hasUrls() and not self._running.busy:
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Put what was dropped on the list."""
        self.take([url.toLocalFile() for url in event.mimeData().urls() if url.isLocalFile()])
        event.acceptProposedAction()

    def shut(self) -> None:
        """Stop after the block in work."""
        self._running.cancel()

    # What the thread says

    def _hear(self, event: Any) -> None:
        if isinstance(event, Started):
            self._number = event.number
        if isinstance(event, Started | Ended):
            fine, words, more = row_words(event)
            self._failed += fine is False and isinstance(event, Ended) and event.error is not None
            self._noted = self._noted or fine is False
            mark = {True: "✓ ", False: "! ", None: ""}[fine]
            self._write(self._number - 1, mark + words, more)
            self.table.doItemsLayout()  # the row has grown, and is to be seen whole
            self.table.scrollToItem(self._item(self._number - 1))
            done = self._number if isinstance(event, Ended) else self._number - 1
            self.bar.setValue(_STEPS * done)
        elif isinstance(event, Progress) and (event.total or event.message):
            if event.total:
                self.bar.setValue(round(_STEPS * (self._number - 1 + event.done / event.total)))
            words = sentence(progress_words(event))
            self._preparing = "" if event.total else words
            if not self._running.stopping:
                self._say(f"File {max(self._number, 1)} of {self.table.count()}. {words}")

    def _ended(self, error: Exception | None) -> None:
        count = self.table.count()
        if error is not None:
            self._say(f"Not denoised: {describe(error)}")
        elif self._running.stopping and self.bar.value() < self.bar.maximum():
            self._say("Cancelled. Start again to go on where it was.")
            self._write(max(self._number, 1) - 1, "Stopped.", "")
        else:
            failed = f", {self._failed} failed" if self._failed else ""
            read = " Point at a file to read its notes." if self._noted else ""
            self._say(f"{count - self._failed} of {count} files are done{failed}.{read}")
        self._show()

    # Inside

    def _bring_next(self) -> None:
        """Scroll to what is to be clicked or read next: many files push it out of a low window."""
        if self.isVisible():
            scroll_to(self.start)
            if self.status.isVisible():
                scroll_to(self.status)

    def _say(self, words: str) -> None:
        self.status.setText(words)
        self.status.setVisible(bool(words))

    def _chosen(self) -> RunSettings:
        return self._settings().replace(axes=None, output_format=_FORMATS[self.format.currentText()])

    def _item(self, number: int) -> QListWidgetItem:
        return self.table.item(number)

    def _write(self, number: int, words: str, more: str) -> None:
        """Say what came of a file, below its name, and more to who points at it."""
        item = self._item(number)
        path = item.data(_PATH)
        item.setText("\n".join([Path(path).name, *words.splitlines()[:1]]))
        item.setToolTip("\n".join(line for line in (path, words, more) if line))

    def _show(self) -> None:
        busy, some, out = self._running.busy, self.table.count() > 0, bool(self.out.text().strip())
        for part in (self.add, self.add_folder, self.out, self.browse, self.format):
            part.setEnabled(not busy)
        self.remove.setEnabled(some and not busy)
        self.start.setEnabled(some and out and not busy)
        count = self.table.count()
        self.start.setText(f"Denoise {count} files" if count > 1 else "Denoise files")
        self.stop.setVisible(busy)
        self.stop.setEnabled(not self._running.stopping)
        self.bar.setVisible(busy)
        self.copy.setEnabled(some and out)
        self.folder.setEnabled(out and Path(self.out.text()).is_dir())

    def _add_files(self) -> None:
        pattern = f"Images ({' '.join(f'*{ending}' for ending in IMAGE_ENDINGS)});;All files (*)"
        names, _ = QFileDialog.getOpenFileNames(self, "Files to denoise", "", pattern)
        if names:
            self.take(names)

    def _add_folder(self) -> None:
        if name := QFileDialog.getExistingDirectory(self, "Folder with images, or an OME-Zarr"):
            self.take([name])

    def _choose_out(self) -> None:
        if name := QFileDialog.getExistingDirectory(self, "Folder of the results", self.out.text()):
            self.out.setText(name)

    def _stop(self) -> None:
        """Stop soon, and say what is waited for."""
        self._running.stop()
        self._say(stopping_words(self._preparing))
        self._show()

    def _remove(self) -> None:
        chosen = sorted({index.row() for index in self.table.selectedIndexes()}, reverse=True)
        for number in chosen or range(self.table.count() - 1, -1, -1):
            self.table.takeItem(number)
        self._show()

    def _copy(self) -> None:
        command = batch_command(self.paths, self.out.text().strip(), self._chosen())
        QApplication.clipboard().setText(command)
        self._say("Command copied.")

    def _open_folder(self) -> None:
        QDesktopServices.openUrl(QUrl.fromLocalFile(self.out.text()))


def _left_words(names: list[str]) -> str:
    """What to say of files that were not taken; empty for none."""
    if not names:
        return ""
    listed = ", ".join(short(name) for name in names[:_NAMED])
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"Left out: {listed}{more}. {_KINDS}"


def section(window: NapariWindow) -> FilesBox:
    """The section of a dock."""
    session = window.session

    def work(paths: list[str], out: str, settings: RunSettings) -> Generator[Any, None, Any]:
        return batch(paths, out, settings, window.cache)

    return FilesBox(lambda: session.state.settings(), work)
