"""Noise that changes along a series, so that no single noise model fits all of its planes.

Correction for bleaching or for depth multiplies each plane by a number of its own, and with it the noise; so
does a detector whose gain is changed on the way. Light that fades by itself does not: noise then follows the
brightness as one model says. So each plane's own noise is set against the model of all, at equal brightness.
Where it departs from it, planes have noise models of their own: measured on some of them, more closely where
they differ, and interpolated between those.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_rdpdenoise.noise.estimate import estimate_noise, tells_noise
from napari_rdpdenoise.noise.model import NoiseModel
from napari_rdpdenoise.noise.stabilized import counts_of, stabilize

_EDGE = 256  # px of each window that are looked at
_LEAST = 5  # planes
_PIXELS = 4096  # of a window, at least
_QUANTILES, _MIDDLE = (0.2, 0.4, 0.6, 0.8, 0.95), 2  # of all counts, at which noise is compared
_CHANGE = 0.5  # logarithm of the variance from one plane to another: 1.3 in standard deviations
_SURE = 0.1  # of the logarithm, of a plane's own noise
_TURNS = 2.1  # ups and downs along the axis, over the largest difference: a hill at most
_UNSTEADY = 1.0  # of the logarithm: 1.65 in standard deviations, from which changes without a trend are told
_DOUBT = 0.5  # from which grain of the sample may be what changes
_STEADY, _FACTOR = 0.9, 1.6  # rank correlation, and standard deviations from end to end, asked for then
_FINE = 0.25  # of the logarithm between two planes with others between them, of which one is then measured
_ALIKE = 1.6  # times the variance, up to which planes say as much of one another as planes of equal noise
_FURTHER = 48  # planes that are measured beside the sample
_PARTS = 8  # of the way between two planes: those within a part share a model, and may share a batch

Reader = Callable[[int, int, int], NDArray[Any]]
"""Gives the window of a number at another place along an axis: ``read(number, axis, place)``."""


@dataclass(frozen=True)
class Trend:
    """How noise changes along a series.

    Attributes:
        axis: Number of the axis of the planes' indices along which it does.
        places: Places along that axis at which noise was measured, ascending.
        models: Noise models there.
        factor: Largest noise standard deviation over the smallest, at equal brightness.
        level: Counts in the middle of the sample.
    """

    axis: int
    places: tuple[int, ...]
    models: tuple[NoiseModel, ...]
    factor: float
    level: float

    def at(self, index: Sequence[int]) -> NoiseModel:
        """Noise model of a plane: that of the nearest place beyond the ends, interpolated between places."""
        place = index[self.axis]
        after = int(np.searchsorted(self.places, place))
        if after == 0 or after == len(self.places):
            return self.models[max(0, after - 1)]
        first, last = self.places[after - 1], self.places[after]
        share = round(_PARTS * (place - first) / (last - first)) / _PARTS
        return _mixed(self.models[after - 1 : after + 1], (1 - share, share))

    def alike(self, index: Sequence[int], other: Sequence[int], factor: float, offset: float) -> bool:
        """Whether a plane has about as much noise as another that is brought to its brightness.

        Args:
            index: Index of the plane.
            other: Index of the other.
            factor: Light of the plane over that of the other.
            offset: Counts without light.
        """
        brought = factor**2 * self.at(other).variance((self.level - offset) / factor + offset)
        return bool(1 / _ALIKE < self.at(index).variance(self.level) / brought < _ALIKE)

    @property
    def words(self) -> str:
        """What it is, and what is done."""
        return f"{self._found}: each plane is denoised by its own noise"

    @property
    def words_of_one_camera(self) -> str:
        """What it is, and what to do, where one noise model is told for all planes."""
        return (
            f"{self._found}: the noise that was told fits not all of them; leave it out (--camera), so that "
            "each plane's own is measured"
        )

    @property
    def words_of_one_model(self) -> str:
        """What it is, and what to do, where all planes are denoised by one noise model."""
        return (
            f"{self._found}: one noise model for all planes fits not all of them; denoise such series with "
            "napari-rdpdenoise itself, which takes each plane's own"
        )

    @property
    def _found(self) -> str:
        return (
            f"the noise of some planes is about {self.factor:.1f} times that of others at equal brightness, "
            "as after a correction for bleaching or depth, or where the gain was changed"
        )


class _Series(NamedTuple):
    """Noise model of a channel, and brightnesses of it, counts."""

    noise: NoiseModel
    levels: NDArray[np.float64]


class _Plane(NamedTuple):
    """Logarithm of a plane's noise variance over that of the series, at equal brightness; its own model."""

    ratio: float
    noise: NoiseModel


