"""How large the cache of encoded tiles is, and a button that empties it."""

from __future__ import annotations

from pathlib import Path

from napari.utils.notifications import show_error
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QMessageBox, QWidget

from napari_rdpdenoise.cache import CacheStats, LatentCache
from napari_rdpdenoise.ui.qt.background import Newest, ask
from napari_rdpdenoise.ui.qt.parts.controls import button, named, row, stack, text_label
from napari_rdpdenoise.ui.qt.preferences import open_cache, preferences
from napari_rdpdenoise.ui.state import describe

__all__ = ["CacheBox", "size_words"]

_SHOWN = 34  # letters of the folder, so that its line fits into 320 px


class CacheBox(QWidget):
    """Shows and empties a cache. Folders are looked through in a thread.

    Args:
        cache: Cache that preview and runs share; None for the one that the preferences describe.
        limit_bytes: Bytes that its files may take; None for the limit of the preferences.
    """

    def __init__(self, cache: LatentCache | None, limit_bytes: int | None = None) -> None:
        super().__init__()
        chosen = preferences()
        self._cache = open_cache(chosen) if cache is None else cache
        self._limit = chosen.cache_bytes if limit_bytes is None else limit_bytes
        self._looking = Newest(self)
        self._size = named(text_label("Cache: looking."), "Cache", "")
        self._told = named(text_label(), "Cache cleared", "What was freed.")
        self._clear = button(
            "Clear…",
            "Remove all encoded blocks, those of earlier sessions too. Results are not touched; images are "
            "encoded again when they are needed.",
            "Clear cache",
        )
        stack(self, row(self._size, self._clear, wide=self._size), self._told)
        self._told.hide()
        self._clear.clicked.connect(self._ask)
        self._show_folder()

    def refresh(self) -> None:
        """Look at the cache again, and show its size when that is done."""
        # A folder that cannot be looked through shows no size
        self._looking.ask(self._cache.stats, self._show_folder, lambda error: None)

    def showEvent(self, event: QShowEvent) -> None:
        """Bring the size up to date whenever the box is unfolded."""
        super().showEvent(event)
        self.refresh()

    def _ask(self) -> None:
        buttons = QMessageBox.StandardButton
        answer = QMessageBox.question(
            self,
            "Clear the cache",
            f"Remove all encoded blocks in {self._cache.folder or 'memory'}?\n\n"
            "Results are not touched. Images are encoded again when they are needed.",
            buttons.Yes | buttons.Cancel,
            buttons.Cancel,
        )
        if answer == buttons.Yes:
            self._clear.setEnabled(False)
            ask(self, lambda: _empty(self._cache), self._tell_freed, self._cleared)

    def _tell_freed(self, found: tuple[CacheStats, CacheStats]) -> None:
        before, after = found
        count = max(before.entries - after.entries, 0)
        blocks = "1 block" if count == 1 else f"{count} blocks"
        left = f" {size_words(after.disk_bytes)} are in use and stay." if after.disk_bytes else ""
        freed = size_words(max(before.disk_bytes - after.disk_bytes, 0))
        self._told.setText(f"Freed {freed}, {blocks}.{left}")
        self._told.show()

    def _cleared(self, error: Exception | None) -> None:
        self._clear.setEnabled(True)
        if error is not None:
            show_error(
                f"The cache could not be cleared: {describe(error)} "
                f"Remove the files in {self._cache.folder} yourself."
            )
        self.refresh()

    def _show_folder(self, found: CacheStats | None = None) -> None:
        folder, size = self._cache.folder, "…" if found is None else size_words(found.disk_bytes)
        if folder is None:
            text, tooltip = "Cache: in memory only", "Encoded blocks are kept until napari is closed."
        elif self._limit <= 0:
            text, tooltip = f"Cache: off on disk, {size} in {_short(folder)}", str(folder)
        else:
            text = f"Cache: {size} of {size_words(self._limit)} in {_short(folder)}"
            tooltip = f"Encoded blocks of earlier previews and runs, in {folder}"
        self._size.setText(text)
        named(self._size, text, tooltip)


def size_words(count: int) -> str:
    """Bytes in words, decimal units: ``"123 MB"``."""
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if count >= unit:
            digits = 1 if count < 100 * unit else 0
            return f"{count / unit:.{digits}f} {name}".replace(".0 ", " ")
    return "0 MB" if count == 0 else f"{count} bytes"


def _short(folder: Path) -> str:
    text = str(folder)
    home = str(Path.home())
    if len(home) > 1 and text.startswith(home):
        text = "~" + text[len(home) :]
    return text if len(text) <= _SHOWN else "…" + text[1 - _SHOWN :]


def _empty(cache: LatentCache) -> tuple[CacheStats, CacheStats]:
    """Sizes before and after; before as they are now, as others may have written since it last looked."""
    fresh = cache if cache.folder is None else LatentCache(memory_bytes=0, folder=cache.folder)
    before = fresh.stats()
    cache.clear()
    return before, cache.stats()
