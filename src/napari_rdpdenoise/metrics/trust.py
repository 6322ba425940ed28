"""Checks that need no clean image: does what was removed look like noise, and like nothing else?

Symbols: ``y`` noisy plane, ``x`` denoised plane, both in raw counts; ``v`` the noise variance that the noise
model expects at ``x``; ``z = (y - x) / sqrt(v)`` the standardised residual. If ``x`` were the truth, ``z``
would have mean square 1, no correlation between neighbours and none with ``x``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_rdpdenoise.noise import NoiseModel
from napari_rdpdenoise.noise.saturation import saturation_level


@dataclass(frozen=True)
class ResidualReport:
    """What the difference between noisy and denoised image tells.

    Attributes:
        noise_ratio: Found over expected noise power, mean(z^2); 1 for the truth, below 1 where noise was
            kept, above 1 where signal was removed or the model is too small. NaN if no pixel could be used.
        lag_y: Correlation of z with itself one row further, -1..1; 0 for white noise.
        lag_x: Correlation one column further.
        signal_correlation: Correlation of z with x, -1..1; 0 where no structure was taken.
        mean_bias_pct: Change of the mean, mean(x) against mean(y), signed, percent.
        pixels: Number of pixels that were used (saturated ones are left out).
        mean_chance_pct: Standard error of the mean of so many pixels with this noise, percent of the mean;
            NaN where the mean is 0 or there is no pixel.
    """

    noise_ratio: float
    lag_y: float
    lag_x: float
    signal_correlation: float
    mean_bias_pct: float
    pixels: int
    mean_chance_pct: float = float("nan")


def check_residual(
    noisy: ArrayLike,
    denoised: ArrayLike,
    noise: NoiseModel | Sequence[NoiseModel],
    invalid: NDArray[np.bool_] | None = None,
) -> ResidualReport:
    """Judge a denoised image or stack (..., Y, X) from its residual alone.

    Both are raw counts of one channel, the noisy one in the camera's own dtype. ``noise`` is a model of all
    planes, or one for each, the last leading axis fastest. Pixels that are ``invalid``
    (of the same shape, None for none) or saturated are left out.

    Raises:
        ValueError: Shapes differ, fewer than two axes, no pixel at all, or not as many models as planes.
    """
    raw = np.asarray(noisy)
    y, x = _pair(raw, denoised)
    if y.ndim < 2 or y.size == 0:
        raise ValueError(f"noisy must be an image with axes (..., Y, X), found shape {y.shape}")
    usable = np.isfinite(y) & np.isfinite(x)
    if np.issubdtype(raw.dtype, np.integer):
        usable &= raw < np.iinfo(raw.dtype).max  # a saturated pixel's noise was cut off by the camera
    if invalid is not None:
        usable &= ~invalid
    top = saturation_level([raw[usable]])
    if top is not None:
        usable &= raw < top
    variance = _variance(noise, x)
    z = (y - x) / np.sqrt(variance)
    chance = float(np.sqrt(np.mean(variance[usable]) / usable.sum())) if usable.any() else float("nan")
    mean = float(y[usable].mean()) if usable.any() else 0.0
    return ResidualReport(
        noise_ratio=float(np.mean(z[usable] ** 2)) if usable.any() else float("nan"),
        lag_y=_correlation(z[..., 1:, :], z[..., :-1, :], usable[..., 1:, :] & usable[..., :-1, :]),
        lag_x=_correlation(z[..., 1:], z[..., :-1], usable[..., 1:] & usable[..., :-1]),
        signal_correlation=_correlation(z, x, usable),
        mean_bias_pct=100.0 * (float(x[usable].mean()) - mean) / abs(mean) if mean else float("nan"),
        pixels=int(usable.sum()),
        mean_chance_pct=100.0 * chance / abs(mean) if mean else float("nan"),
    )


def texture_share(
    fidelity: NDArray[np.float32], realism: NDArray[np.float32], noise: NoiseModel, amount: float = 1.0
) -> float:
    """Strength of the texture that realism adds: rms of the difference over the noise's, 0 for none.

    Both decodes are raw counts of one shape, ``amount`` is the position of the realism slider, 0 to 1. The
    ratio is NaN where no pixel is finite.

    Raises:
        ValueError: Shapes differ.
    """
    x, textured = _pair(fidelity, realism, ("fidelity", "realism"))
    gap = (textured - x) / np.sqrt(noise.variance(x))
    finite = np.isfinite(gap)
    return amount * float(np.sqrt(np.mean(np.square(gap[finite])))) if finite.any() else float("nan")


def _variance(noise: NoiseModel | Sequence[NoiseModel], x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Noise variance that is expected at denoised counts."""
    if isinstance(noise, NoiseModel):
        return noise.variance(x)
    planes = x.reshape(-1, *x.shape[-2:])
    if len(noise) != len(planes):
        raise ValueError(f"noise: expected a model for each of {len(planes)} planes, found {len(noise)}")
    return np.stack([own.variance(plane) for own, plane in zip(noise, planes, strict=True)]).reshape(x.shape)


def _pair(
    noisy: ArrayLike, denoised: ArrayLike, names: tuple[str, str] = ("noisy", "denoised")
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    y, x = np.asarray(noisy, dtype=np.float64), np.asarray(denoised, dtype=np.float64)
    if y.shape != x.shape:
        raise ValueError(f"{' and '.join(names)} must have one shape, found {y.shape} and {x.shape}")
    return y, x


def _correlation(a: NDArray[np.float64], b: NDArray[np.float64], usable: NDArray[np.bool_]) -> float:
    """Pearson correlation over the usable pixels; 0 where one side does not vary (nothing to follow)."""
    first, second = a[usable], b[usable]
    if first.size < 2:
        return 0.0
    first, second = first - first.mean(), second - second.mean()
    power = float(np.sqrt(np.vdot(first, first) * np.vdot(second, second)))
    return float(np.vdot(first, second)) / power if power > 0 else 0.0
