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

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, special

# Below this ratio of Poisson to Gaussian variance over the whole range, the square root is a straight line.
_GAUSSIAN_LIMIT = 1e-3
_TABLE_MAX = 64.0  # photo-electrons; above it the closed form of the inverse is exact to 1e-4
_BINS = 32
_TRIM = 0.95  # share of the smallest |high-pass| values that a bin's variance is taken from


@dataclass(frozen=True)
class NoiseModel:
    """Poisson-Gaussian noise of one channel of one series.

    Attributes:
        gain: counts per photo-electron, >= 0; 0 means Gaussian noise only.
        offset: counts at zero light.
        read_noise: signal-independent noise, counts rms, > 0.
        notes: what the estimator had to do differently, in words for the user.
    """

    gain: float
    offset: float
    read_noise: float
    notes: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        for name in ("gain", "offset", "read_noise"):
            if not np.isfinite(getattr(self, name)):
                raise ValueError(f"{name} must be a finite number, found {getattr(self, name)}")
        if self.gain < 0:
            raise ValueError(f"gain must be at least 0 counts per photo-electron, found {self.gain}")
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


def stabilize(z: NDArray[np.generic], noise: NoiseModel) -> NDArray[np.float32]:
    """Generalised Anscombe transform: raw counts to values whose noise has variance 1 (float32, same shape)."""
    z64 = np.asarray(z, dtype=np.float64)
    if noise.gain == 0:
        return ((z64 - noise.offset) / noise.read_noise).astype(np.float32)
    s = noise.read_electrons
    inside = (z64 - noise.offset) / noise.gain + 0.375 + s * s
    return (2.0 * np.sqrt(np.maximum(inside, 0.0))).astype(np.float32)


def expected_stabilized(x: NDArray[np.generic], noise: NoiseModel) -> NDArray[np.float32]:
    """``E[stabilize(z) | noise-free value x]``: where a perfect denoiser's output lies in the stabilised domain."""
    x64 = np.asarray(x, dtype=np.float64)
    if noise.gain == 0:
        return ((x64 - noise.offset) / noise.read_noise).astype(np.float32)
    p = (x64 - noise.offset) / noise.gain
    light, mean, _ = _moments_table(round(noise.read_electrons, 4))
    s2 = noise.read_electrons**2
    # second-order expansion, exact to 1e-4 above the table
    inside = np.maximum(p + 0.375 + s2, 1e-6)
    far = 2.0 * np.sqrt(inside) - 0.25 * (np.maximum(p, 0.0) + s2) / inside**1.5
    slope = (mean[1] - mean[0]) / (light[1] - light[0])
    near = np.where(p < 0, mean[0] + slope * p, np.interp(p, light, mean))
    return np.where(p > light[-1], far, near).astype(np.float32)


def unstabilize(t: NDArray[np.generic], noise: NoiseModel) -> NDArray[np.float32]:
    """Exact unbiased inverse of :func:`stabilize` for denoised values (float32 raw counts, same shape)."""
    t64 = np.asarray(t, dtype=np.float64)
    if noise.gain == 0:
        return (t64 * noise.read_noise + noise.offset).astype(np.float32)
    light, mean, _ = _moments_table(round(noise.read_electrons, 4))
    s2 = noise.read_electrons**2
    d = np.maximum(t64, 1.0)
    far = 0.25 * d**2 + (0.25 * np.sqrt(1.5) - (11 / 8 - 0.625 * np.sqrt(1.5) / d) / d) / d - 0.125 - s2
    slope = (light[1] - light[0]) / (mean[1] - mean[0])
    near = np.where(t64 < mean[0], slope * (t64 - mean[0]), np.interp(t64, mean, light))
    p = np.where(t64 > mean[-1], far, near)
    return (p * noise.gain + noise.offset).astype(np.float32)


def stabilized_variance(x: NDArray[np.generic], noise: NoiseModel) -> NDArray[np.float32]:
    """``Var[stabilize(z) | noise-free value x]``: 1 but for the dimmest pixels, where no transform reaches 1."""
    x64 = np.asarray(x, dtype=np.float64)
    if noise.gain == 0:
        return np.ones(x64.shape, np.float32)
    light, _, variance = _moments_table(round(noise.read_electrons, 4))
    return np.interp((x64 - noise.offset) / noise.gain, light, variance, right=1.0).astype(np.float32)


