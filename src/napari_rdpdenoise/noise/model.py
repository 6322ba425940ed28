"""Poisson-Gaussian noise: its estimate from the images themselves, and the transform that makes it uniform.

Symbols, used throughout the package:

* ``z``  raw value of a pixel, in counts (whatever unit the file holds)
* ``gain`` counts per photo-electron, ``offset`` counts at zero light, ``read_noise`` counts rms
* ``p = (z - offset) / gain``  photo-electrons, ``s = read_noise / gain``  read noise in photo-electrons
* ``var(z) = gain * max(mean - offset, 0) + read_noise**2``
* ``t = 2 * sqrt(max(p + 3/8 + s**2, 0))``  generalised Anscombe transform; the noise of ``t`` has variance 1

``gain == 0`` means purely Gaussian noise; then ``t = (z - offset) / read_noise``.

Sources: Makitalo and Foi, "Optimal inversion of the generalized Anscombe transformation for Poisson-Gaussian
noise", IEEE TIP 2013 (the exact unbiased inverse maps ``E[t | p]`` back to ``p``); Foi et al., "Practical
Poissonian-Gaussian noise modeling and fitting for single-image raw-data", IEEE TIP 2008 (the variance line).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

_TABLE_LIGHT = 64.0  # photo-electrons; above it the closed forms are exact to 1e-3 of them
TABLE_READ = 16.0  # photo-electrons rms; with more read noise the closed forms are as exact at any light


@dataclass(frozen=True)
class NoiseModel:
    """Poisson-Gaussian noise of one channel of one series.

    Attributes:
        gain: Counts per photo-electron, >= 0; 0 means Gaussian noise only.
        offset: Counts at zero light.
        read_noise: Signal-independent noise, counts rms, > 0.
        notes: Sentences for the user on what the estimator had to do differently.
        doubt: Share of what looks like noise that may be the sample itself, [0, 1], see `doubt`.
    """

    gain: float
    offset: float
    read_noise: float
    notes: tuple[str, ...] = field(default=(), compare=False)
    doubt: float = field(default=0.0, compare=False)

    def __post_init__(self) -> None:
        for name in ("gain", "offset", "read_noise"):
            if not np.isfinite(getattr(self, name)):
                raise ValueError(f"{name} must be a finite number, found {getattr(self, name)}")
        if self.gain < 0:
            raise ValueError(f"gain must be at least 0 counts per photo-electron, found {self.gain}")
        if not 0 <= self.doubt <= 1:
            raise ValueError(f"doubt must be a share from 0 to 1, found {self.doubt}")
        if self.read_noise <= 0:
            raise ValueError(f"read_noise must be above 0 counts, found {self.read_noise}; use a small value")

    def variance(self, mean: NDArray[np.floating] | float) -> NDArray[np.float64]:
        """Noise variance, in counts squared, at the noise-free value ``mean`` (counts)."""
        light = np.maximum(np.asarray(mean, dtype=np.float64) - self.offset, 0.0)
        return np.asarray(self.gain * light + self.read_noise**2)

    @property
    def read_electrons(self) -> float:
        """Read noise in photo-electrons rms; infinite for Gaussian noise."""
        return self.read_noise / self.gain if self.gain > 0 else float("inf")


def stabilize(z: NDArray[Any], noise: NoiseModel) -> NDArray[np.float32]:
    """Generalised Anscombe transform: counts to values whose noise has variance 1 (float32, same shape)."""
    z64 = np.asarray(z, dtype=np.float64)
    if noise.gain == 0:
        return np.asarray((z64 - noise.offset) / noise.read_noise, dtype=np.float32)
    s = noise.read_electrons
    inside = (z64 - noise.offset) / noise.gain + 0.375 + s * s
    return np.asarray(2.0 * np.sqrt(np.maximum(inside, 0.0)), dtype=np.float32)


def expected_stabilized(x: NDArray[Any], noise: NoiseModel) -> NDArray[np.float32]:
    """``E[stabilize(z) | noise-free value x]``: where a perfect denoiser's stabilised output lies."""
    x64 = np.asarray(x, dtype=np.float64)
    if noise.gain == 0:
        return np.asarray((x64 - noise.offset) / noise.read_noise, dtype=np.float32)
    p, s = (x64 - noise.offset) / noise.gain, noise.read_electrons
    # moments of Poisson plus Gaussian noise in the Taylor series of the square root, to fourth order
    inside, variance = np.maximum(p + 0.375 + s * s, 0.375), np.maximum(p, 0.0) + s * s
    fourth = (3 * variance**2 + np.maximum(p, 0.0)) * 5 / 64
    correction = variance / 4 - (np.maximum(p, 0.0) / 8 - fourth / inside) / inside
    # values far below the offset are beyond the series
    far = np.maximum(2 * np.sqrt(inside) - correction / inside**1.5, 0.0)
    if s > TABLE_READ:
        return np.asarray(far, dtype=np.float32)
    light, mean, _ = moments_table(round(s, 4))
    slope = (mean[1] - mean[0]) / (light[1] - light[0])
    near = np.where(p < 0, mean[0] + slope * p, np.interp(p, light, mean))
    return np.asarray(np.where(p > light[-1], far, near), dtype=np.float32)


