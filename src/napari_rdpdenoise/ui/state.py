"""What the dock shows, as one frozen value and the pure functions that change it. No Qt here."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

from ..settings import RunSettings

if TYPE_CHECKING:
    from ..stream import Progress, RunReport

__all__ = ["DockState", "Phase", "cancelled", "cancelling", "failed", "finished", "progressed", "started"]


class Phase(Enum):
    """Where a run stands."""

    IDLE = "idle"
    RUNNING = "running"
    CANCELLING = "cancelling"


@dataclass(frozen=True)
class DockState:
    """Everything that the dock shows.

    Attributes:
        layer: name of the image layer to denoise; None while no image layer is open.
        auto_rate: whether the rate is chosen from the measured noise.
        rate: position on the model's rate curve when it is not, 0 (fewest bits) to 1.
        realism: 0 (lowest error) to 1 (most natural texture).
        realism_note: why realism cannot be chosen, shown as tooltip; None when it can.
        phase: where the run stands.
        done: tiles finished in this run.
        total: tiles of this run; 0 while it is not known.
        status: one line for the reader.
    """

    layer: str | None = None
    auto_rate: bool = True
    rate: float = 0.5
    realism: float = 0.0
    realism_note: str | None = "Looking at what the model can do."
    phase: Phase = Phase.IDLE
    done: int = 0
    total: int = 0
    status: str = ""

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
        """The line to show: the status, or what to do first."""
        return self.status or ("Ready." if self.layer else "Open an image to start.")

    def settings(self) -> RunSettings:
        """Return the run settings that the controls stand for."""
        realism = 0.0 if self.realism_note else self.realism
        return RunSettings(rate="auto" if self.auto_rate else self.rate, realism=realism)


def started(state: DockState) -> DockState:
    """Return the state at the start of a run, before its number of tiles is known."""
    return replace(state, phase=Phase.RUNNING, done=0, total=0, status="Starting: loading the model.")


def progressed(state: DockState, progress: Progress) -> DockState:
    """Return the state after one report; a wish to cancel stays visible."""
    done, total = progress.done, progress.total
    status = state.status if state.phase is Phase.CANCELLING else _progress_line(progress)
    return replace(state, done=done, total=total, status=status)


def cancelling(state: DockState) -> DockState:
    """Return the state after Cancel was pressed."""
    return replace(state, phase=Phase.CANCELLING, status="Stopping after the tile in work.")


def cancelled(state: DockState) -> DockState:
    """Return the state of a run that stopped on request."""
    return replace(state, phase=Phase.IDLE, done=0, total=0, status="Cancelled; no layer was added.")


def failed(state: DockState, error: BaseException) -> DockState:
    """Return the state of a run that stopped with an error."""
    return replace(state, phase=Phase.IDLE, done=0, total=0, status=f"Failed: {describe(error)}")


def finished(state: DockState, report: RunReport) -> DockState:
    """Return the state of a run whose result was added."""
    how = "auto" if state.auto_rate else "set"
    parts = [f"Done in {report.seconds:.1f} s", f"rate {report.rate:.2f} ({how})"]
    if math.isfinite(report.bpp):
        parts.append(f"{report.bpp:.3f} bits/pixel")
    return replace(state, phase=Phase.IDLE, done=state.total, status=", ".join(parts) + ".")


def describe(error: BaseException) -> str:
    """Return the error's own words, or its kind where it has none."""
    return str(error) or type(error).__name__


def _progress_line(progress: Progress) -> str:
    if progress.message and not progress.total:
        return progress.message
    parts = [f"{progress.done} of {progress.total} tiles"]
    if _known(progress.mpps):
        parts.append(f"{progress.mpps:.2f} MP/s")
    if _known(progress.eta_s):
        parts.append(f"{_duration(progress.eta_s)} left")
    if _known(progress.bpp):
        parts.append(f"{progress.bpp:.3f} bits/pixel")
    return ", ".join(parts)


def _known(value: float | None) -> bool:
    return value is not None and math.isfinite(value) and value > 0


def _duration(seconds: float) -> str:
    minutes, rest = divmod(math.ceil(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