def find_trend(
    windows: Sequence[NDArray[Any]],
    places: Sequence[tuple[int, ...]],
    noise: NoiseModel,
    read: Reader | None = None,
) -> Trend | None:
    """Find out whether noise changes along a series beyond its brightness; None where it does not.

    Args:
        windows: 2-D arrays of raw counts of one channel, masked where they are not image.
        places: Places of their planes in the series, one number an axis.
        noise: Noise model of the channel.
        read: Reader of further planes, by which a change is located, and its axis known; None for none.
    """
    if len(set(places)) < _LEAST:
        return None
    series = _Series(noise, _levels(windows))
    found = [_measured(window, series) for window in windows]
    axes = _axes(places, found, noise.doubt)
    if read is not None and axes:
        others = (axis for axis in range(len(places[0])) if axis not in axes)
        axes = [axis for axis in (*axes, *others) if _is_along(axis, places, found, series, read)]
    for axis in axes:
        known: dict[int, list[_Plane]] = {}
        for place, plane in zip(places, found, strict=True):
            if plane is not None:
                known.setdefault(place[axis], []).append(plane)
        if read is not None:
            _look_closer(known, places, axis, series, read)
        ordered = sorted(known)
        ratios = [_ratio(known[place]) for place in ordered]
        models = [_mixed([plane.noise for plane in known[place]]) for place in ordered]
        factor = float(np.exp((max(ratios) - min(ratios)) / 2))
        return Trend(axis, tuple(ordered), tuple(models), factor, float(series.levels[_MIDDLE]))
    return None


def unsteady_words(
    windows: Sequence[NDArray[Any]], places: Sequence[tuple[int, ...]], noise: NoiseModel
) -> str:
    """What to say where the noise differs from plane to plane, but `find_trend` finds no trend; empty if not.

    That is so where planes are few, where it jumps up and down, and where it changes along two axes at once.
    Arguments are as of `find_trend`.
    """
    if noise.doubt >= _DOUBT or len(set(places)) < 2:
        return ""
    series = _Series(noise, _levels(windows))
    by_plane: dict[tuple[int, ...], list[_Plane]] = {}
    for place, window in zip(places, windows, strict=True):
        if (plane := _measured(window, series)) is not None:
            by_plane.setdefault(place, []).append(plane)
    ratios = [_ratio(planes) for planes in by_plane.values()]
    difference = max(ratios, default=0.0) - min(ratios, default=0.0)
    if difference < _UNSTEADY:
        return ""
    return (
        f"the noise of some planes is about {np.exp(difference / 2):.1f} times that of others at equal "
        "brightness, but not steadily along one axis of at least five planes: all are denoised by one noise "
        "model, which fits not all of them; denoise such planes apart from the others"
    )


def evened(pixels: NDArray[Any], own: NoiseModel, noise: NoiseModel) -> NDArray[np.float32]:
    """Counts that stabilise by one noise model to what those of a plane do by its own, masked as they are.

    Args:
        pixels: Raw counts, any shape.
        own: Noise model of their plane.
        noise: Noise model by which they are to be stabilised.
    """
    counts = counts_of(stabilize(np.asarray(pixels), own), noise).astype(np.float32)
    if isinstance(pixels, np.ma.MaskedArray):
        return np.ma.masked_array(counts, np.ma.getmask(pixels))
    return counts


def _axes(places: Sequence[tuple[int, ...]], found: Sequence[_Plane | None], doubt: float) -> list[int]:
    """Axes along which noise changes, the one first along which it does so most steadily."""
    known = [(place, plane.ratio) for place, plane in zip(places, found, strict=True) if plane is not None]
    turns = {}
    for axis in range(len(places[0])):
        ratios: dict[int, list[float]] = {}
        for place, ratio in known:
            ratios.setdefault(place[axis], []).append(ratio)
        along = np.array([np.mean(ratios[place]) for place in sorted(ratios)])
        if len(along) >= _LEAST and _changes(along, doubt):
            turns[axis] = np.abs(np.diff(along)).sum()
    return sorted(turns, key=lambda axis: float(turns[axis]))


