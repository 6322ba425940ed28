"""The table of readouts: checks, a plane's decodes beside each other, or a series row by row."""

from __future__ import annotations

from napari_rdpdenoise.metrics.table import METRICS
from napari_rdpdenoise.ui.compare.readouts import SeriesRow
from napari_rdpdenoise.ui.compare.scores import UNAVAILABLE, Readout
from napari_rdpdenoise.ui.qt.parts.number_table import NumberTable

__all__ = ["ReadoutTable"]

_OF = {"noisy": "Noisy", "fidelity": "Fidelity", "realism": "Realism", "result": "Result"}


class ReadoutTable(NumberTable):
    """Numbers with what they are of."""

    def start_checks(self) -> None:
        """Empty it, for checks that need no reference."""
        self.start("Check", ["Found"])

    def start_plane(self, *, realism: bool) -> None:
        """Empty it, for one plane; ``realism`` says whether the model has that decoder."""
        self.start("", [name for key, name in _OF.items() if key != "realism" or realism])

    def start_series(self) -> None:
        """Empty it, for one row per plane."""
        self.start("Plane", [_short(metric.name) for metric in METRICS])

    def put_readout(self, readout: Readout) -> None:
        """Write a number of one plane, or a check."""
        if readout.of:
            across = readout.value is None and readout.of == "noisy"
            self.put(readout.name, _OF[readout.of], readout.text, readout.why, across=across)
        else:
            mark = {True: "✓ ", False: "! ", None: ""}[readout.fine]
            last = self.horizontalHeaderItem(self.columnCount() - 1).text()
            words = readout.why if readout.text == UNAVAILABLE else readout.text
            self.put(readout.name, last, mark + words)

    def put_row(self, row: SeriesRow) -> None:
        """Write the numbers of one plane of a series, or their means."""
        name = "mean" if row.index is None else ", ".join(map(str, row.index)) or "all"
        for readout in row.readouts:
            self.put(name, _short(readout.name), readout.text, readout.why)
        self.scrollToBottom()


def _short(name: str) -> str:
    return name.partition(",")[0]
