"""The table of readouts: a plane's decodes beside each other, or a series row by row."""

from __future__ import annotations

from napari_rdpdenoise.metrics.table import METRICS
from napari_rdpdenoise.ui.compare.readouts import SeriesRow
from napari_rdpdenoise.ui.compare.scores import Readout
from napari_rdpdenoise.ui.qt.parts.number_table import NumberTable

__all__ = ["ReadoutTable"]

_OF = {"noisy": "Noisy", "fidelity": "Real. 0", "realism": "Real. 1", "result": "Result"}


class ReadoutTable(NumberTable):
    """Numbers with what they are of."""

    def start_plane(self, *, realism: bool) -> None:
        """Empty it, for one plane; ``realism`` says whether the model has that decoder."""
        self.start("", [name for key, name in _OF.items() if key != "realism" or realism])

    def start_series(self) -> None:
        """Empty it, for one row per plane."""
        self.start("Plane", [_short(metric.name) for metric in METRICS])

    def put_readout(self, readout: Readout) -> None:
        """Write a number of one plane."""
        across = readout.value is None and readout.of in ("noisy", "")
        self.put(
            _with_arrow(readout.name),
            _OF.get(readout.of, _OF["noisy"]),
            readout.text,
            readout.why,
            across=across,
        )

    def put_row(self, row: SeriesRow) -> None:
        """Write the numbers of one plane of a series, or their means."""
        name = "mean" if row.index is None else ", ".join(map(str, row.index)) or "all"
        for readout in row.readouts:
            self.put(name, _short(readout.name), readout.text, readout.why)
        self.scrollToBottom()


def _with_arrow(name: str) -> str:
    """A metric's name and which way is better."""
    found = next((metric for metric in METRICS if metric.name == name), None)
    return name if found is None else f"{name} {'↑' if found.higher_is_better else '↓'}"


def _short(name: str) -> str:
    return name.partition(",")[0]
