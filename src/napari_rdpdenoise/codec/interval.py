"""How far a pixel may be from the truth: intervals around the image of lowest error.

The flow decoder of a model says how large it expects the error to be, pixel by pixel, from the latents alone.
What it says is right on average only, so it is made good on images with a known truth: the factor by which it
has to be multiplied, so that the share ``coverage`` of pixels is within, by how large the expectation is
(split conformal prediction, Angelopoulos and Bates 2023, arXiv 2107.07511, in bins). No form of the error is
assumed; what is, is that images are like those it was made good on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, model_validator

from napari_rdpdenoise.noise import NoiseModel

_LEAST_COUNTED = 100  # pixels below which a bin says nothing of its own


class IntervalTable(BaseModel, frozen=True, extra="forbid"):
    """Factors that turn expected errors into half widths of intervals; between the expectations a line."""

    coverage: float = Field(gt=0, lt=1, description="share of pixels whose truth lies within")
    expected: tuple[float, ...] = Field(
        min_length=1, max_length=64, description="expected error rms, noise standard deviations, ascending"
    )
    factor: tuple[float, ...] = Field(description="half width over expected error, one for each of these")

    @model_validator(mode="after")
    def _fits(self) -> IntervalTable:
        if len(self.factor) != len(self.expected):
            raise ValueError(
                f"factor: expected {len(self.expected)} numbers, one for each expected error, found "
                f"{len(self.factor)}"
            )
        if self.expected[0] <= 0 or list(self.expected) != sorted(set(self.expected)):
            raise ValueError(f"expected: must be ascending numbers above 0, found {self.expected}")
        if not all(0 < factor < 1e3 for factor in self.factor):
            raise ValueError(f"factor: must be numbers above 0 and below 1000, found {self.factor}")
        return self

    def half_width(self, expected: NDArray[np.float32]) -> NDArray[np.float32]:
        """Half widths of intervals from expected errors, both in noise standard deviations, any shape."""
        factor = np.interp(np.log(expected), np.log(self.expected), self.factor)
        return np.asarray(expected * factor, dtype=np.float32)


def fit_intervals(
    expected: Sequence[NDArray[Any]], errors: Sequence[NDArray[Any]], coverage: float = 0.9, bins: int = 12
) -> IntervalTable:
    """Table that covers errors whose truth is known.

    Args:
        expected: Expected errors rms of some images, noise standard deviations, any shapes.
        errors: Errors of the same pixels, noise standard deviations, any sign; images count alike.
        coverage: Share of pixels that are to be within.
        bins: Bins by the size of the expectation, each of as many pixels.

    Raises:
        ValueError: If there are fewer than 100 pixels for each bin.
    """
    said = np.concatenate([np.asarray(part, np.float64).ravel() for part in expected])
    ratio = np.abs(np.concatenate([np.asarray(part, np.float64).ravel() for part in errors])) / said
    weight = np.concatenate([np.full(np.size(part), 1 / np.size(part)) for part in expected])
    if said.size < _LEAST_COUNTED * bins:
        raise ValueError(
            f"expected: needs at least {_LEAST_COUNTED * bins} pixels for {bins} bins, found {said.size}; "
            "give more images or ask for fewer bins"
        )
    order = np.argsort(said)
    edges = np.searchsorted(np.cumsum(weight[order]) / weight.sum(), np.arange(1, bins) / bins)
    parts = [part for part in np.split(order, edges) if len(part) >= _LEAST_COUNTED]
    centres = [float(np.exp(np.average(np.log(said[part]), weights=weight[part]))) for part in parts]
    factors = [_quantile(ratio[part], weight[part], coverage) for part in parts]
    return IntervalTable(
        coverage=coverage,
        expected=tuple(round(centre, 5) for centre in centres),
        factor=tuple(round(factor, 4) for factor in factors),
    )


def error_in_counts(
    image: NDArray[np.float32],
    half_width: NDArray[np.float32],
    noise: NoiseModel,
    share: NDArray[np.float32] | None = None,
    noise_half_width: float = 1.645,
) -> NDArray[np.float32]:
    """Half widths of intervals around an image, raw counts.

    Args:
        image: Denoised image, raw counts.
        half_width: Half widths around the decode in it, noise standard deviations, same shape.
        noise: Noise model of its channel.
        share: Share of the input that is in the image, 0 to 1, same shape, with the input's noise; None for
            none.
        noise_half_width: Half width of the noise itself, noise standard deviations: 1.645 holds 90 %.

    Returns:
        Raw counts, float32, same shape.
    """
    width = half_width
    if share is not None:
        width = np.hypot((1 - share) * half_width, share * np.float32(noise_half_width))
    return np.asarray(width * np.sqrt(noise.variance(image)), dtype=np.float32)


def _quantile(values: NDArray[np.float64], weights: NDArray[np.float64], share: float) -> float:
    order = np.argsort(values)
    below = np.cumsum(weights[order])
    return float(values[order][min(np.searchsorted(below, share * below[-1]), len(values) - 1)])
