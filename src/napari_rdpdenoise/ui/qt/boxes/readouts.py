"""The box of numbers: the result against a clean reference layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from napari.layers import Image, Layer, Shapes
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFormLayout, QGridLayout, QWidget

from napari_rdpdenoise.metrics.download import (
    NETWORKS,
    Fetched,
    Network,
    Opener,
    consent_text,
    fetch_networks,
    missing_networks,
)
from napari_rdpdenoise.metrics.table import METRICS
from napari_rdpdenoise.ui.compare.readouts import (
    RealismPath,
    SeriesRow,
    measure_series,
    measure_shown,
    path,
)
from napari_rdpdenoise.ui.compare.scores import Readout
from napari_rdpdenoise.ui.layers.stacks import Box, Stack, series_planes
from napari_rdpdenoise.ui.preview.shown import Shown
from napari_rdpdenoise.ui.qt.background import Newest
from napari_rdpdenoise.ui.qt.boxes.readout_table import ReadoutTable
from napari_rdpdenoise.ui.qt.layers import is_ours, same_file
from napari_rdpdenoise.ui.qt.parts.consent import ask_consent
from napari_rdpdenoise.ui.qt.parts.controls import button, named, stack, text_label
from napari_rdpdenoise.ui.qt.parts.layer_choice import LayerChoice, region_of, stack_of
from napari_rdpdenoise.ui.qt.parts.progress import Bar

__all__ = ["ReadoutsBox"]

_MOVED = RealismPath((), "", "", "The view changed: measure the plane to see what realism trades here.")
_OTHER = RealismPath((), "", "", "Another reference or region is chosen: measure again.")
_FIRST = RealismPath((), "", "", "Measure what is shown, or the whole series, against it.")
_SISTER = "of the same file"  # another channel, as a rule: with noise of its own, and of something else
_WANTED = [network for network in NETWORKS if network.name in {metric.network for metric in METRICS}]
_NEED_NETWORKS = {metric.name for metric in METRICS if metric.network}


class ReadoutsBox(QWidget):
    """Measures what the dock shows, or a result layer plane by plane, in a thread.

    Args:
        viewer: Viewer whose layers are offered as reference and region.
        shown: Function that tells the plane that is shown; None for nothing.
        noisy_layer: Function that tells the noisy layer that is shown; None for none.
        result_layer: Function that tells the layer that holds the result; None for none.
        networks: Function that tells the folder of the metric networks; None for the usual places.
        ask: Function that asks the user to agree to a text; for tests.
        opener: Function that opens an address; for tests.
    """

    path_changed = Signal(object)
    """What realism trades on the plane that was measured: a `RealismPath`."""

    def __init__(
        self,
        viewer: Any,
        shown: Callable[[], Shown | None],
        noisy_layer: Callable[[], Layer | None],
        result_layer: Callable[[], Layer | None],
        networks: Callable[[], Path | None],
        *,
        ask: Callable[[QWidget, str], bool] = ask_consent,
        opener: Opener | None = None,
    ) -> None:
        super().__init__()
        self._viewer, self._shown, self._folder = viewer, shown, networks
        self._noisy, self._result = noisy_layer, result_layer
        self._ask, self._opener = ask, opener
        self._work = Newest(self)
        self._asked = False  # whether the work under way was asked for; the checks then wait
        self._missing: tuple[Network, ...] = ()
        self._key: object = None  # of the plane that was measured last
        self._build()
        self._idle()

    # What is in it

    def _build(self) -> None:
        layers = self._viewer.layers
        self._reference = named(
            LayerChoice(
                layers,
                Image,
                "no clean image",
                lambda layer: is_ours(layer) or layer in (self._result(), self._noisy()),
                lambda layer: _SISTER if same_file(layer, self._noisy()) else "",
            ),
            "Reference",
            "A clean image of the same field: one plane, or as many as the noisy layer. Its scale is fitted.",
        )
        self._region = named(
            LayerChoice(layers, Shapes, "Whole plane"),
            "Region",
            "Measure within the first rectangle of a shapes layer only.",
        )
        self._plane = button("Measure plane", "Measure what is denoised of the plane that is shown.")
        self._series = button("Measure series", "Measure every plane of the result layer that is done.")
        self._cancel = button(
            "Cancel", "Stop after the number in work; what is there stays.", "Cancel measuring"
        )
        self._copy = button("Copy table", "Copy the table as tab-separated text (also Ctrl+C in the table).")
        self._download = button(
            "Download the metric networks…",
            "LPIPS and DISTS need published networks. You are asked first: address, size, licence, place. "
            "A folder that holds them can be named in the preferences instead.",
        )
        self._bar = named(Bar(), "Measuring", "How far the measurement or the download is.")
        self._table = named(ReadoutTable(), "Readouts", "The numbers, as they come in.")
        self._status = text_label()
        self._arrange()
        for choice in (self._reference, self._region):
            choice.currentIndexChanged.connect(self._other_choice)
        self._plane.clicked.connect(self.measure_plane)
        self._series.clicked.connect(self.measure_series)
        self._cancel.clicked.connect(self.cancel)
        self._copy.clicked.connect(self._table.copy)
        self._download.clicked.connect(self._look_for_networks)

    def _arrange(self) -> None:
        form = QFormLayout()
        form.addRow("Against", self._reference)
        form.addRow("Region", self._region)
        buttons = QGridLayout()
        for number, part in enumerate((self._plane, self._series, self._cancel, self._copy)):
            buttons.addWidget(part, *divmod(number, 2))
        stack(self, form)
        self._numbers = QWidget()  # of no use without a clean image
        stack(self._numbers, buttons, self._bar, self._table, self._status, self._download)
        self.layout().addWidget(self._numbers)
        self._download.hide()
        self._table.hide()  # as long as it is empty

    # What the user and the dock do

    def refresh(self) -> None:
        """The view settled: say what realism trades here, or that the numbers are older."""
        if self._asked:
            return
        self._reference.follow()  # the result layer may be another one now
        shown = self._shown()
        if self._reference.layer is not None:
            if shown is not None and self._key is not None and _key(shown) != self._key:
                self._key = None
                self.path_changed.emit(_MOVED)
                self._say("The view changed since this was measured: measure again.")
        elif shown is not None and self._viewer.dims.ndisplay == 2:
            self._key = None
            try:
                region = self._box(shown)
            except ValueError:  # said when the user asks for the plane
                region = None
            self._work.start(lambda: path(shown, None, None, region=region), self._show_item, self._ended)

    def measure_plane(self) -> None:
        """Measure the plane that is shown."""
        try:
            shown, noisy = self._now()
            region = self._box(shown)
            clean = self._clean()
        except ValueError as error:
            self._fail(error)
            return
        folder = self._folder()
        self._table.show()
        self._table.start_plane(realism=shown.realism is not None)
        self._key = _key(shown)
        self._begin(lambda: measure_shown(shown, clean, noisy, folder, region))

    def measure_series(self) -> None:
        """Measure the planes of the result layer that are done."""
        try:
            layer, reference = self._result(), self._reference.layer
            if layer is None or reference is None:
                raise ValueError("series: expected a result layer and a reference, choose or make them first")
            result, clean = stack_of(layer), stack_of(reference)
            shown = self._shown()
            source = None if shown is None else self._noisy()
            region = None if shown is None else self._box(shown)
            noisy = None if source is None else stack_of(source)
        except ValueError as error:
            self._fail(error)
            return
        folder = self._folder()
        self._table.show()
        self._table.start_series()
        self._key = None  # the numbers are not those of a view
        self._begin(lambda: measure_series(series_planes(result, clean, noisy), folder=folder, region=region))

    def cancel(self) -> None:
        """Stop what is under way; the numbers that are there stay."""
        self._work.cancel()
        self._idle()
        self._say("Cancelled.")

    def _other_choice(self) -> None:
        """The numbers, and what is being measured, hold for the reference and region before."""
        measured, self._key = self._table.rowCount() > 0, None
        self._table.start("", [])
        self._table.hide()
        self.path_changed.emit(_OTHER if measured else _FIRST)
        if not self._fetches:  # a download goes on
            self._work.cancel()
            self._idle()
            self._say((_OTHER if measured else _FIRST).note)
            self.refresh()

    def _look_for_networks(self) -> None:
        folder = self._folder()
        self._say("Looking which networks are here.")
        self._begin(lambda: iter([missing_networks(folder, _WANTED)]))

    def _offer(self, missing: tuple[Network, ...]) -> None:
        folder = self._folder()
        if not missing:
            self._say("The networks are all here: measure again.")
        elif self._ask(self, consent_text(missing, folder)):
            self._begin(lambda: fetch_networks(missing, folder, self._opener), fetches=True)
        else:
            self._say(
                "Nothing was downloaded. A folder that holds the networks can be named in the preferences."
            )

    # What is measured

    def _now(self) -> tuple[Shown, Stack]:
        """The plane that is shown, and the noisy stack it is of; a ValueError says why there is none."""
        shown = self._shown()
        if self._viewer.dims.ndisplay != 2:
            raise ValueError(
                "display: expected planes, found 3-D; switch to 2-D (cube below the layer list) to measure"
            )
        layer = None if shown is None else self._noisy()
        if shown is None or layer is None:
            raise ValueError(
                "preview: expected a denoised plane, found none; choose an image and wait for its preview"
            )
        return shown, stack_of(layer)

    def _clean(self) -> Stack:
        layer = self._reference.layer
        if layer is None:
            raise ValueError("reference: expected a clean image of the same field, found none; choose one")
        if layer == self._noisy():
            raise ValueError(
                f"reference: expected a clean image, found the noisy layer, {layer.name}; choose another"
            )
        return stack_of(layer)

    def _box(self, shown: Shown) -> Box | None:
        shapes, image = self._region.layer, self._noisy()
        return None if shapes is None or image is None else region_of(shapes, image)

    # What it shows

    def _begin(self, work: Callable[[], Iterator[Any]], *, fetches: bool = False) -> None:
        self._asked, self._fetches = True, fetches
        self._bar.setRange(0, 0)  # Qt's moving bar: work whose length is not known
        self._bar.show()
        for part in (self._plane, self._series, self._download):
            part.setEnabled(False)
        self._cancel.setEnabled(True)
        self._work.start(work, self._show_item, self._ended)

    def _idle(self) -> None:
        self._asked = self._fetches = False
        self._bar.hide()
        self._cancel.setEnabled(False)
        self._plane.setEnabled(True)
        self._download.setEnabled(True)
        self._series.setEnabled(self._reference.layer is not None)
        self._numbers.setVisible(self._reference.layer is not None)

    def _show_item(self, item: Any) -> None:
        if isinstance(item, Readout):
            self._put(item)
        elif isinstance(item, SeriesRow):
            self._table.put_row(item)
            self._offer_download(*item.readouts)
        elif isinstance(item, RealismPath):
            self.path_changed.emit(item)
        elif isinstance(item, Fetched):
            self._progress(item)
        elif isinstance(item, str):
            self._say(item)
        else:
            self._missing = item

    def _put(self, readout: Readout) -> None:
        self._table.put_readout(readout)
        self._offer_download(readout)

    def _offer_download(self, *readouts: Readout) -> None:
        if any(readout.name in _NEED_NETWORKS and readout.value is None for readout in readouts):
            self._download.show()

    def _progress(self, fetched: Fetched) -> None:
        total = fetched.total or fetched.network.mib << 20
        self._bar.setRange(0, total >> 10)
        self._bar.setValue(min(fetched.done, total) >> 10)
        self._say(
            f"Downloading the network of {fetched.network.metric}: {fetched.done >> 20} of {total >> 20} MiB."
        )

    def _ended(self, error: Exception | None) -> None:
        fetched, looked, self._missing = self._fetches, self._missing, ()
        self._idle()
        if error is not None:
            self._fail(error)
        elif looked:
            self._offer(looked)
        elif fetched:
            self._download.hide()
            self._say("The networks are here: measure again.")

    def _fail(self, error: Exception) -> None:
        self._say(f"Not measured. {error}")

    def _say(self, text: str) -> None:
        self._status.setText(text)


def _key(shown: Shown) -> object:
    """What the numbers of a plane hold for, whatever the realism slider says."""
    return shown.layer, shown.index, shown.plan
