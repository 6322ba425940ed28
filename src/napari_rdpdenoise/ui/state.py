"""What the dock shows, as one frozen value and the pure functions that change it. No Qt here."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Literal

from napari_rdpdenoise.settings import DECODED, RunSettings
from napari_rdpdenoise.stream import Progress, RunReport
from napari_rdpdenoise.stream.plan import MEASURING

__all__ = [
    "DockState",
    "Phase",
    "StateStore",
    "cancelled",
    "cancelling",
    "failed",
    "finished",
    "limit_words",
    "progress_words",
    "progressed",
    "sentence",
    "started",
    "stopping_words",
    "with_settings",
]


class Phase(Enum):
    """Where a run stands."""

    IDLE = "idle"
    RUNNING = "running"
    CANCELLING = "cancelling"


PENDING = "Looking at what the model can do."
"""The note while it is not known whether the model offers realism; a run then asks for it, and is told."""


@dataclass(frozen=True)
class DockState:
    """Everything that the dock shows.

    Attributes:
        layer: Name of the image layer to denoise; None while no image layer is open.
        refused: Whether a layer is chosen that cannot be denoised; the status says why.
        instead: What is open in the place of an image, and what to do, in words; empty where nothing is.
        facts: Line on what is known of it: sizes, and the device that computes.
        device: Device that computes and how precisely, in words; empty while it is not known.
        axes: Axes of the layer, one letter each; empty for none.
        axes_assumed: Whether they are assumed, because neither the layer nor its file names them.
        model: Name of a model, shipped or the user's own, or path of a model folder.
        auto_rate: Whether the rate is chosen from the measured noise.
        rate: Position on the model's rate curve when it is not, 0 (fewest bits) to 1.
        found_rate: Rate that was chosen automatically for what is in view; None while it is not known,
            and where there is no noise to choose one by.
        no_rate: Why what is in view comes out as it went in whatever its rate, in words; empty where it
            does not.
        realism: Realism, 0 (lowest error) to 1 (most natural texture).
        realism_note: Reason why realism cannot be chosen, shown as tooltip; None when it can.
        outcome: Bits per pixel of what is in view.
        preview: Whether what is in view is denoised at once.
        elsewhere: Whether another dock previews the layer.
        hidden: Whether the dock is out of sight: nothing is denoised for the eye alone then.
        preview_note: Reason why it is not, or not all of it; or what went wrong.
        scope: What the preview does not show of what a run gives, in words; empty for nothing.
        notes: Sentences that the user should know of the channel in view.
        working: What is done before anything can be shown, in words; empty for nothing.
        shown: Number of visible tiles that are denoised.
        requested: Number of visible tiles.
        base: Other settings: those of the group "advanced", and those that no control stands for, as a job
            file gave them.
        phase: Phase of the run.
        done: Number of tiles finished in this run.
        total: Number of tiles of this run; 0 while it is not known.
        status: Line for the reader.
    """

    layer: str | None = None
    refused: bool = False
    instead: str = ""
    facts: str = ""
    device: str = ""
    axes: str = ""
    axes_assumed: bool = False
    model: str = "default"
    auto_rate: bool = True
    rate: float = 0.5
    found_rate: float | None = None
    no_rate: str = ""
    realism: float = 0.0
    realism_note: str | None = PENDING
    outcome: str = ""
    preview: bool = True
    elsewhere: bool = False
    hidden: bool = False
    preview_note: str = ""
    scope: str = ""
    notes: tuple[str, ...] = ()
    working: str = ""
    shown: int = 0
    requested: int = 0
    base: RunSettings = field(default_factory=RunSettings)
    phase: Phase = Phase.IDLE
    done: int = 0
    total: int = 0
    status: str = ""

    @property
    def looked_at(self) -> bool:
        """Whether what is in view is to be denoised at once, and there is a dock to see that says so."""
        return self.preview and not self.hidden

    @property
    def can_start(self) -> bool:
        """Whether Denoise is enabled."""
        return self.layer is not None and self.phase is Phase.IDLE

    @property
    def can_cancel(self) -> bool:
        """Whether Cancel is enabled."""
        return self.phase is Phase.RUNNING

    @property
    def busy(self) -> bool:
        """Whether a run is under way, so that its settings are locked."""
        return self.phase is not Phase.IDLE

    @property
    def hint(self) -> str:
        """What is there to say of the last run; empty before the first."""
        return self.status

    def settings(self) -> RunSettings:
        """Return the run settings that the controls stand for."""
        return self.base.replace(
            model=self.model,
            rate=self.automatic if self.auto_rate else self.rate,
            realism=self.realism if self.realism_note == PENDING else self.shown_realism,
        )

    @property
    def automatic(self) -> Literal["auto", "compact"]:
        """How a rate is chosen from the measured noise."""
        return "compact" if self.base.rate == "compact" else "auto"

    def preview_settings(self) -> RunSettings:
        """Of all settings those that the preview's pixels depend on before they are blended."""
        return self.settings().deciding(*DECODED)

    @property
    def shown_realism(self) -> float:
        """What the slider asks for, 0 where the model cannot give it."""
        return 0.0 if self.realism_note else self.realism

    @property
    def shown_rate(self) -> float | None:
        """Where the rate's slider stands: at the automatic rate, where chosen; None while there is none."""
        return self.found_rate if self.auto_rate else self.rate

    @property
    def preview_line(self) -> str:
        """What is still to come in view, or why there is no preview; empty when all is there."""
        if self.refused:
            return "This layer cannot be denoised: see below."
        if self.layer is None:
            return self.instead or "Open an image to start; File > Open Sample has a noisy one."
        if self.elsewhere:
            return "Another dock previews this layer; change something here to preview it here."
        if not self.preview:
            return "The preview is off: click Denoised to switch it on."
        if self.preview_note or self.shown >= self.requested:
            return self.preview_note
        if self.busy:
            return "The preview waits for the run."
        if self.working and not self.shown:
            return f"{self.working}…"
        count = f": {self.shown} of {self.requested} parts" if self.requested > 1 else ""
        return f"Denoising what is in view{count}…"

    @property
    def rate_words(self) -> str:
        """What to say of the rate: bits per pixel, or what is waited for."""
        if self.auto_rate and self.no_rate:
            return self.no_rate
        if self.auto_rate and self.found_rate is None:
            return "not known yet" if self.working or self.requested else ""
        words = [self.outcome] if self.outcome else []
        if self.auto_rate and self.found_rate in (0.0, 1.0):
            words.append(
                "the weak end: stronger would blur" if self.found_rate else "the strong end: much noise"
            )
        return ", ".join(words)


