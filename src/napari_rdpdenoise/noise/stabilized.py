"""The transform that makes Poisson-Gaussian noise uniform, its moments, and its exact unbiased inverse.

Symbols as in ``noise.model``. All functions are of single pixels; what they need of Poisson sums is looked up
in tables with even steps, of ``t`` or of ``u = sqrt(p + 3/8 + s**2)``, in which the moments are nearly
straight lines.

Source: Makitalo and Foi, "Optimal inversion of the generalized Anscombe transformation for Poisson-Gaussian
noise", IEEE TIP 2013 (the exact unbiased inverse maps ``E[t | p]`` back to ``p``).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import scipy
from numpy.typing import NDArray

from napari_rdpdenoise.noise.model import NoiseModel
from napari_rdpdenoise.noise.tabled import all_integers, is_tabled, looked_up

TABLE_READ = 16.0
"""Photo-electrons rms; with more read noise the closed forms are as exact at any light."""

_TABLE_LIGHT = 64.0  # photo-electrons; above it the closed forms are exact to 1e-3 of them
_STRIP = 2**15  # pixels that are computed at once
_STEPS = 8192  # of the table of the inverse, with even steps
_FINE, _RANGE = 16384, 16  # steps per unit of u, and units, of the tables of moments


class Moments(NamedTuple):
    """Mean and variance of stabilised values, given noise-free ones; float32."""

    mean: NDArray[np.float32]
    variance: NDArray[np.float32]


def stabilize(z: NDArray[Any], noise: NoiseModel) -> NDArray[np.float32]:
    """Generalised Anscombe transform: counts to values whose noise has variance 1 (float32, same shape)."""
    z = np.asarray(z)
    if is_tabled(z):
        return looked_up(z, _all_stabilized(noise.gain, noise.offset, noise.read_noise, z.dtype.name))
    return _stabilized(z, noise)


def _stabilized(z: NDArray[Any], noise: NoiseModel) -> NDArray[np.float32]:
    if z.ndim == 0:
        return np.asarray(_stabilized(z[None], noise)[0])
    found, s = np.empty(z.shape, np.float32), noise.read_electrons
    for part, out in _strips(z, found):
        t = part.astype(np.float64)
        t -= noise.offset
        if noise.gain == 0:
            t /= noise.read_noise
        else:
            t /= noise.gain
            t += 0.375
            t += s * s
            np.maximum(t, 0.0, out=t)
            np.sqrt(t, out=t)
            t *= 2.0
        out[...] = t
    return found


def counts_of(t: NDArray[Any], noise: NoiseModel) -> NDArray[np.float64]:
    """Counts that `stabilize` gives these values of, float64; below the darkest it knows, those of that."""
    values = np.asarray(t, np.float64)
    if noise.gain == 0:
        return values * noise.read_noise + noise.offset
    s = noise.read_electrons
    return (np.square(np.maximum(values, 0.0)) / 4 - 0.375 - s * s) * noise.gain + noise.offset


@lru_cache(maxsize=16)
def _all_stabilized(gain: float, offset: float, read_noise: float, dtype: str) -> NDArray[np.float32]:
    """Stabilised values of all integers of a type of at most 16 bits, by their bits."""
    return _stabilized(all_integers(dtype), NoiseModel(gain, offset, read_noise))


def stabilized_moments(x: NDArray[Any], noise: NoiseModel) -> Moments:
    """``E[stabilize(z) | x]`` and ``Var[stabilize(z) | x]`` of noisy values z around noise-free ones x.

    The mean is where a perfect denoiser's stabilised output lies, and goes on in a straight line below zero
    light. The variance is 1 but for the dimmest, where no transform reaches 1.

    Args:
        x: Noise-free values, raw counts, any shape; moments of float32 are those of other numbers to within
            a ten-thousandth.
        noise: Noise model of their channel.
    """
    x = np.asarray(x)
    if x.ndim == 0:
        return Moments(*(np.asarray(part[0]) for part in stabilized_moments(x[None], noise)))
    if noise.gain == 0:
        return Moments(_stabilized(x, noise), np.ones(x.shape, np.float32))
    s = noise.read_electrons
    if s > TABLE_READ or x.dtype != np.float32:
        return _precise_moments(x, noise)
    mean, variance = np.empty(x.shape, np.float32), np.empty(x.shape, np.float32)
    for part, *found in _strips(x, mean, variance):
        p = part - np.float32(noise.offset)
        p /= np.float32(noise.gain)
        _write_moments(p, s, *found)
    return Moments(mean, variance)


def _write_moments(
    p: NDArray[np.float32], s: float, mean: NDArray[np.float32], variance: NDArray[np.float32]
) -> None:
    """Moments at photo-electrons p, into the two arrays."""
    table = _forward_table(round(s, 4))
    u = np.maximum(p, 0)
    u += np.float32(0.375 + s * s)
    np.sqrt(u, out=u)
    place = u - table.start
    place *= table.density
    place += np.float32(0.5)
    np.minimum(place, len(table.beyond), out=place)  # of much light, the place is no integer
    with np.errstate(invalid="ignore"):  # what is not a number stays none
        step = place.astype(np.intp)
    np.take(table.beyond, step, mode="clip", out=mean)
    u *= 2
    mean += u
    np.take(table.variance, step, mode="clip", out=variance)
    if not p.min(initial=0) >= 0:  # the least of what holds NaN is none
        mean += np.minimum(p, 0) * table.slope
    if not place.max(initial=0) < len(table.beyond):
        bright = step >= len(table.beyond)
        mean[bright] = _series(p[bright], s)


def _strips(*arrays: NDArray[Any]) -> Iterator[list[NDArray[Any]]]:
    """Parts of arrays of one shape, as many pixels as a processor's cache holds."""
    rows = max(1, _STRIP // max(1, math.prod(arrays[0].shape[1:])))
    for start in range(0, len(arrays[0]), rows):
        yield [array[start : start + rows] for array in arrays]


def _precise_moments(x: NDArray[Any], noise: NoiseModel) -> Moments:
    """The same in float64 and between the tables' own points: for few values, eight times slower."""
    s = noise.read_electrons
    p = (x.astype(np.float64) - noise.offset) / noise.gain
    far = _series(p, s)
    if s > TABLE_READ:
        return Moments(far.astype(np.float32), np.ones(p.shape, np.float32))
    light, mean, variance = moments_table(round(s, 4))
    slope = (mean[1] - mean[0]) / (light[1] - light[0])
    near = np.where(p < 0, mean[0] + slope * p, np.interp(p, light, mean))
    return Moments(
        np.where(p > light[-1], far, near).astype(np.float32),
        np.interp(p, light, variance, right=1.0).astype(np.float32),
    )


def expected_stabilized(x: NDArray[Any], noise: NoiseModel) -> NDArray[np.float32]:
    """The mean of `stabilized_moments`."""
    return stabilized_moments(x, noise).mean


def stabilized_variance(x: NDArray[Any], noise: NoiseModel) -> NDArray[np.float32]:
    """The variance of `stabilized_moments`."""
    return stabilized_moments(x, noise).variance


def unstabilize(t: NDArray[Any], noise: NoiseModel) -> NDArray[np.float32]:
    """Exact unbiased inverse of :func:`stabilize` for denoised values (float32 raw counts, same shape)."""
    if np.ndim(t) == 0:
        return np.asarray(unstabilize(np.asarray(t)[None], noise)[0])
    s = noise.read_electrons
    # float64 where a large number is subtracted from another
    t = np.asarray(t, dtype=np.float32 if s <= TABLE_READ else np.float64)
    if noise.gain == 0:
        return np.asarray(t * noise.read_noise + noise.offset, dtype=np.float32)
    counts = np.empty(t.shape, np.float32)
    for part, found in _strips(t, counts):
        p = _photoelectrons(part, s)
        p *= noise.gain
        np.add(p, noise.offset, out=found)
    return counts


def _photoelectrons(t: NDArray[Any], s: float) -> NDArray[Any]:
    """Photo-electrons of stabilised values: by the table up to its top, beyond it by the inverted series."""
    dim = t <= inverse_table(round(s, 4)).top if s <= TABLE_READ else np.zeros(1, bool)
    if dim.all():
        return _looked_up(t, s)
    p = np.square(np.maximum(t, 0)) * 0.25 - (0.125 + s * s)
    if dim.any():
        np.copyto(p, _looked_up(t, s), where=dim)
    return p


def _looked_up(t: NDArray[np.float32], s: float) -> NDArray[np.float32]:
    """Photo-electrons by the table; beyond its top, and of what is not a number, those of the top."""
    table = inverse_table(round(s, 4))
    place = np.fmin(t, table.top)
    place -= table.start
    place *= table.density
    bounded = np.maximum(place, 0)
    np.minimum(bounded, np.float32(len(table.light) - 2), out=bounded)
    step = bounded.astype(np.int32)
    place -= step
    low = table.light.take(step)
    step += 1
    rise = table.light.take(step)
    rise -= low
    rise *= place
    rise += low
    return rise


def _series(p: NDArray[Any], s: float) -> NDArray[Any]:
    """``E[t | p]`` by the Taylor series of the square root, to fourth order in the moments of the noise."""
    inside, light = np.maximum(p + p.dtype.type(0.375 + s * s), 0.375), np.maximum(p, 0)
    variance = light + p.dtype.type(s * s)
    fourth = (3 * np.square(variance) + light) * 5 / 64
    correction = variance / 4 - (light / 8 - fourth / inside) / inside
    root = np.sqrt(inside)
    # values far below the offset are beyond the series
    return np.asarray(np.maximum(2 * root - correction / (inside * root), 0))


class _ForwardTable(NamedTuple):
    """Moments at even steps of u: first u, steps per unit, slope below zero light, mean less 2u, variance."""

    start: np.float32
    density: np.float32
    slope: np.float32
    beyond: NDArray[np.float32]
    variance: NDArray[np.float32]


class InverseTable(NamedTuple):
    """Photo-electrons at even steps of t: last and first t, steps per unit, photo-electrons."""

    top: np.float32
    start: np.float32
    density: np.float32
    light: NDArray[np.float32]


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
    log_pmf = scipy.special.xlogy(counts[None, :], light[:, None]) - light[:, None]
    pmf = np.exp(log_pmf - scipy.special.gammaln(counts + 1.0)[None, :])
    pmf /= pmf.sum(1, keepdims=True)
    mean = np.maximum.accumulate(pmf @ (t @ weights))
    return light, mean, pmf @ (t**2 @ weights) - mean**2


@lru_cache(maxsize=8)
def _forward_table(s: float) -> _ForwardTable:
    light, mean, variance = moments_table(s)
    start = math.sqrt(0.375 + s * s)
    u = start + np.arange(_RANGE * _FINE) / _FINE  # so fine that the nearest step will do
    at = np.square(u) - (0.375 + s * s)
    means = np.where(at > light[-1], _series(at, s), np.interp(at, light, mean))
    return _ForwardTable(
        np.float32(start),
        np.float32(_FINE),
        np.float32((mean[1] - mean[0]) / (light[1] - light[0])),
        (means - 2 * u).astype(np.float32),
        np.interp(at, light, variance, right=1.0).astype(np.float32),
    )


@lru_cache(maxsize=256)
def inverse_table(s: float) -> InverseTable:
    """The exact inverse of stabilised values; even steps are looked up five times faster than others."""
    light, mean, _ = moments_table(s)
    grid = np.linspace(mean[0], mean[-1], _STEPS)
    table = np.interp(grid, mean, light).astype(np.float32)
    ends = np.float32(grid[-1]), np.float32(grid[0])
    return InverseTable(*ends, np.float32(1 / (grid[1] - grid[0])), table)
