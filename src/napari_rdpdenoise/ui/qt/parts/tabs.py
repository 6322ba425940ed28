"""Parts of the dock of which one shows at a time, no higher than it needs to be."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtWidgets import QTabBar, QWidget

from napari_rdpdenoise.ui.qt.parts.controls import named, stack

__all__ = ["Tabs"]


class Tabs(QWidget):
    """A row of titles; the first part shows at first.

    Not Qt's QTabWidget: that is as high as its highest page.

    Args:
        parts: Widgets by name.
        titles: Titles by name, with & before the letter of a key.
        opened: Function called with the name of a part that comes to show.
    """

    def __init__(
        self, parts: dict[str, QWidget], titles: dict[str, str], opened: Callable[[str], None]
    ) -> None:
        super().__init__()
        self._parts, self._names, self._opened = parts, list(parts), opened
        self._bar = QTabBar()
        self._bar.setExpanding(True)
        self._bar.setDrawBase(False)
        self._bar.setUsesScrollButtons(False)
        named(self._bar, "Parts of the dock", "Click to show a part.")
        stack(self, self._bar, *parts.values())
        self.layout().addStretch(1)  # all room that is left is below
        self._current = self._names[0]
        for name, part in parts.items():
            self._bar.addTab(titles[name])
            part.setVisible(name == self._current)
        self._bar.currentChanged.connect(lambda number: self.open(self._names[number]))

    @property
    def current(self) -> str:
        """Name of the part that shows."""
        return self._current

    def open(self, name: str) -> None:
        """Show a part by its name."""
        if name == self._current:
            return
        self._current = name
        for other, part in self._parts.items():
            part.setVisible(other == name)
        self._bar.setCurrentIndex(self._names.index(name))
        self._opened(name)