class StateStore:
    """Holds the state, and tells ``on_change`` of every new one. Belongs to the viewer's thread."""

    def __init__(self, on_change: Callable[[DockState], None] = lambda state: None) -> None:
        self._state = DockState()
        self._on_change = on_change

    @property
    def state(self) -> DockState:
        """What the dock shows."""
        return self._state

    @state.setter
    def state(self, state: DockState) -> None:
        if state != self._state:
            self._state = state
            self._on_change(state)

    def edit(self, **changes: Any) -> None:
        """Change fields of the state by name."""
        self.state = replace(self._state, **changes)


def started(state: DockState) -> DockState:
    """Return the state at the start of a run, before its number of tiles is known."""
    return replace(state, phase=Phase.RUNNING, done=0, total=0, status="Loading the model…")


def progressed(state: DockState, progress: Progress) -> DockState:
    """Return the state after one report; a wish to cancel stays visible."""
    same = state.phase is Phase.CANCELLING or not (progress.total or progress.message)
    status = state.status if same else progress_words(progress)
    return replace(state, done=progress.done, total=progress.total, status=status)


def cancelling(state: DockState) -> DockState:
    """Return the state after Cancel was pressed."""
    return replace(state, phase=Phase.CANCELLING, status=stopping_words("" if state.total else state.status))


def cancelled(state: DockState) -> DockState:
    """Return the state of a run that stopped on request."""
    kept = f" after {state.done} of {state.total} blocks" if state.done else ""
    return replace(state, phase=Phase.IDLE, done=0, total=0, status=f"Cancelled{kept}.")


def failed(state: DockState, error: BaseException) -> DockState:
    """Return the state of a run that stopped with an error."""
    return replace(state, phase=Phase.IDLE, done=0, total=0, status=f"Failed: {describe(error)}")


def finished(state: DockState, report: RunReport) -> DockState:
    """Return the state of a run whose result was added."""
    how = "auto" if state.auto_rate else "set"
    rate = "no noise to remove" if report.blank else f"rate {report.rate:.2f} ({how})"
    parts = [f"Done in {report.seconds:.1f} s", rate]
    if math.isfinite(report.bpp) and not report.blank:
        parts.append(f"{report.bpp:.2f} bits/pixel on average")
    lines = [", ".join(parts) + ".", *(f"! {sentence(message)}" for message in report.messages)]
    return replace(state, phase=Phase.IDLE, done=state.total, status="\n".join(lines))


def with_settings(state: DockState, settings: RunSettings) -> DockState:
    """Return the state whose controls stand for these settings, as of a job file."""
    return replace(
        state,
        model=settings.model,
        auto_rate=isinstance(settings.rate, str),
        rate=state.rate if isinstance(settings.rate, str) else settings.rate,
        realism=settings.realism,
        # a layer has its own axes, and the dock asks where the result goes
        base=settings.replace(axes=None, overwrite=False, output_format=None),
    )


def sentence(words: str) -> str:
    """Return words with a capital in the beginning and a stop at the end."""
    return _stopped(words[:1].upper() + words[1:])


def limit_words(settings: RunSettings) -> str:
    """Which part of an image is denoised, in words; empty for all of it."""
    parts = []
    if settings.channels is not None:
        parts.append("channels " + ", ".join(map(str, settings.channels)))
    if settings.time is not None:
        parts.append(f"times {settings.time[0]} to {settings.time[1] - 1}")
    return " and ".join(parts)


def describe(error: BaseException) -> str:
    """Return the error's own words, or its kind where it has none, with a stop at the end."""
    return _stopped(str(error) or type(error).__name__)


def stopping_words(doing: str) -> str:
    """What to say once the user has asked to stop.

    Args:
        doing: What is done before the first block, in words, which is waited for where it cannot be given up;
            empty after that.
    """
    if doing.lower().rstrip("…").endswith(MEASURING):
        return "Stopping…"
    if doing:
        return f"Stopping after this step: {doing[:1].lower()}{doing[1:]}"
    return "Stopping after the block in work."


def progress_words(progress: Progress) -> str:
    """What to say of a run under way: how far it is, or what comes before its first block."""
    if progress.message and not progress.total:
        return sentence(progress.message.rstrip(".") + "…")
    parts = [f"{progress.done} of {progress.total} blocks"]
    if _known(progress.eta_s):
        parts.append(f"{_duration(progress.eta_s)} left")
    return ", ".join(parts)


def _known(value: float | None) -> bool:
    return value is not None and math.isfinite(value) and value > 0


def _duration(seconds: float) -> str:
    minutes, rest = divmod(math.ceil(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _stopped(words: str) -> str:
    return words if not words or words.endswith((".", "!", "?", "…")) else f"{words}."
