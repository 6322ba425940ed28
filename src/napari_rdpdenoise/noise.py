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
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, special

# Below this ratio of Poisson to Gaussian variance over the whole range, the square root is a straight line.
_GAUSSIAN_LIMIT = 1e-3
_TABLE_LIGHT = 64.0  # photo-electrons; above it the closed forms are exact to 1e-3 of them
_TABLE_READ = 16.0  # photo-electrons rms; with more read noise the closed forms are as exact at any light
_MAX_READ = 1e4  # photo-electrons rms; beyond, float32 could no longer tell values a noise apart
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
    far = 2 * np.sqrt(inside) - correction / inside**1.5
    if s > _TABLE_READ:
        return np.asarray(far, dtype=np.float32)
    light, mean, _ = _moments_table(round(s, 4))
    slope = (mean[1] - mean[0]) / (light[1] - light[0])
    near = np.where(p < 0, mean[0] + slope * p, np.interp(p, light, mean))
    return np.asarray(np.where(p > light[-1], far, near), dtype=np.float32)


def unstabilize(t: NDArray[Any], noise: NoiseModel) -> NDArray[np.float32]:
    """Exact unbiased inverse of :func:`stabilize` for denoised values (float32 raw counts, same shape)."""
    s = noise.read_electrons
    # float64 where a large number is subtracted from another
    t = np.asarray(t, dtype=np.float32 if s <= _TABLE_READ else np.float64)
    if noise.gain == 0:
        return np.asarray(t * noise.read_noise + noise.offset, dtype=np.float32)
    p = np.asarray(np.square(np.maximum(t, 0)) * 0.25 - (0.125 + s * s))  # inverts the series
    if s <= _TABLE_READ:
        top, start, density, table = _inverse_table(round(s, 4))
        dim = t <= top
        place = (t[dim] - start) * density
        step = np.clip(place, 0, len(table) - 2).astype(np.int32)
        low = table.take(step)
        p[dim] = low + (place - step) * (table.take(step + 1) - low)
    return np.asarray(p * noise.gain + noise.offset, dtype=np.float32)


def stabilized_variance(x: NDArray[Any], noise: NoiseModel) -> NDArray[np.float32]:
    """``Var[stabilize(z) | noise-free value x]``: 1 but for the dimmest, where no transform reaches 1."""
    x64 = np.asarray(x, dtype=np.float64)
    if noise.gain == 0 or noise.read_electrons > _TABLE_READ:
        return np.ones(x64.shape, np.float32)
    light, _, variance = _moments_table(round(noise.read_electrons, 4))
    p = (x64 - noise.offset) / noise.gain
    return np.asarray(np.interp(p, light, variance, right=1.0), dtype=np.float32)


@lru_cache(maxsize=256)
def _moments_table(s: float) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
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
def _inverse_table(s: float) -> tuple[np.float32, np.float32, np.float32, NDArray[np.float32]]:
    """Last and first t, steps per unit of t, photo-electrons: even steps are looked up five times faster."""
    light, mean, _ = _moments_table(s)
    grid = np.linspace(mean[0], mean[-1], 8192)
    table = np.interp(grid, mean, light).astype(np.float32)
    return np.float32(grid[-1]), np.float32(grid[0]), np.float32(1 / (grid[1] - grid[0])), table