def unstabilize(t: NDArray[Any], noise: NoiseModel) -> NDArray[np.float32]:
    """Exact unbiased inverse of :func:`stabilize` for denoised values (float32 raw counts, same shape)."""
    s = noise.read_electrons
    # float64 where a large number is subtracted from another
    t = np.asarray(t, dtype=np.float32 if s <= TABLE_READ else np.float64)
    if noise.gain == 0:
        return np.asarray(t * noise.read_noise + noise.offset, dtype=np.float32)
    p = np.asarray(np.square(np.maximum(t, 0)) * 0.25 - (0.125 + s * s))  # inverts the series
    if s <= TABLE_READ:
        top, start, density, table = inverse_table(round(s, 4))
        dim = t <= top
        place = (t[dim] - start) * density
        step = np.clip(place, 0, len(table) - 2).astype(np.int32)
        low = table.take(step)
        p[dim] = low + (place - step) * (table.take(step + 1) - low)
    return np.asarray(p * noise.gain + noise.offset, dtype=np.float32)


def stabilized_variance(x: NDArray[Any], noise: NoiseModel) -> NDArray[np.float32]:
    """``Var[stabilize(z) | noise-free value x]``: 1 but for the dimmest, where no transform reaches 1."""
    x64 = np.asarray(x, dtype=np.float64)
    if noise.gain == 0 or noise.read_electrons > TABLE_READ:
        return np.ones(x64.shape, np.float32)
    light, _, variance = moments_table(round(noise.read_electrons, 4))
    p = (x64 - noise.offset) / noise.gain
    return np.asarray(np.interp(p, light, variance, right=1.0), dtype=np.float32)


@lru_cache(maxsize=256)
def moments_table(s: float) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Photo-electrons p, ``E[t | p]``, ``Var[t | p]``: Poisson sum times Gauss-Hermite quadrature."""
    top = max(_TABLE_LIGHT, 4.0 * s)
    light = np.concatenate([np.arange(0.0, 4.0, 0.02), np.linspace(4.0, top, 400)])
    counts = np.arange(0, int(top + 12 * np.sqrt(top) + 12), dtype=np.float64)
    nodes, weights = np.polynomial.hermite_e.hermegauss(31)
    inside = counts[:, None] + s * nodes[None, :] + 0.375 + s * s
    t = 2.0 * np.sqrt(np.maximum(inside, 0.0))
    weights = weights / weights.sum()
    log_pmf = special.xlogy(counts[None, :], light[:, None]) - light[:, None]
    pmf = np.exp(log_pmf - special.gammaln(counts + 1.0)[None, :])
    pmf /= pmf.sum(1, keepdims=True)
    mean = np.maximum.accumulate(pmf @ (t @ weights))
    return light, mean, pmf @ (t**2 @ weights) - mean**2


@lru_cache(maxsize=256)
def inverse_table(s: float) -> tuple[np.float32, np.float32, np.float32, NDArray[np.float32]]:
    """Last and first t, steps per unit of t, photo-electrons: even steps are looked up five times faster."""
    light, mean, _ = moments_table(s)
    grid = np.linspace(mean[0], mean[-1], 8192)
    table = np.interp(grid, mean, light).astype(np.float32)
    return np.float32(grid[-1]), np.float32(grid[0]), np.float32(1 / (grid[1] - grid[0])), table
