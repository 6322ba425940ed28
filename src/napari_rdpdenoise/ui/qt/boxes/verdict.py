"""The verdict on what is shown, always in sight, and the sentences behind it."""

from __future__ import annotations

from dataclasses import replace

from qtpy.QtWidgets import QLabel, QPushButton

from napari_rdpdenoise.ui.compare.verdict import Verdict, judge, left_words, waiting
from napari_rdpdenoise.ui.preview.shown import Shown
from napari_rdpdenoise.ui.qt.background import Newest
from napari_rdpdenoise.ui.qt.parts.controls import named, row, short, single_shot, stack, text_label
from napari_rdpdenoise.ui.qt.parts.section import Section
from napari_rdpdenoise.ui.qt.window import NapariWindow
from napari_rdpdenoise.ui.state import DockState, sentence

__all__ = ["VerdictBox", "section"]

_WAIT_MS = 300  # realism may be under way
_BESIDE_MS = 500  # after which it is told that other layers are still noisy: most changes take less
_COLOURS = {True: "#2f9e63", False: "#d98200", None: "#888888"}


class VerdictBox(Section):
    """A sign, a line, and a button for the sentences; judged in a thread whenever the view has settled."""

    def __init__(self, window: NapariWindow) -> None:
        super().__init__()
        self._window, self._work = window, Newest(self)
        self._verdict: Verdict | None = None  # of what is shown
        self._notes: tuple[str, ...] = ()
        self.sign = named(QLabel(), "Verdict sign", "✓ nothing stands out, ! look closer, … not known yet.")
        self.line = named(text_label(), "Verdict", "What to make of what is shown.")
        self.why = named(QPushButton("why"), "Why", "Show the checks behind this, and what to do.")
        self.why.setCheckable(True)
        self.scope = named(
            text_label(), "What is previewed", "What the preview does not show of what a run gives."
        )
        self.sentences = named(text_label(), "Checks", "The checks of what was removed, in words.")
        self._timer = single_shot(self, _WAIT_MS, self._ask)
        self._beside, self._beside_timer = False, single_shot(self, _BESIDE_MS, self._tell_beside)
        stack(self, self.scope, row(self.sign, self.line, self.why, wide=self.line), self.sentences)
        self.scope.hide()
        self.sentences.hide()
        self.why.toggled.connect(lambda on: self._show())
        window.settled_view.connect(self._settled)
        window.settled_beside.connect(self._settled_beside)
        window.looked.connect(self._show)

    def show_state(self, state: DockState) -> None:
        """Say what is waited for; judge anew where realism has changed."""
        self._notes = state.notes
        if waiting(state) is not None:
            self._verdict = None
        elif self._judged != self._now() and (not self._timer.isActive() or self._awaited != self._now()):
            self._awaited = self._now()
            if self._judged is not None and _kind(self._judged) != _kind(self._now()):
                self._verdict = None  # it would say of another image what is not so here
            self._timer.start()
        self._show()

    def shut(self) -> None:
        """Judge nothing more."""
        self._timer.stop()
        self._beside_timer.stop()
        self._work.cancel()

    _judged: tuple[float, float | None] | None = None
    _awaited: tuple[float, float | None] | None = None  # what the timer waits for to stay as it is

    def _now(self) -> tuple[float, float | None]:
        """What a verdict holds for."""
        state = self._window.session.state
        return state.shown_realism, state.found_rate

    def _settled(self) -> None:
        self._verdict, self._judged = None, None
        self._timer.start()
        self._show()

    def _settled_beside(self) -> None:
        self._timer.start()
        self._show()

    def _tell_beside(self) -> None:
        self._beside = True
        self._show()

    def _waiting_beside(self) -> Verdict | None:
        """What is told while other layers in view are still noisy, once that has lasted a while."""
        names = self._window.companions.waiting
        if not names:
            self._beside = False
            self._beside_timer.stop()
        elif not self._beside and not self._beside_timer.isActive():
            self._beside_timer.start()
        return Verdict(None, f"Denoising {short(names[0])}, which is still noisy…") if self._beside else None

    def _ask(self) -> None:
        shown = self._window.session.shown()
        if shown is None or waiting(self._window.session.state) is not None:
            return
        self._judged = self._now()
        name = self._window.session.state.layer or ""
        layers = [(name, shown), *self._window.companions.shown]
        self._work.ask(lambda: _safely(layers), self._take)

    def _take(self, verdict: Verdict) -> None:
        self._verdict = verdict
        self._show()

    def _show(self) -> None:
        state = self._window.session.state
        verdict = (
            waiting(state)
            or self._waiting_beside()
            or self._verdict
            or Verdict(None, "Checking what was removed…")
        )
        family = self._window.family
        of_run = family is not None and family.is_run  # which is seen in the place of the preview
        scopes = "" if of_run else state.scope, _beyond(self._window.companions.beyond)
        scope = " ".join(words for words in scopes if words)
        self.scope.setText(scope)
        self.scope.setVisible(bool(scope))
        self.sign.setText(verdict.sign)
        self.sign.setStyleSheet(f"color: {_COLOURS[verdict.fine]}; font-weight: bold")
        self.line.setText(verdict.line)
        notes = [*self._notes, *self._window.companions.notes] if verdict.why else []
        sentences = [*verdict.why, *(f"! {sentence(note)}" for note in notes)]
        sentences.sort(key=lambda words: not words.startswith("!"))  # what stands out comes first
        self.why.setVisible(bool(sentences))
        self.sentences.setText("\n".join(sentences))
        self.sentences.setVisible(bool(sentences) and self.why.isChecked())


section = VerdictBox


def _beyond(names: list[str]) -> str:
    """What to say of layers in view that are not previewed; empty for none."""
    if not names:
        return ""
    more = f" and {len(names) - 1} more stay" if len(names) > 1 else " stays"
    return (
        f"{short(names[0])}{more} noisy here: so many layers are not previewed at once. A run denoises all."
    )


def _kind(judged: tuple[float, float | None]) -> tuple[bool, float | None]:
    """What a verdict says in its line: whether texture is added, and at which rate."""
    return judged[0] > 0, judged[1]


def _safely(layers: list[tuple[str, Shown]]) -> Verdict:
    """The verdict on the first layer, and what of each is not image, or why there is none.

    A check that cannot be made is no reason to disturb the user.
    """
    try:
        verdict, left = judge(layers[0][1]), left_words(layers)
        return replace(verdict, why=(*verdict.why, left)) if left and verdict.why else verdict
    except Exception as error:
        return Verdict(None, f"No check: {error}")
