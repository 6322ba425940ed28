"""Which image of the layer is shown: noisy, denoised, both side by side, or a picture of the difference."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import napari
from napari.utils.notifications import show_warning
from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import QButtonGroup, QHBoxLayout, QPushButton, QSizePolicy, QWidget
from superqt import QLabeledSlider

from napari_rdpdenoise.ui.compare.view import PICTURES, View
from napari_rdpdenoise.ui.qt.family import Family
from napari_rdpdenoise.ui.qt.parts.controls import (
    button,
    named,
    one_stop,
    row,
    short,
    single_shot,
    stack,
    text_label,
)
from napari_rdpdenoise.ui.qt.parts.links import KeyHandler, Links
from napari_rdpdenoise.ui.qt.parts.section import Section
from napari_rdpdenoise.ui.qt.pictures import Pictures
from napari_rdpdenoise.ui.qt.window import NapariWindow
from napari_rdpdenoise.ui.state import DockState

__all__ = ["KEY", "ViewBox", "ViewButtons", "section"]

KEY = "N"  # napari 0.9 has it neither for the viewer nor for image layers
_TOGETHER = (View.NOISY, View.DENOISED, View.SPLIT)  # what all layers that are denoised together show
_REFRESH_MS = 60  # a preview that fills in asks many times a second
_PADDING = 8  # px beside the text of a button
_TIPS = {
    View.NOISY: "Show the noisy image alone.",
    View.DENOISED: "Show the denoised image alone.",
    View.SPLIT: "Show the noisy image on the left of a divider and the denoised one on its right.",
    View.REMOVED: "Show noisy - denoised, in standard deviations of the noise: it should look like noise.",
    View.TEXTURE: "Show what Realism adds to the measured result: texture that the data do not determine.",
    View.KEPT: "Show which share of what the model would remove was kept, because it is more than noise.",
    View.ERROR: "Show how far each pixel may be off, in counts: the truth is within in 8 to 9 of 10.",
}


class _ViewButton(QPushButton):
    """One that is never narrower than its text, and asks for no more: equal parts where there is room."""

    def sizeHint(self) -> QSize:
        """The text with a little room beside it."""
        wide = self.fontMetrics().horizontalAdvance(self.text()) + _PADDING
        return QSize(wide, super().sizeHint().height())

    def minimumSizeHint(self) -> QSize:
        """The same: Qt's own would ask for more room beside the text."""
        return self.sizeHint()


class ViewButtons(QWidget):
    """A row of buttons of which at most one is down; `chosen` is called with the view of one that is clicked.

    Args:
        views: Views that are offered, from left to right.
        chosen: Function called with a view.
    """

    def __init__(self, views: tuple[View, ...], chosen: Callable[[View], None]) -> None:
        super().__init__()
        self._group, line = QButtonGroup(self), QHBoxLayout(self)
        self._group.setExclusive(False)  # none is down while another row's view is shown
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(1)
        self.buttons = {view: named(_ViewButton(view.value), view.value, _TIPS[view]) for view in views}
        for view, part in self.buttons.items():
            part.setCheckable(True)
            part.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
            self._group.addButton(part)
            line.addWidget(part, stretch=1)
            part.clicked.connect(lambda _, view=view: chosen(view))

    def show_view(self, seen: View | None) -> None:
        """Put down the button of what is shown."""
        for view, part in self.buttons.items():
            part.setChecked(view is seen)


