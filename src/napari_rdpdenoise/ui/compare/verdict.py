"""Whether to believe what is shown: one line from one set of checks, and the sentences behind it. No Qt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from napari_rdpdenoise.axes import has_colours
from napari_rdpdenoise.metrics.trust import texture_share
from napari_rdpdenoise.metrics.words import Check, judge_residual
from napari_rdpdenoise.noise import NoiseModel
from napari_rdpdenoise.stream.report import error_words, percent_words
from napari_rdpdenoise.ui.preview.shown import Shown
from napari_rdpdenoise.ui.state import DockState

__all__ = ["Verdict", "judge", "kept_words", "left_words", "waiting"]

_SHORT = {
    ("noise removed", True): "more than the noise was removed",
    ("noise removed", False): "some noise is left",
    ("whiteness", True): "what was removed is smooth, not like noise",
    ("whiteness", False): "the coarse part of the noise is left",
    ("structure", True): "contrast was changed",
    ("mean", True): "the mean intensity was changed",
}
_MOVE = {  # and at which end of the rate nothing is left of it
    ("noise removed", True): ("Move Rate towards weak.", 1.0),
    ("noise removed", False): ("Move Rate towards strong if you see it.", 0.0),
    ("whiteness", False): ("Move Rate towards strong if you see it.", 0.0),
    ("structure", True): ("Move Rate towards weak.", 1.0),
    ("mean", True): ("Move Rate towards weak.", 1.0),
}
_LOOK = {
    ("noise removed", True): "Look at What was removed: it should show no shapes.",
    ("whiteness", True): "Look at What was removed. If neighbouring pixels share their noise (binned, "
    "resampled or compressed images), use the raw images of the camera.",
    ("structure", True): "Look at What was removed: it should show no shapes.",
    ("mean", True): "Do not measure intensities here.",
}
_WEIGHED = "Auto has weighed that: by its estimate a stronger rate would blur more than it clears."
_LEFT_ALONE = (
    "So much light for such fine detail: the estimated error of any rate is as large as the noise. The image "
    "stays as it went in; take Auto off and move Rate to denoise all the same."
)
_BLANK = (
    "All that is in view came out as it went in: it is blank, drawn (a mask, labels), or no image. Step to "
    "another plane, or move to another place, to see what denoising does."
)
_UNJUDGED = "All that is in view is saturated or not image: nothing of it can be compared with the noise."
_COPY = (
    "What is shown is a copy at 1/{:.3g} of the size. It has less noise than the full image, which a run "
    "denoises, so checks of it say little of the result."
)
_NOTHING_KEPT = "Nothing is kept from the input here: "
_KEPT = "Share, 0 to 1, of what the model would remove that was kept because it is more than noise."
_DRAWN = 0.005  # share of the residual that is drawn as none, if less


@dataclass(frozen=True)
class Verdict:
    """What to make of a result.

    Attributes:
        fine: Whether nothing stands out; None while it is not known.
        line: Verdict in one line.
        why: Sentences behind it, each with what to do where something stands out.
    """

    fine: bool | None
    line: str
    why: tuple[str, ...] = ()

    @property
    def sign(self) -> str:
        """A sign beside the line, so that colour is never alone."""
        return {True: "✓", False: "!", None: "…"}[self.fine]


def waiting(state: DockState) -> Verdict | None:
    """The verdict while there is nothing to judge: what is waited for, or why nothing comes; else None."""
    line = state.preview_line
    return Verdict(None, line) if line else None


def kept_words(shown: Shown | None) -> str:
    """What a picture of what was kept from the input shows, or why it is black all over."""
    if shown is None or shown.plan is None or not shown.done.any():
        return "Not known yet: what is in view is not denoised so far."
    if not shown.plan.structure:
        return f"{_NOTHING_KEPT}the estimate of the error says that it would not help."
    if shown.share is None or shown.share.max() < _DRAWN:
        return f"{_NOTHING_KEPT}what the model removes holds nothing but noise."
    share = shown.share[shown.done].astype(np.float32)
    return f"{_KEPT} Here it is {share.mean():.2f} on average and at most {share.max():.2f}."


def judge(shown: Shown) -> Verdict:
    """Judge the plane that is shown, from what was removed alone. Slow: for a thread."""
    if not shown.done.any():
        return Verdict(None, "Nothing is denoised here yet.")
    if shown.noise is None or shown.plan is None:
        return Verdict(None, "Checking what was removed against the noise…")
    if shown.plan.choice is not None and shown.plan.choice.left_alone and shown.plan.structure:
        return Verdict(True, "Left as it is: nothing to gain.", (_LEFT_ALONE, _noise(shown.noise, shown)))
    if not shown.judged.any():
        return _unjudged(shown)
    if shown.reduction > 1:
        return Verdict(None, "Zoom in to check what a run does.", (_COPY.format(shown.reduction),))
    judged = judge_residual(shown.noisy, shown.fidelity, shown.noise, shown.judged)
    if not judged.report.pixels:
        return _unjudged(shown)
    checks = judged.checks
    error = error_words(shown.plan.choice.error if shown.plan.choice else None, structure=False)
    wrong = [check for check in checks if not check.fine]
    line = "Only noise was removed" if not wrong else f"Look closer: {_short(wrong[0])}"
    texture = ""
    if shown.realism is not None and shown.alpha > 0:
        share = texture_share(shown.fidelity, shown.realism, shown.noise, shown.alpha)
        texture = (
            f"Realism adds texture that the data do not determine, {share:.2f} of the noise (rms): set it "
        )
        texture += "to 0 to measure."
        line += "; texture was added, not for measuring"
    elif error and not wrong:
        line += f"; {error}"
    automatic = shown.plan.choice is not None and shown.plan.choice.rate == shown.plan.rate
    why = [
        *(_sentence(check, shown.plan.rate, automatic) for check in checks),
        texture,
        _noise(shown.noise, shown),
    ]
    if error:
        why.append(f"{error[:1].upper()}{error[1:]}: an estimate, from this image alone.")
    if shown.plan.neighbours is not None:
        which = "The other colours" if has_colours(shown.plan.neighbours) else "Neighbouring planes"
        why.append(f"{which} were looked at where that lessens the estimated error.")
    if shown.plan.structure:
        why.append("Details that the model would have taken for noise were taken back from the noisy image.")
    return Verdict(not wrong, f"{line}.", tuple(sentence for sentence in why if sentence))


def _unjudged(shown: Shown) -> Verdict:
    """The verdict where no pixel can be compared with the noise."""
    if np.array_equal(shown.noisy[shown.done], shown.fidelity[shown.done], equal_nan=True):
        return Verdict(True, "Left as it is: no noise here.", (_BLANK,))
    return Verdict(None, "Nothing to check here.", (_UNJUDGED,))


def left_words(layers: Sequence[tuple[str, Shown]]) -> str:
    """How much of what is in view of each layer, by its name, is not image; empty where all is."""
    parts = []
    for name, shown in layers:
        done = int(shown.done.sum())
        count = 0 if shown.invalid is None else int((shown.invalid & shown.done).sum())
        if count:
            pixels = f"{count:,} pixel" + "s" * (count > 1)
            parts.append(f"{pixels} ({percent_words(count / done)}) of {name}")
    return f"Not image, so left as it is and not counted, in view: {', '.join(parts)}." if parts else ""


def _short(check: Check) -> str:
    return _SHORT.get(_kind(check), "one check stands out")


def _sentence(check: Check, rate: float, automatic: bool) -> str:
    """A check, and what to do where it stands out; Rate is not moved beyond its end.

    Nor is it moved to where the automatic choice, if it is that, has found more error.
    """
    if check.fine:
        return f"✓ {check.text}"
    move, end = _MOVE.get(_kind(check), ("", rate))
    if automatic and end == 0.0:
        move, end = _WEIGHED, -1.0
    parts = ["!", check.text, "" if rate == end else move, _LOOK.get(_kind(check), "")]
    return " ".join(part for part in parts if part)


def _kind(check: Check) -> tuple[str, bool]:
    """Name of the check, and on which side it stands out, where there are two."""
    if check.name == "whiteness":
        return check.name, check.value > 0
    return check.name, check.name != "noise removed" or not check.value < 1


def _noise(noise: NoiseModel, shown: Shown) -> str:
    """The measured noise in counts, dark and bright."""
    levels = np.percentile(shown.fidelity[shown.done], (1, 99))
    dark, bright = np.sqrt(noise.variance(levels))
    return f"Noise measured in this channel: ±{dark:.3g} counts where it is dark, ±{bright:.3g} where bright."