@lru_cache(maxsize=256)
def _moments_table(s: float) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Photo-electrons p, ``E[t | p]`` and ``Var[t | p]``; Poisson sum times Gauss-Hermite quadrature of read noise."""
    top = max(_TABLE_MAX, 4.0 * s)
    light = np.concatenate([np.arange(0.0, 4.0, 0.02), np.linspace(4.0, top, 400)])
    counts = np.arange(0, int(top + 12 * np.sqrt(top) + 12), dtype=np.float64)
    nodes, weights = np.polynomial.hermite_e.hermegauss(31)
    inside = counts[:, None] + s * nodes[None, :] + 0.375 + s * s
    t = 2.0 * np.sqrt(np.maximum(inside, 0.0))
    weights = weights / weights.sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        log_pmf = special.xlogy(counts[None, :], light[:, None]) - light[:, None]
    pmf = np.exp(log_pmf - special.gammaln(counts + 1.0)[None, :])
    pmf /= pmf.sum(1, keepdims=True)
    mean = np.maximum.accumulate(pmf @ (t @ weights))
    return light, mean, pmf @ (t**2 @ weights) - mean**2


def estimate_noise(planes: Sequence[NDArray[np.generic]], max_pixels: int = 4_000_000) -> NoiseModel:
    """Fit the variance line to a sample of one channel's planes.

    A second-difference filter removes structure; in bins of equal local mean its trimmed variance is the
    noise variance; a robust weighted line through the bins gives gain and intercept. Clipped pixels are left
    out. Where the line cannot be seen (flat, empty or mostly saturated images) a single Gaussian noise level
    is used, and ``notes`` says so.

    Args:
        planes: 2-D arrays of one channel, raw counts, any real dtype; NaN is left out.
        max_pixels: work bound; larger samples are thinned by whole windows.

    Returns:
        The noise model, in counts.

    Raises:
        ValueError: if ``planes`` is empty or holds an array that is not 2-D.
    """
    if len(planes) == 0:
        raise ValueError("planes must hold at least one 2-D array, found none")
    for plane in planes:
        if plane.ndim != 2:
            raise ValueError(f"planes must hold 2-D arrays, found one of shape {plane.shape}; pass plane by plane")
    mean, high, floor, notes = _sample(planes, max_pixels)
    if mean.size < 1024:
        return _gaussian(planes, mean, high, floor, (*notes, "too few usable pixels for a noise line"))
    centre, variance, weight = _bins(mean, high)
    spread = float(centre[-1] - centre[0])
    line = _robust_line(centre, variance, weight)
    level = float(np.median(variance))
    if level <= floor:
        return _gaussian(planes, mean, high, floor, (*notes, "no noise found above the rounding of the values"))
    if line is None or line[0] * spread < _GAUSSIAN_LIMIT * level:
        return _gaussian(planes, mean, high, floor, (*notes, "no growth of the noise with brightness was found"))
    return _from_line(line, centre, max(floor, 0.02 * level), notes)


def _from_line(line: tuple[float, float], centre: NDArray, floor: float, notes: tuple[str, ...]) -> NoiseModel:
    gain, intercept = line
    offset = float(centre[0])
    read_variance = gain * offset + intercept
    if read_variance < floor:  # darker than anything seen: the line meets the floor to the right of the dark end
        offset, read_variance = (floor - intercept) / gain, floor
    return NoiseModel(float(gain), float(offset), float(np.sqrt(read_variance)), notes)


def _gaussian(planes: Sequence, mean: NDArray, high: NDArray, floor: float, notes: tuple[str, ...]) -> NoiseModel:
    values = high if high.size else np.concatenate([np.ravel(p).astype(np.float64) for p in planes])
    values = values[np.isfinite(values)]
    spread = float(np.sqrt(_trimmed_variance(values))) if high.size else 0.0
    if values.size and spread == 0.0:
        spread = float(np.std(values)) if high.size else 0.0
    offset = float(np.percentile(mean, 1)) if mean.size else float(np.median(values)) if values.size else 0.0
    sigma = max(spread, np.sqrt(floor), 1e-6 * max(abs(offset), 1e-6))
    return NoiseModel(0.0, offset, float(sigma), (*notes, "a single Gaussian noise level is used"))


def _sample(planes: Sequence, max_pixels: int) -> tuple[NDArray, NDArray, float, tuple[str, ...]]:
    """Local means, high-pass values (noise gain 1), the variance of rounding, and notes."""
    share = max(1, int(np.ceil(sum(p.size for p in planes) / max_pixels)))
    means, highs, clipped, total = [], [], 0, 0
    integer = all(np.issubdtype(p.dtype, np.integer) for p in planes)
    top = max((np.nanmax(p) for p in planes if p.size and np.isfinite(p).any()), default=0)
    low = min((np.nanmin(p) for p in planes if p.size and np.isfinite(p).any()), default=0)
    for plane in planes[:: share if len(planes) >= share else 1]:
        if min(plane.shape) < 8:
            continue
        z = plane.astype(np.float64)
        bad = ~np.isfinite(z)
        z[bad] = 0.0
        ends = _clipped_ends(z, float(low), float(top), integer)
        clipped, total = clipped + int(ends.sum()), total + ends.size
        keep = ~ndimage.binary_dilation(bad | ends, np.ones((3, 3)))[3:-3, 3:-3]
        # separable second difference [1 -2 1] x [1 -2 1]: blind to planes and ramps, squared gain 36
        high = ndimage.convolve1d(ndimage.convolve1d(z, [1, -2, 1], axis=0), [1, -2, 1], axis=1) / 6.0
        mean = ndimage.uniform_filter(z, 7)
        means.append(mean[3:-3, 3:-3][keep])
        highs.append(high[3:-3, 3:-3][keep])
    mean = np.concatenate(means) if means else np.empty(0)
    high = np.concatenate(highs) if highs else np.empty(0)
    if mean.size > max_pixels:
        step = int(np.ceil(mean.size / max_pixels))
        mean, high = mean[::step], high[::step]
    notes = (f"{100 * clipped / total:.0f} % of the pixels are clipped",) if total and clipped > 0.02 * total else ()
    return mean, high, 1 / 12 if integer else 0.0, notes


def _clipped_ends(z: NDArray, low: float, top: float, integer: bool) -> NDArray[np.bool_]:
    """Pixels at a range end that holds suspiciously many of them (a clipped end, not just an extreme)."""
    ends = np.zeros(z.shape, dtype=bool)
    if top <= low:
        return ends
    for end in (low, top):
        at = z == end
        if at.mean() > (1e-3 if integer else 1e-2):
            ends |= at
    return ends


def _trimmed_variance(values: NDArray) -> float:
    """Variance of a Gaussian bulk from the smallest ``_TRIM`` of the squared values."""
    if values.size == 0:
        return 0.0
    squares = np.sort(np.square(values))
    kept = squares[: max(1, int(_TRIM * squares.size))]
    limit = special.erfinv(_TRIM) * np.sqrt(2)
    share = _TRIM - limit * np.sqrt(2 / np.pi) * np.exp(-(limit**2) / 2)
    return float(kept.mean() * _TRIM / share)


def _bins(mean: NDArray, high: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """Centres, variances and weights of equally filled and equally wide bins of the local mean."""
    quantiles = np.quantile(mean, np.linspace(0.0, 1.0, _BINS + 1))
    width = np.linspace(quantiles[0], np.quantile(mean, 0.999), _BINS // 2 + 1)
    edges = np.unique(np.concatenate([quantiles, width]))
    which = np.clip(np.searchsorted(edges, mean, side="right") - 1, 0, len(edges) - 2)
    order = np.argsort(which, kind="stable")
    starts = np.searchsorted(which[order], np.arange(len(edges)))
    rows = []
    for a, b in zip(starts[:-1], starts[1:], strict=True):
        if b - a >= 256:
            part = order[a:b]
            rows.append((float(mean[part].mean()), _trimmed_variance(high[part]), float(b - a)))
    if not rows:
        rows = [(float(mean.mean()), _trimmed_variance(high), float(mean.size))]
    centre, variance, count = np.array(rows).T
    return centre, variance, count


def _robust_line(centre: NDArray, variance: NDArray, count: NDArray) -> tuple[float, float] | None:
    """Weighted line ``variance = gain * centre + intercept``; structure only adds, so outliers above count less."""
    if len(centre) < 4 or centre[-1] <= centre[0]:
        return None
    typical = np.median(variance)
    model = np.full_like(variance, max(typical, 1e-12))
    line: tuple[float, float] | None = None
    for _ in range(20):
        relative = (variance - model) / model
        scale = max(1.4826 * float(np.median(np.abs(relative))), 0.01)
        u = relative / scale
        trust = np.where(u > 0, 1.0 / (1.0 + (u / 1.5) ** 2), 1.0 / (1.0 + (u / 4.0) ** 2))
        weight = trust * np.sqrt(count) / model**2
        cx, cy = np.average(centre, weights=weight), np.average(variance, weights=weight)
        spread = np.average((centre - cx) ** 2, weights=weight)
        if spread <= 0:
            return None
        gain = float(np.average((centre - cx) * (variance - cy), weights=weight) / spread)
        line = (gain, float(cy - gain * cx))
        model = np.maximum(gain * centre + line[1], 0.05 * typical + 1e-12)
    return line
