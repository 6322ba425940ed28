"""What is denoised and how strongly: the layer and its axes, rate and realism."""

from __future__ import annotations

from collections.abc import Sequence
from weakref import WeakSet, ref

from napari.layers import Image, Labels, Layer
from qtpy.QtCore import QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import (
    QCheckBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QToolButton,
    QWidget,
)

from napari_rdpdenoise.axes import has_colours
from napari_rdpdenoise.io.denoised import denoised_words
from napari_rdpdenoise.ui.qt.background import alive
from napari_rdpdenoise.ui.qt.layers import full_data, is_ours, overlaid, same_file
from napari_rdpdenoise.ui.qt.parts.controls import named, row, short, stack, text_label
from napari_rdpdenoise.ui.qt.parts.end_slider import EndSlider
from napari_rdpdenoise.ui.qt.parts.layer_choice import LayerChoice
from napari_rdpdenoise.ui.qt.parts.links import Links
from napari_rdpdenoise.ui.qt.parts.section import Section
from napari_rdpdenoise.ui.qt.window import NapariWindow
from napari_rdpdenoise.ui.state import DockState

__all__ = ["ImageBox", "section"]

_HELP = "https://github.com/napari-rdpdenoise/napari-rdpdenoise"
_FACTS = "Sizes, and the device that computes."
_ASSUMED = (
    "Nothing names the axes of this image: {} is assumed. Type the right letters above, or press "
    "Enter there to keep these."
)
_RATE = (
    "How many bits the image may keep. Noise cannot be predicted, so it is the first that does not fit: few "
    "bits denoise strongly, many weakly. Auto chooses by the noise that it measures."
)
_REALISM = (
    "0 shows the most likely image, for measuring. Towards 1, texture is added that looks natural but that "
    "the data do not determine: for looking, not for measuring."
)