class ViewBox(Section):
    """The buttons, the divider, and a word where another layer covers what is shown."""

    def __init__(self, window: NapariWindow) -> None:
        super().__init__()
        self._window, self._links = window, Links(window.viewer)
        self._back = View.DENOISED  # what was shown before the noisy image
        self.pictures = Pictures(window.viewer, window.session.shown, window.session.view.noise_of)
        self._timer = single_shot(self, _REFRESH_MS, self._update)
        self.views = ViewButtons((View.NOISY, View.DENOISED, View.SPLIT), self.choose)
        self.divider = named(
            QLabeledSlider(Qt.Orientation.Horizontal), "Divider", "Percent of the width that is noisy."
        )
        one_stop(self.divider)
        self.divider.setRange(0, 100)
        self.divider.setValue(self.pictures.divider)
        self.covered = text_label()
        self.raise_it = button("Raise", "Move the noisy and the denoised layer above all others.")
        self._cover = QWidget()
        line = row(self.covered, self.raise_it, wide=self.covered)
        line.setContentsMargins(0, 0, 0, 0)
        self._cover.setLayout(line)
        stack(self, self.views, self.divider, self._cover)
        self.divider.hide()
        self._cover.hide()
        self._listen()

    def _listen(self) -> None:
        window = self._window
        self.divider.valueChanged.connect(self._move_divider)
        self.raise_it.clicked.connect(self._raise)
        window.looked.connect(self.refresh)
        window.redrawn.connect(self.refresh)
        window.settled_view.connect(self.refresh)
        self._links.connect(window.viewer.dims.events.order, self.refresh)
        if self._links.bind(KEY, _flipper(self), self._rank):
            for view, part in self.views.buttons.items():
                part.setToolTip(f"{_TIPS[view]} Hold {KEY} over the image to look at the noisy one.")
        self.destroyed.connect(self._links.cut)  # not a method of ours: they are gone by then

    @property
    def family(self) -> Family | None:
        """What was made of the chosen layer."""
        return self._window.family

    @property
    def open(self) -> bool:
        """Whether the dock has not been closed."""
        return self._links.whole

    def choose(self, view: View) -> None:
        """Show something else of the chosen layer."""
        self._window.use()
        family = self.family
        if family is None:
            self.refresh()
            return
        if view is View.NOISY and family.view is not View.NOISY:
            self._back = family.view
        if view is not View.NOISY and family.result is None:  # whoever asks for it wants it made
            self._window.session.edit(preview=True)
        for each in self._window.shown_families:
            each.choose(view if each is family or view in _TOGETHER else View.DENOISED)
        self._update()

    def flip(self) -> None:
        """From the noisy image to what was shown before it, or from anything else to the noisy image."""
        noisy = self.family is not None and self.family.view is View.NOISY
        self.choose(self._back if noisy else View.NOISY)

    def _rank(self) -> float:
        """How much this dock is meant by a key: of several, the one that was used last and previews."""
        idle = self.family is None or self._window.session.state.elsewhere
        return -1.0 if idle else self._window.used

    def refresh(self, event: Any = None) -> None:
        """Bring everything up to date soon; cheap, to be called as often as one likes."""
        if self._links.whole and not self._timer.isActive():
            self._timer.start()

    def show_state(self, state: DockState) -> None:
        """Offer what there is."""
        self.setEnabled(state.layer is not None)

    def shut(self) -> None:
        """Let go of the viewer."""
        self._links.cut()
        self._timer.stop()

    def _update(self) -> None:
        self._timer.stop()
        family = self.family
        if not self._links.whole:
            return
        state = self._window.session.state
        if family is not None and not state.elsewhere and not state.hidden:  # else another dock makes them
            try:
                for each in self._window.shown_families:
                    self.pictures.update(each)
            except ValueError as error:
                show_warning(f"{family.view.value}: {error}")
                family.choose(View.DENOISED)
        seen = None if family is None else family.seen
        self.views.show_view(seen)
        self.divider.setVisible(seen is View.SPLIT)
        cover = None if family is None else family.cover
        self._cover.setVisible(cover is not None)
        if cover is not None:
            self.covered.setText(f"The layer “{short(cover.name)}” lies above and hides this.")
            self.covered.setToolTip(cover.name)

    def _move_divider(self, percent: int) -> None:
        self.pictures.divider = percent
        if self.family is not None and self.family.view in PICTURES:
            self._update()

    def _raise(self) -> None:
        if self.family is not None:
            self.family.raise_all()
        self.refresh()


def section(window: NapariWindow) -> ViewBox:
    """The section of a dock."""
    return ViewBox(window)


def _flipper(box: ViewBox) -> KeyHandler:
    """For a key: flips while it is held. napari asks for a generator function, which no method is."""

    def flip(viewer: napari.viewer.Viewer) -> Iterator[None]:
        box.flip()
        yield
        if box.open:  # the dock may be closed while the key is held
            box.flip()

    return flip