def estimate_noise(planes: Sequence[NDArray[Any]], max_pixels: int = 4_000_000) -> NoiseModel:
    """Fit the variance line to a sample of one channel's planes.

    A second-difference filter removes structure; in bins of equal local mean its trimmed variance is the
    noise variance; a robust line through the bins gives gain and intercept. Clipped pixels are left out.
    Where no line can be seen (flat, empty, saturated images) ``notes`` says so, and the noise is Gaussian.

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
            raise ValueError(f"planes must hold 2-D arrays, found shape {plane.shape}; pass plane by plane")
    (low, top), windows = _range(planes), _thinned(planes, max_pixels)
    sample = _sample(windows, low, top)
    noise, reason = _line_model(sample)
    if noise is None and sample.dark_end:
        # photon counting: most pixels are a true zero, and without them only the bright fluctuations are left
        whole = _sample(windows, -np.inf, top)
        notes = (*sample.notes, "values at the dark end are taken as measured")
        noise, _ = _line_model(replace(whole, floor=0.0, notes=notes))
    return noise or _gaussian(windows, replace(sample, notes=(*sample.notes, reason)))


@dataclass(frozen=True)
class _Sample:
    """Local means and high-pass values (noise gain 1) of usable pixels, 1-D; variance of rounding; notes."""

    mean: NDArray[np.float64]
    high: NDArray[np.float64]
    floor: float
    notes: tuple[str, ...]
    dark_end: bool


def _line_model(sample: _Sample) -> tuple[NoiseModel | None, str]:
    """Poisson-Gaussian model of a sample, or None and why there is none."""
    if sample.mean.size < 1024:
        return None, "too few usable pixels for a noise line"
    centre, variance, weight = _bins(sample.mean, sample.high)
    level = float(np.median(variance))
    if level <= sample.floor:
        return None, "no noise found above the rounding of the values"
    line = _robust_line(centre, variance, weight)
    if line is None or line[0] * float(centre[-1] - centre[0]) < _GAUSSIAN_LIMIT * level:
        return None, "no growth of the noise with brightness was found"
    noise = _from_line(line, float(centre[0]), max(sample.floor, 0.02 * level), sample.notes)
    if noise.read_electrons > _MAX_READ:
        return None, "the growth of the noise with brightness is negligible"
    return noise, ""


def _from_line(line: tuple[float, float], dark: float, floor: float, notes: tuple[str, ...]) -> NoiseModel:
    """The line as a model whose offset is the darkest level seen, for a zero level cannot be seen."""
    (gain, intercept), offset = line, dark
    read_variance = gain * offset + intercept
    if read_variance < floor:  # the line meets the floor to the right of the dark end
        offset, read_variance = (floor - intercept) / gain, floor
    return NoiseModel(gain, offset, float(np.sqrt(read_variance)), notes)


def _gaussian(planes: Sequence[NDArray], sample: _Sample) -> NoiseModel:
    """One noise level: from the high-pass values, else from second differences along rows and columns."""
    high, mean = sample.high, sample.mean
    values = np.concatenate([np.ravel(p).astype(np.float64) for p in planes]) if mean.size == 0 else mean
    values = values[np.isfinite(values)]
    if high.size < 1024:
        finite = [np.where(np.isfinite(p), p, np.nan).astype(np.float64) for p in planes]
        high = np.concatenate([np.diff(p, 2, axis).ravel() / np.sqrt(6) for p in finite for axis in (0, 1)])
        high = high[np.isfinite(high)]
    sigma = max(float(np.sqrt(_trimmed_variance(high))), float(np.sqrt(sample.floor)))
    offset = float(np.percentile(values, 1)) if values.size else 0.0
    if sigma == 0.0 and values.size:
        sigma = float(np.std(high)) if high.any() else 1e-6 * max(abs(offset), 1e-6)
    sigma = sigma or 1.0
    return NoiseModel(0.0, offset, sigma, (*sample.notes, "a single Gaussian noise level is used"))


def _range(planes: Sequence[NDArray]) -> tuple[float, float]:
    """Smallest and largest finite value; (0, 0) if there is none."""
    finite = [p[np.isfinite(p)] for p in planes]
    ends = [(float(f.min()), float(f.max())) for f in finite if f.size]
    return min((e[0] for e in ends), default=0.0), max((e[1] for e in ends), default=0.0)


def _thinned(planes: Sequence[NDArray], max_pixels: int) -> list[NDArray]:
    """The planes, or evenly spread windows of them where they are more than ``max_pixels``."""
    total = sum(p.size for p in planes)
    if total <= max_pixels:
        return list(planes)
    places = [(p, y, x) for p in planes for y in range(0, p.shape[0], 512) for x in range(0, p.shape[1], 512)]
    windows = [p[y : y + 512, x : x + 512] for p, y, x in places]
    count = max(1, len(windows) * max_pixels // total)
    # golden ratio: an even step could fall into the rhythm of rows or planes and always see the same corner
    return [windows[int((k + 0.5) * 0.6180339887 % 1 * len(windows))] for k in range(count)]


def _sample(planes: Sequence[NDArray], low: float, top: float) -> _Sample:
    """Filter the planes, but for pixels at a clipped end of the range ``low`` to ``top`` and next to one."""
    means, highs, clipped, total, dark_end = [], [], 0, 0, False
    integer = all(np.issubdtype(p.dtype, np.integer) for p in planes)
    for plane in planes:
        if min(plane.shape) < 8:
            continue
        z = plane.astype(np.float64)
        bad = ~np.isfinite(z)
        z[bad] = 0.0
        ends = _clipped_ends(z, low, top, integer) & ~bad
        dark_end |= bool((ends & (z == low)).any())
        clipped, total = clipped + int(ends.sum()), total + ends.size
        lost = ndimage.binary_dilation(ends, np.ones((3, 3)))
        if bad.any():  # the local mean reaches further than the high-pass
            lost |= ndimage.binary_dilation(bad, np.ones((7, 7)))
        keep = ~lost[3:-3, 3:-3]
        # separable second difference [1 -2 1] x [1 -2 1]: blind to planes and ramps, squared gain 36
        high = ndimage.convolve1d(ndimage.convolve1d(z, [1, -2, 1], axis=0), [1, -2, 1], axis=1) / 6.0
        mean = ndimage.uniform_filter(z, 7)
        means.append(mean[3:-3, 3:-3][keep])
        highs.append(high[3:-3, 3:-3][keep])
    notes = (f"{100 * clipped / total:.0f} % of the pixels are clipped",) if clipped > 0.02 * total else ()
    mean, high = (np.concatenate([*parts, np.empty(0)]) for parts in (means, highs))
    return _Sample(mean, high, 1 / 12 if integer else 0.0, notes, dark_end)


def _clipped_ends(z: NDArray, low: float, top: float, integer: bool) -> NDArray[np.bool_]:
    """Pixels at a range end that holds suspiciously many of them (a clipped end, not just an extreme)."""
    ends = np.zeros(z.shape, dtype=bool)
    for end in {low, top} if top > low else ():
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
    for a, b in pairwise(starts):
        if b - a >= 256:
            part = order[a:b]
            rows.append((float(mean[part].mean()), _trimmed_variance(high[part]), float(b - a)))
    if not rows:
        rows = [(float(mean.mean()), _trimmed_variance(high), float(mean.size))]
    centre, variance, count = np.array(rows).T
    return centre, variance, count


def _robust_line(centre: NDArray, variance: NDArray, count: NDArray) -> tuple[float, float] | None:
    """Weighted line ``variance = gain * centre + intercept``; outliers above count less: structure adds."""
    if len(centre) < 4 or centre[-1] <= centre[0]:
        return None
    typical, line = np.median(variance), None
    model = np.full_like(variance, typical)
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
        model = np.maximum(gain * centre + line[1], 0.05 * typical)
    return line
