"""Whether to believe the result: pictures of what was removed and added, and the checks in words."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtGui import QShowEvent

from napari_rdpdenoise.ui.compare.view import View
from napari_rdpdenoise.ui.qt.boxes.compare_words import Teller
from napari_rdpdenoise.ui.qt.boxes.view import ViewBox, ViewButtons
from napari_rdpdenoise.ui.qt.parts.controls import named, single_shot, stack, text_label
from napari_rdpdenoise.ui.qt.parts.section import Section
from napari_rdpdenoise.ui.qt.window import NapariWindow

__all__ = ["CheckBox"]

_WORDS_MS = 400


class CheckBox(Section):
    """Buttons for the pictures of the difference, and the checks of what is shown.

    Args:
        window: Window of the dock.
        view: Box that shows one image at a time.
    """

    title = "&Check"

    def __init__(self, window: NapariWindow, view: ViewBox) -> None:
        super().__init__()
        self._window, self._teller = window, Teller(self)
        self.views = ViewButtons((View.REMOVED, View.TEXTURE), self._toggle)
        self._view = view
        self.words = named(text_label(), "Residual checks", "What was removed, against the expected noise.")
        self.words.setTextFormat(Qt.TextFormat.PlainText)
        self._timer = single_shot(self, _WORDS_MS, self._ask)
        stack(self, self.views, self.words)
        self._teller.told.connect(self.words.setText)
        window.looked.connect(self._show_view)
        window.redrawn.connect(self.settled)
        window.settled_view.connect(self.settled)

    def settled(self) -> None:
        """Look for words soon, if anybody sees them."""
        if self.isVisible() and not self._timer.isActive():
            self._timer.start()

    def showEvent(self, event: QShowEvent) -> None:
        """Catch up: no words are looked for while nobody sees them."""
        super().showEvent(event)
        self.settled()

    def shut(self) -> None:
        """Look for nothing more."""
        self._timer.stop()
        self._teller.told.disconnect(self.words.setText)

    def _toggle(self, view: View) -> None:
        """Show a picture, or the denoised image again."""
        family = self._window.family
        self._view.choose(View.DENOISED if family is not None and family.view is view else view)

    def _show_view(self) -> None:
        family = self._window.family
        self.views.show_view(None if family is None else family.seen)

    def _ask(self) -> None:
        if self.isVisible():
            self._teller.ask(self._window.session.shown())
