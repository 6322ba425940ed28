"""How long a training takes, from what it has taken so far."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from statistics import fmean, median

__all__ = ["Pace"]

_STEPS, _VALIDATIONS = 40, 5  # the latest, from which the pace is measured
ENOUGH = 4  # steps of a stage, from which on its pace is known


class Pace:
    """Measured seconds of steps, of validations on held-out images, and of pictures.

    Args:
        every: Number of steps between two validations.

    Attributes:
        spent: Seconds so far, of everything.
    """

    def __init__(self, every: int) -> None:
        self._every = every
        self._steps: dict[int, deque[float]] = {}
        self._validations: deque[float] = deque(maxlen=_VALIDATIONS)
        self._first_validation = 0.0
        self._pictures = 0.0
        self.spent = 0.0

    def add_step(self, stage: int, seconds: float) -> None:
        """Count a step without a validation."""
        self._steps.setdefault(stage, deque(maxlen=_STEPS)).append(seconds)
        self.spent += seconds

    def add_validation(self, stage: int, seconds: float) -> None:
        """Count a step with a validation after it."""
        self._validations.append(max(seconds - (self._step(stage) or 0.0), 0.0))
        self.spent += seconds

    def add_start(self, seconds: float, *, judged: bool) -> None:
        """Count all up to the first step; ``judged``: with a validation of the model to start from."""
        self._first_validation = seconds if judged else self._first_validation
        self.spent += seconds

    def add_picture(self, seconds: float) -> None:
        """Count what was made for the eye only."""
        self._pictures += seconds
        self.spent += seconds

    def known(self, stage: int) -> bool:
        """Whether enough steps of a stage were measured."""
        return len(self._steps.get(stage, ())) >= ENOUGH

    def left(self, todo: Sequence[tuple[int, int]]) -> float | None:
        """Seconds that steps will take, with their validations; None while nothing was measured.

        Args:
            todo: Stages, each with the number of its steps; one that was not measured yet is taken for as
                fast as the slowest that was.
        """
        if not any(steps for _, steps in todo):
            return 0.0
        slowest = max((median(row) for row in self._steps.values()), default=None)
        if slowest is None:
            return None
        total = sum(
            n * (self._step(stage) or slowest) + -(-n // self._every) * self._validation for stage, n in todo
        )
        return total * self._burden

    def fitting(self, stage: int, seconds: float) -> int:
        """Steps of a stage that fit into a time, at least 1; a ValueError says that none was measured yet."""
        step = self._step(stage)
        if step is None:
            raise ValueError(f"stage: expected one of which steps were measured, found {stage}; wait for one")
        room = seconds / self._burden - self._validation  # one follows the last step
        return max(1, int(room / max(step + self._validation / self._every, 1e-9)))

    def _step(self, stage: int) -> float | None:
        row = self._steps.get(stage)
        return median(row) if row else None

    @property
    def _validation(self) -> float:
        if self._validations:
            return fmean(self._validations)
        return max(
            self._first_validation - max((median(row) for row in self._steps.values()), default=0.0), 0.0
        )

    @property
    def _burden(self) -> float:
        """All time over that of training and judging."""
        return self.spent / max(self.spent - self._pictures, 1e-9)
