"""The noise of a series, estimated from its own images.

Source of the variance line: Foi et al., "Practical Poissonian-Gaussian noise modeling and fitting for
single-image raw-data", IEEE TIP 2008. The rest is ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from napari_rdpdenoise.noise.correlation import measure_correlation
from napari_rdpdenoise.noise.doubt import measure_doubt
from napari_rdpdenoise.noise.model import NoiseModel

# Below this ratio of Poisson to Gaussian variance over the whole range, the square root is a straight line.
_GAUSSIAN_LIMIT = 1e-3
_SHARED = "neighbouring pixels share their noise"
_CLIPPED = "are clipped: as dark or bright as numbers go here, so not measured"
_MAX_READ = 1e4  # photo-electrons rms; beyond, float32 could no longer tell values a noise apart
_BINS = 32
_TRIM = 0.95  # share of the smallest |high-pass| values that a bin's variance is taken from


def tells_noise(noise: NoiseModel) -> bool:
    """Whether an estimate rests on a line that was seen, and on noise of single pixels."""
    return all(_CLIPPED in note for note in noise.notes)


def shares_noise(noise: NoiseModel) -> bool:
    """Whether the estimate found that neighbouring pixels share their noise."""
    return any(note.startswith(_SHARED) for note in noise.notes)


def estimate_noise(planes: Sequence[NDArray[Any]], max_pixels: int = 4_000_000) -> NoiseModel:
    """Fit the variance line to a sample of one channel's planes; the noise model is in counts.

    A second-difference filter removes structure; in bins of equal local mean its trimmed variance is the
    noise variance; a robust line through the bins gives gain and intercept. Clipped pixels are left out.
    Where no line can be seen (flat, empty, saturated images) ``notes`` says so, and the noise is Gaussian.
    The filter sees fine noise only: where neighbouring pixels share theirs, the variance is raised. Where
    grain of the sample cannot be told from noise, the model's ``doubt`` is above 0.

    Args:
        planes: Arrays (rows, columns) of one channel, raw counts, any real dtype; NaN, infinities and what
            masked arrays mask are left out.
        max_pixels: Number of pixels that are used at most; larger samples are thinned by whole windows.

    Raises:
        ValueError: If ``planes`` is empty or holds an array that is not 2-D.
    """
    if len(planes) == 0:
        raise ValueError("planes must hold at least one 2-D array, found none")
    for plane in planes:
        if plane.ndim != 2:
            raise ValueError(f"planes must hold 2-D arrays, found shape {plane.shape}; pass plane by plane")
    planes = [_unmasked(plane) for plane in planes]
    (low, top), windows = _range(planes), _thinned(planes, max_pixels)
    sample = _sample(windows, low, top)
    noise, reason = _line_model(sample)
    if noise is None and sample.dark_end:
        # photon counting: most pixels are a true zero, and without them only the bright fluctuations are left
        whole = _sample(windows, -np.inf, top)
        notes = (*sample.notes, "values at the dark end are taken as measured, as photons are counted")
        noise, _ = _line_model(replace(whole, floor=0.0, notes=notes))
    if noise is None:
        note = f"{reason}: one noise level is taken for dark and bright"
        noise = _gaussian(windows, replace(sample, notes=(*sample.notes, note)))
    noise = _with_correlation(noise, windows)
    return replace(noise, doubt=measure_doubt(windows, noise, shares_noise(noise)))


def _with_correlation(noise: NoiseModel, windows: Sequence[NDArray]) -> NoiseModel:
    found = measure_correlation(windows, noise)
    if found is None:
        return noise
    notes = (f"{_SHARED} (as after a blur of {found.sigma:.1f} px)",) if found.shared else ()
    gain, read_noise = noise.gain * found.factor, noise.read_noise * float(np.sqrt(found.factor))
    return replace(noise, gain=gain, read_noise=read_noise, notes=(*noise.notes, *notes))


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
        return None, "too few usable pixels to see the noise grow with brightness"
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
    return NoiseModel(0.0, offset, sigma, sample.notes)


def _unmasked(plane: NDArray[Any]) -> NDArray[Any]:
    """A plane with NaN in the place of what is masked."""
    if not np.ma.is_masked(plane):
        return np.asarray(plane)
    return np.where(np.ma.getmaskarray(plane), np.nan, np.asarray(plane, np.float64))


def _is_whole(plane: NDArray[Any]) -> bool:
    """Whether all values are whole numbers, whatever the dtype: then rounding is part of the noise."""
    if plane.dtype.kind != "f":
        return True
    values = plane[np.isfinite(plane)]
    return bool(values.size and (values == np.rint(values)).all())


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
    integer = all(_is_whole(p) for p in planes)
    for plane in planes:
        if min(plane.shape) < 8:
            continue
        z = plane.astype(np.float64)
        bad = ~np.isfinite(z)
        z[bad] = 0.0
        ends = _clipped_ends(z, low, top, integer) & ~bad
        dark_end |= bool((ends & (z == low)).any())
        clipped, total = clipped + int(ends.sum()), total + ends.size
        lost = scipy.ndimage.binary_dilation(ends, np.ones((3, 3)))
        if bad.any():  # the local mean reaches further than the high-pass
            lost |= scipy.ndimage.binary_dilation(bad, np.ones((7, 7)))
        keep = ~lost[3:-3, 3:-3]
        # separable second difference [1 -2 1] x [1 -2 1]: blind to planes and ramps, squared gain 36
        high = (
            scipy.ndimage.convolve1d(scipy.ndimage.convolve1d(z, [1, -2, 1], axis=0), [1, -2, 1], axis=1)
            / 6.0
        )
        mean = scipy.ndimage.uniform_filter(z, 7)
        means.append(mean[3:-3, 3:-3][keep])
        highs.append(high[3:-3, 3:-3][keep])
    share = f"{100 * clipped / total:.0f} % of the pixels" if clipped > 0.02 * total else ""
    notes = (f"{share} {_CLIPPED}",) if share else ()
    mean, high = (np.concatenate([*parts, np.empty(0)]) for parts in (means, highs))
    return _Sample(mean, high, 1 / 12 if integer else 0.0, notes, dark_end)


def _clipped_ends(z: NDArray, low: float, top: float, integer: bool) -> NDArray[np.bool_]:
    """Pixels at a range end that holds suspiciously many of them (a clipped end, not just an extreme)."""
    ends = np.zeros(z.shape, dtype=bool)
    for end in {low, top} if top > low else ():
        at = z == end
        if at.mean() > (1e-3 if integer else 1e-2) and not (integer and _thins_out(z, end, at)):
            ends |= at
    return ends


def _thins_out(z: NDArray, end: float, at: NDArray[np.bool_]) -> bool:
    """Whether fewer whole counts are at an end than beside it, as of photons; clipped ones pile up."""
    rest = z[~at & np.isfinite(z)]
    if rest.size == 0:
        return False
    beside = rest.min() if end < rest.min() else rest.max()
    return int(at.sum()) < int((rest == beside).sum())


def _trimmed_variance(values: NDArray) -> float:
    """Variance of a Gaussian bulk from the smallest ``_TRIM`` of the squared values."""
    if values.size == 0:
        return 0.0
    count = max(1, int(_TRIM * values.size))
    kept = np.partition(np.square(values), count - 1)[:count]
    limit = scipy.special.erfinv(_TRIM) * np.sqrt(2)
    share = _TRIM - limit * np.sqrt(2 / np.pi) * np.exp(-(limit**2) / 2)
    return float(kept.mean() * _TRIM / share)


def _bins(mean: NDArray, high: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """Centres, variances and weights of equally filled and equally wide bins of the local mean."""
    quantiles = np.quantile(mean, np.linspace(0.0, 1.0, _BINS + 1))
    width = np.linspace(quantiles[0], np.quantile(mean, 0.999), _BINS // 2 + 1)
    edges = np.unique(np.concatenate([quantiles, width]))
    which = np.clip(np.searchsorted(edges, mean, side="right") - 1, 0, len(edges) - 2)
    order = np.argsort(
        which.astype(np.int16), kind="stable"
    )  # of short numbers by radix: a fifth of the time
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
