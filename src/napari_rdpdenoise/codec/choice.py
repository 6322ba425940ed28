"""A choice of the rate, as it is kept, told and read again. Loads no torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_BLANK = 0.01  # share of the expected residual below which nothing at all was removed


@dataclass(frozen=True)
class RateChoice:
    """An automatically chosen rate and what it rests on.

    Attributes:
        rate: Choice, [0, 1].
        bpp: Bits per pixel on the sample tiles at that rate.
        expected: Residual if exactly the noise is removed, noise variances (1 but for very dim images).
        found: Residual at the chosen rate, noise variances.
        curve: Rate, residual and bpp of every rate tried.
        message: What the user should know, or None.
        structure: Whether structure that the residual holds goes back into the image.
        error: Estimated squared error of the result in noise variances; None where it cannot be known.
        left_alone: Whether the image comes out as it went in, because no rate brings it nearer to the truth.
    """

    rate: float
    bpp: float
    expected: float
    found: float
    curve: tuple[tuple[float, float, float], ...]
    message: str | None
    structure: bool = False
    error: float | None = None
    left_alone: bool = False

    @property
    def blank(self) -> bool:
        """Whether there was no noise to choose a rate by, so that it says nothing."""
        return is_blank(self.found, self.expected)

    def check(self) -> None:
        """Refuse what can be no choice, wherever it was kept.

        Raises:
            ValueError: If a number is none, or the rate is out of range.
        """
        numbers = (self.bpp, self.expected, self.found, self.error or 0.0, *sum(self.curve, ()))
        if not 0 <= self.rate <= 1 or not np.isfinite(numbers).all():
            raise ValueError(f"choice: expected a rate from 0 to 1 and numbers, found {self}")


def is_blank(found: float, expected: float) -> bool:
    """Whether a residual is nothing beside the one that was expected, both in noise variances."""
    return found < _BLANK * max(expected, 1e-6)