def _changes(ratios: NDArray[np.float64], doubt: float) -> bool:
    """Whether noise changes along an axis, given the logarithms of variances."""
    if doubt >= _DOUBT:
        ranks = np.unique(ratios, return_inverse=True)[1]
        steady = (
            abs(float(np.corrcoef(np.arange(len(ranks)), ranks)[0, 1])) >= _STEADY if np.ptp(ranks) else False
        )
        quarter = -(-len(ratios) // 4)
        factor = float(np.exp(abs(ratios[-quarter:].mean() - ratios[:quarter].mean()) / 2))
        return steady and factor >= _FACTOR
    turns = np.maximum(np.abs(np.diff(ratios)) - _SURE, 0).sum()
    return bool(np.ptp(ratios) >= _CHANGE and turns <= _TURNS * np.ptp(ratios))


def _is_along(
    axis: int,
    places: Sequence[tuple[int, ...]],
    found: Sequence[_Plane | None],
    series: _Series,
    read: Reader,
) -> bool:
    """Whether it is along this axis that the planes of least and most noise differ, and not along another.

    The places of a sample may rise along two axes at once: planes that differ along one alone tell.
    """
    known = [(plane.ratio, number) for number, plane in enumerate(found) if plane is not None]
    (least, low), (most, high) = min(known), max(known)
    one, other = places[low], places[high]
    if one[axis] == other[axis]:
        return False
    if one[:axis] + one[axis + 1 :] == other[:axis] + other[axis + 1 :]:
        return True
    up, down = _measured(read(low, axis, other[axis]), series), _measured(read(high, axis, one[axis]), series)
    steps = [] if up is None else [up.ratio - least]
    steps += [] if down is None else [most - down.ratio]
    return bool(steps) and float(np.mean(steps)) > (most - least) / 2


def _look_closer(
    known: dict[int, list[_Plane]],
    places: Sequence[tuple[int, ...]],
    axis: int,
    series: _Series,
    read: Reader,
) -> None:
    """Measure planes between those that differ, until neighbours agree or no plane is between them."""
    ordered = sorted(known)
    gaps = list(pairwise(ordered))
    for _ in range(_FURTHER):
        gaps = [gap for gap in gaps if gap[1] - gap[0] > 1 and _differ(*(known[place] for place in gap))]
        if not gaps:
            return
        gaps.sort(key=lambda gap: (gap[0] - gap[1], gap[0]))
        first, last = gaps.pop(0)
        middle = (first + last) // 2
        number = min(range(len(places)), key=lambda n: (abs(places[n][axis] - middle), n))
        plane = _measured(read(number, axis, middle), series)
        if plane is not None:
            known[middle] = [plane]
            gaps += [(first, middle), (middle, last)]


def _differ(one: Sequence[_Plane], other: Sequence[_Plane]) -> bool:
    return abs(_ratio(one) - _ratio(other)) > _FINE


def _ratio(planes: Sequence[_Plane]) -> float:
    return float(np.mean([plane.ratio for plane in planes]))


def _levels(windows: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
    values = [np.ma.masked_array(window).compressed() for window in windows]
    thinned = np.concatenate([some[:: max(1, some.size // _PIXELS)] for some in values])
    return np.quantile(thinned, _QUANTILES) if thinned.size else np.zeros(len(_QUANTILES))


def _measured(window: NDArray[Any], series: _Series) -> _Plane | None:
    """Noise of a window's plane; None where it tells too little."""
    rows, columns = (slice((n - min(n, _EDGE)) // 2, (n + min(n, _EDGE)) // 2) for n in window.shape)
    part, noise = window[rows, columns], series.noise
    values = np.ma.masked_array(part).compressed()
    if values.size < _PIXELS or values.min() == values.max():
        return None
    own = estimate_noise([part])
    levels = series.levels[series.levels >= own.offset]  # below, its line is not seen
    if not tells_noise(own) or levels.size == 0:  # of counted photons, or of no line, a plane says too little
        return None
    ratio = float(np.mean(np.log(own.variance(levels) / noise.variance(levels))))
    return _Plane(ratio, replace(noise, gain=own.gain, offset=own.offset, read_noise=own.read_noise))


def _mixed(models: Sequence[NoiseModel], shares: Sequence[float] | None = None) -> NoiseModel:
    """The model whose variance is the mean of those of others, by shares; None for equal ones."""
    weights = np.full(len(models), 1 / len(models)) if shares is None else np.array(shares)
    gain, offset = (
        float(np.dot(weights, [getattr(model, name) for model in models])) for name in ("gain", "offset")
    )
    variance = float(np.dot(weights, [float(model.variance(offset)) for model in models]))
    return replace(models[0], gain=gain, offset=offset, read_noise=float(np.sqrt(variance)))
