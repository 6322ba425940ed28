"""A small table of numbers that fills in, can be selected, and is copied as tab-separated text."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Qt
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QApplication, QHeaderView, QShortcut, QTableWidget, QTableWidgetItem, QWidget

__all__ = ["NumberTable"]

_TALLEST = 240  # px; longer tables scroll
_SIDE_BY_SIDE = 4  # columns of numbers that fit beside the rows' names at 320 px


class NumberTable(QTableWidget):
    """Rows and columns by name; a row appears with its first cell."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rows: list[str] = []
        self._columns: list[str] = []
        self.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        self.verticalHeader().hide()
        self.setWordWrap(True)
        self.setHorizontalScrollMode(QTableWidget.ScrollMode.ScrollPerPixel)
        self.setVerticalScrollMode(QTableWidget.ScrollMode.ScrollPerPixel)
        shortcut = QShortcut(QKeySequence(QKeySequence.StandardKey.Copy), self)
        shortcut.setContext(Qt.ShortcutContext.WidgetShortcut)
        shortcut.activated.connect(self.copy)
        self.start("", [])

    def start(self, corner: str, columns: Sequence[str]) -> None:
        """Empty the table, and head the column of the rows' names and the others."""
        self._rows, self._columns = [], list(columns)
        self.clearSpans()
        self.setRowCount(0)
        self.setColumnCount(1 + len(columns))
        self.setHorizontalHeaderLabels([corner, *columns])
        header = self.horizontalHeader()
        header.setMinimumSectionSize(24)
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        if len(columns) <= _SIDE_BY_SIDE:  # narrow numbers: all in view
            for column in range(1, len(columns) + 1):
                header.setSectionResizeMode(column, QHeaderView.ResizeMode.Stretch)
        self._fit()

    def put(self, row: str, column: str, text: str, tip: str = "", *, across: bool = False) -> None:
        """Write a cell of a column that there is; ``across`` lets it take the rest of its row."""
        if row not in self._rows:
            self._rows.append(row)
            self.insertRow(len(self._rows) - 1)
            self.setItem(len(self._rows) - 1, 0, _cell(row, ""))
        cell = self._rows.index(row), 1 + self._columns.index(column)
        self.setItem(*cell, _cell(text, tip))
        if across and self.columnCount() - cell[1] > 1:
            self.setSpan(*cell, 1, self.columnCount() - cell[1])
        self.resizeRowToContents(cell[0])
        self._fit()

    def tsv(self) -> str:
        """The whole table as tab-separated text, with its headings."""
        lines = [[self.horizontalHeaderItem(column).text() for column in range(self.columnCount())]]
        for row in range(self.rowCount()):
            cells = (self.item(row, column) for column in range(self.columnCount()))
            lines.append(["" if cell is None else cell.text() for cell in cells])
        return "\n".join("\t".join(line) for line in lines)

    def copy(self) -> None:
        """Put the whole table on the clipboard."""
        QApplication.clipboard().setText(self.tsv())

    def resizeEvent(self, event: object) -> None:
        """Wrap sentences anew."""
        super().resizeEvent(event)
        self.resizeRowsToContents()
        self._fit()

    def _fit(self) -> None:
        rows = self.verticalHeader().length()
        head = self.horizontalHeader().sizeHint().height()
        too_wide = self.horizontalHeader().length() > max(self.viewport().width(), 1)
        bar = self.horizontalScrollBar().sizeHint().height() if too_wide else 0
        self.setFixedHeight(min(_TALLEST, head + rows + bar + 2 * self.frameWidth() + 2))


def _cell(text: str, tip: str) -> QTableWidgetItem:
    cell = QTableWidgetItem(text)
    cell.setToolTip(tip or text)
    cell.setData(Qt.ItemDataRole.AccessibleTextRole, f"{text}: {tip}" if tip else text)
    return cell