class ImageBox(Section):
    """The controls that are always in sight, of a window with the viewer and the session."""

    def __init__(self, window: NapariWindow) -> None:
        super().__init__()
        self._window = window
        self._links = Links(window.viewer)
        self._picked: list[Layer] = []  # what the user has selected, layers of ours left out
        self._several = False  # whether several layers are meant: selected, or channels of one file
        active = window.viewer.layers.selection.active
        # What the user selected last, layers of ours left out
        self._active: ref[Layer] | None = None if active is None or is_ours(active) else ref(active)
        self.layers = named(
            LayerChoice(window.viewer.layers, Image, None, is_ours),
            "Image layer",
            "The image layer to denoise; a layer that you select is taken.",
        )
        self.layers.setPlaceholderText("no image to denoise")
        if active in self.layers.offered:
            self.layers.choose(active)
        self.help = named(QToolButton(), "Help", "Open the page of the project in the browser.")
        self.help.setText("?")
        self.facts = named(text_label(), "About the layer", _FACTS)
        self.axes = named(
            QLineEdit(),
            "Axes",
            "One letter per axis: T time, C channel, Z depth, Y, X. Noise is measured for each channel.",
        )
        self.axes.setMaximumWidth(self.axes.fontMetrics().horizontalAdvance("MMMMMM"))
        self.axes_note = text_label()
        self.again = named(text_label(), "Denoised already", "What the file says that the image comes from.")
        self._agreed: WeakSet[Layer] = WeakSet()  # whose assumed axes the user has confirmed
        self.together = named(
            QCheckBox(),
            "Several layers",
            "Denoise these layers one after another, each by its own noise: those that are selected, or else "
            "all of the same size.",
        )
        self.rate = EndSlider("Rate", _RATE, "strong denoising", "weak")
        self.auto = named(QCheckBox("Auto"), "Automatic rate", "Choose the rate by the noise in the image.")
        self.rate_note = named(text_label(), "Rate, in words", _RATE)
        self.realism = EndSlider("Realism", _REALISM, "measured", "natural")
        self._arrange()
        self._listen()

    def _arrange(self) -> None:
        axes = QWidget()
        line = QHBoxLayout(axes)
        line.setContentsMargins(0, 0, 0, 0)
        line.addWidget(self.facts, stretch=1)
        line.addWidget(QLabel("axes"))
        line.addWidget(self.axes)
        form = QFormLayout()
        form.setHorizontalSpacing(6)
        form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)  # in a large font
        form.addRow("Image", row(self.layers, self.help, wide=self.layers))
        form.addRow(axes)
        form.addRow(self.axes_note)
        form.addRow(self.again)
        form.addRow(self.together)
        form.addRow("Rate", self.rate)
        form.addRow("", row(self.auto, self.rate_note, wide=self.rate_note))
        form.addRow("Realism", self.realism)
        stack(self, form)
        self.axes_note.hide()
        self.again.hide()
        self.together.hide()

    def _listen(self) -> None:
        window = self._window
        events = window.viewer.layers.events
        for event in (events.inserted, events.removed, events.reordered, events.renamed):
            self._links.connect(event, self.follow)
        selection = window.viewer.layers.selection.events
        self._links.connect(selection.active, self._selected)
        self._links.connect(selection.changed, self._count)
        self.together.toggled.connect(lambda on: window.counted.emit())
        self.layers.currentIndexChanged.connect(lambda _: window.choose(self.layers.layer))
        self.auto.toggled.connect(lambda on: window.edit(auto_rate=on))
        self.rate.valueChanged.connect(lambda value: window.edit(rate=value, auto_rate=False))
        self.realism.valueChanged.connect(lambda value: window.edit(realism=value))
        self.axes.editingFinished.connect(self._set_axes)
        self.axes.returnPressed.connect(self._agree)
        self.help.clicked.connect(lambda: QDesktopServices.openUrl(QUrl(_HELP)))
        self.destroyed.connect(self._links.cut)  # not a method of ours: they are gone by then

    def follow(self, event: object = None) -> None:
        """List the viewer's layers anew, and take the one that is chosen then."""
        if not self._links.whole or not alive(self):
            return
        self.layers.follow()
        self._window.choose(self.layers.layer)
        if self.layers.layer is None:
            self._window.session.edit(instead=_instead(self._window.viewer.layers))
        self._count()

    @property
    def targets(self) -> list[Image]:
        """The layers that a run takes, the chosen one first: that alone, or with those that go with it."""
        layer = self._window.layer
        if layer is None:
            return []
        return [layer, *(self._others() if self.together.isChecked() else [])]

    def choose(self, layer: Image) -> None:
        """Take a layer of the viewer; a ValueError says that it is not offered."""
        if layer not in self.layers.offered:
            raise ValueError(f"layer: expected an image layer of this viewer, found {layer!r}; add it first")
        self.layers.choose(layer)

    def show_state(self, state: DockState) -> None:
        """Show what is set and what was found; a run locks the settings."""
        free = not state.busy
        self.layers.setEnabled(free)
        self.together.setEnabled(free)  # the layers of a run are those with which it began
        self.facts.setText(state.facts)
        self.facts.setToolTip(f"{_FACTS[:-1]}: {state.device}." if state.device else _FACTS)
        if not self.axes.hasFocus():
            self.axes.setText(state.axes)
            self._note_axes(None)
        subject = self._window.session.view.subject
        again = "" if subject is None else denoised_words(subject.denoised)
        self.again.setText(again)
        self.again.setVisible(bool(again))
        self.axes.setEnabled(free and bool(state.axes) and not has_colours(state.axes))
        self.auto.setEnabled(free)
        self.auto.setChecked(state.auto_rate)
        self.rate.setEnabled(free)
        self.rate.show_value(state.shown_rate)
        self.rate_note.setText(state.rate_words)
        self.realism.setEnabled(state.realism_note is None)
        self.realism.show_value(state.realism)
        self.realism.explain(state.realism_note or _REALISM)

    def shut(self) -> None:
        """Let go of the viewer."""
        self._links.cut()

    def _selected(self, event: object = None) -> None:
        """Take it, unless the dock is hidden: one that nobody sees changes nothing in the viewer."""
        if not self._window.session.state.hidden:
            self.take_selected()

    def take_selected(self) -> None:
        """Take the image layer that the user has selected, where it is one to denoise.

        A layer of ours that is put into the viewer is selected for a moment: what was selected before it has
        not been selected anew by the user, who may have chosen another one here.
        """
        layer = self._window.viewer.layers.selection.active
        if not self._links.whole or not alive(self) or layer is None or is_ours(layer):
            return
        same, self._active = self._active is not None and self._active() is layer, ref(layer)
        if not same and self.layers.isEnabled() and layer in self.layers.offered:
            self.layers.choose(layer)

    def _others(self) -> list[Image]:
        """Layers that may be denoised with the chosen one: other selected ones, else its channels."""
        layer, layers = self._window.layer, self._window.viewer.layers
        # one of ours that is put in is selected for a moment: what the user has picked stays that
        now = [other for other in layers.selection if not is_ours(other)]
        self._picked = [other for other in now or self._picked if other in layers]
        offered = [other for other in self.layers.offered if other is not layer]
        selected = [other for other in offered if other in self._picked]
        if layer is None or (selected and layer in self._picked):
            return selected
        return [other for other in offered if _same_field(other, layer)]

    def _count(self, event: object = None) -> None:
        """Offer to denoise several layers together, where there are some; several selected ones are meant."""
        if not self._links.whole or not alive(self):
            return
        layer, others = self._window.layer, self._others()
        selected = bool(others) and layer in self._picked and others[0] in self._picked
        together = [one for one in self._window.viewer.layers if one is layer or one in others]
        channels = all(same_file(other, layer) for other in others) or overlaid(together)
        meant = selected or (bool(others) and channels)
        if meant != self._several:
            self._several = meant
            self.together.setChecked(meant)
        count = "both" if len(others) == 1 else f"all {len(others) + 1}"
        what = "selected layers" if selected else "channels" if meant else "layers of this size"
        self.together.setText(f"Denoise {count} {what}")
        self.together.setVisible(bool(others))
        if not others:
            self.together.setChecked(False)
        self._window.counted.emit()

    def _set_axes(self) -> None:
        """Name the axes of the layer, which everything else follows."""
        layer, letters = self._window.layer, self.axes.text().strip().upper()
        if layer is None or letters == self._window.session.state.axes:
            self._note_axes(None)
            return
        wrong = None
        if len(letters) != layer.ndim:
            wrong = f"This layer has {layer.ndim} axes: write {layer.ndim} letters, found {len(letters)}."
        elif len(set(letters)) != len(letters) or not {"Y", "X"} <= set(letters) <= set("TCZYX"):
            wrong = "Write each of T, C, Z, Y and X at most once, with Y and X among them."
        self._note_axes(wrong)
        if wrong is None:
            layer.axis_labels = tuple(letters.lower())

    def _agree(self) -> None:
        """Keep the axes that were assumed, as the user has pressed Enter."""
        layer, state = self._window.layer, self._window.session.state
        if layer is not None and self.axes.text().strip().upper() == state.axes:
            self._agreed.add(layer)
            self._note_axes(None)

    def _note_axes(self, wrong: str | None) -> None:
        """Say what is wrong with the axes that were written, or that they are assumed."""
        state, layer = self._window.session.state, self._window.layer
        assumed = state.axes_assumed and layer is not None and layer not in self._agreed
        words = _ASSUMED.format(state.axes) if assumed else ""
        self.axes_note.setText(wrong or words)
        self.axes_note.setVisible(bool(wrong or words))


section = ImageBox


def _same_field(one: Image, other: Image) -> bool:
    """Whether two layers are alike but for what they show, as the channels of a file are."""
    shape, scale = tuple(full_data(one).shape), tuple(one.scale)
    return (shape, scale, one.rgb) == (tuple(full_data(other).shape), tuple(other.scale), other.rgb)


def _instead(layers: Sequence[Layer]) -> str:
    """What to say of layers of which none can be denoised; empty where there is none."""
    foreign = [layer for layer in layers if not is_ours(layer)]
    if not foreign:
        return f"“{short(layers[-1].name)}” was made here. Open a noisy image." if layers else ""
    name, kind = short(foreign[-1].name), type(foreign[-1]).__name__.lower()
    if isinstance(foreign[-1], Labels):
        return (
            f"“{name}” is a labels layer: numbers of objects, without noise. If it is an image that was "
            "opened as labels, right-click it in the layer list and choose Convert to Image."
        )
    return f"“{name}” is a {kind} layer, not an image. Open an image to denoise."
