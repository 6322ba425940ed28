"""The residual checks of the shown plane in words, found in a thread."""

from __future__ import annotations

from qtpy.QtCore import QObject, Signal

from napari_rdpdenoise.metrics.trust import texture_share
from napari_rdpdenoise.metrics.words import judge_residual
from napari_rdpdenoise.ui.preview.shown import Shown
from napari_rdpdenoise.ui.qt.background import ask

__all__ = ["Teller", "in_words"]


def in_words(shown: Shown | None) -> str:
    """What the residual of the shown plane says about the result, one line per check. Slow: for a thread."""
    if shown is None or not shown.done.any():
        return "Nothing is denoised here yet."
    if shown.noise is None:
        return "The noise is not known yet: no residual checks."
    verdict = judge_residual(shown.noisy, shown.result, shown.noise, shown.done)
    lines = [check.text if check.fine else f"Look again: {check.text}" for check in verdict.checks]
    if shown.realism is not None:
        share = texture_share(shown.fidelity, shown.realism, shown.noise, shown.alpha)
        lines.append(f"Added texture that the data do not determine: {share:.2f} of the noise (rms).")
    return "\n".join(lines)


class Teller(QObject):
    """Asks for the words of one plane after the other, never two at once; the newest wins."""

    told = Signal(str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._wanted: Shown | None = None
        self._busy: Shown | None = None

    def ask(self, shown: Shown | None) -> None:
        """Find the words for what is shown; `told` says them."""
        self._wanted = shown
        if shown is None:
            self.told.emit(in_words(None))
        elif self._busy is None:
            self._start(shown)

    def _start(self, shown: Shown) -> None:
        self._busy = shown
        ask(self, lambda: _safely(shown), self._told)

    def _told(self, text: str) -> None:
        asked, self._busy = self._busy, None
        wanted = self._wanted
        if wanted is None or asked is None:
            return
        if wanted is not asked:
            self._start(wanted)
        if (wanted.layer, wanted.index) == (asked.layer, asked.index):
            self.told.emit(text)  # of a moment ago, but of the plane that is shown


def _safely(shown: Shown) -> str:
    """The words, or why there are none: a check that cannot be made is no reason to disturb the user."""
    try:
        return in_words(shown)
    except Exception as error:
        return f"No residual checks: {error}"
