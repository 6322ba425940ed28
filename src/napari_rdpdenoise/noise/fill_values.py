"""Values that stand for "no image here": borders of registration and stitching, masks, labels burnt in.

Such a value fills regions, and the image beside a region does not know of it: right at its edge the image is
as far from the value as a few pixels further out. Where light fades to black, or saturates, it comes nearer
to the value with every pixel, or noise scatters it about the value. That comparison, made on all edges in a
sample of the series, decides for each value; no list of usual values is needed, and black backgrounds and
saturated cells stay image.

::

    value of the image        ......::''':..::.   a mask: as far away at ring 1 as at ring 4
                        ______|
                        ________....:::''''''''   light that fades: near at ring 1, far at ring 4
      ring                    1 2 3 4

Interpolation mixes the value into ring 1, not further: then ring 2 is looked at.

Counts are never negative. Where they are whole numbers and one or two negative ones fill regions, as -1 does
in the gaps of photon-counting detectors (and -2 in their dead pixels), these are codes, however near they are
to the few photons beside them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from napari_rdpdenoise.noise.end_labels import is_end_label

_REGION = 6  # px of a region; less is left to `outliers`
_LEAST = 9  # px in regions and px beside them, over the whole sample, by which a value is judged
_TRIED = 8  # values of most equal neighbours that are judged, beside the smallest and the largest
_IN_REGIONS = 0.5  # share of a value's pixels that must be in regions
_CLEAR = 3.0  # noise standard deviations, or steps, from the value to half of the pixels beside it
_NEAR = 0.1  # largest share of those within one and a half
_SHARP = 0.7  # least distance of ring 1 over that of ring 4
# Of ring 1, and of ring 2, where interpolation mixed them: a smooth edge may cover any share of ring 1.
_MIXED, _MIXED_SHARP = 0.1, 0.85
_FADED = 3.0  # noise standard deviations that ring 2 is brighter than ring 4, at most, beside a bright value
_SIDES = 0.02  # least share of ring 1 on either side of a value amid the noise
_BETWEEN, _OFTEN = 0.85, 0.1  # of the way to the image, and share of ring 1 nearer than that, if mixed
_FLAT_ELSEWHERE = 0.2  # share of 3x3 constant places beside the value from which constancy means nothing
_APART = 5.0  # noise standard deviations to the rest of the sample, where no edge is in it
_MOST = 4  # values that a series has for what is not image
_LEFT = 256  # px of image that must remain
_CODES = 2  # negative values of whole counts up to which they can be codes
_CODED, _PIERCED = 0.5, 0.005  # largest share of the sample, and of single pixels amid a code's regions
_EIGHT = np.ones((3, 3), bool)
_AWAY = 4  # rings


@dataclass(frozen=True)
class FillValue:
    """A value that is not image.

    Attributes:
        value: Counts.
        mixed: Whether interpolation mixed it into the image beside its regions.
        amid: Whether the image reaches it as well, so that only its regions are not image.
        code: Whether it cannot be image, so that single pixels of it are none either.
    """

    value: float
    mixed: bool = False
    amid: bool = False
    code: bool = False


def find_fill_values(windows: Sequence[NDArray[Any]]) -> tuple[FillValue, ...]:
    """Values that are not image, from a sample of one channel.

    Args:
        windows: 2-D arrays of raw counts, any real dtype; NaN and infinities are not looked at.

    Returns:
        Values in ascending order; empty where all is image.
    """
    looked_at = [_Window(np.asarray(w)) for w in windows if min(w.shape) > 2 * _AWAY]
    codes = _negative_codes([w.plane for w in looked_at])
    suspects = [
        value
        for value in _candidates([w.plane for w in looked_at])
        if value not in codes and _is_suspect(looked_at, value)
    ]
    if len(suspects) > _MOST:  # an image of few levels, as after strong lossy compression
        suspects = []
    known = [*codes, *suspects]
    found = [_judge(looked_at, [v for v in known if v != value], value) for value in sorted(suspects)]
    found += _end_labels(looked_at, [*codes, *(fill.value for fill in found if fill is not None)])
    found.sort(key=lambda fill: np.inf if fill is None else fill.value)
    return (
        *(FillValue(code, code=True) for code in codes),
        *(fill for fill in found if fill is not None),
    )


def _end_labels(windows: Sequence[_Window], known: Sequence[float]) -> list[FillValue | None]:
    """The smallest and the largest value where labels are drawn with them and the image has them as well."""
    finite = [w.plane[w.finite] for w in windows if w.finite.any()]
    if not finite:
        return []
    low, high = min(float(f.min()) for f in finite), max(float(f.max()) for f in finite)
    planes = [w.plane for w in windows if float(w.flat.mean()) <= _FLAT_ELSEWHERE]
    tried = [value for value in (low, high) if low < high and value not in known]
    return [FillValue(value, amid=True) for value in tried if is_end_label(planes, value)]


def describe_fill_value(windows: Sequence[NDArray[Any]], value: float) -> FillValue:
    """A value that somebody says is not image, with what the sample tells of its edges."""
    looked_at = [_Window(np.asarray(w)) for w in windows if min(w.shape) > 2 * _AWAY]
    at = [w.plane == value for w in looked_at]
    return FillValue(value, _edges(looked_at, at, at, (), value).mixed)


def _negative_codes(windows: Sequence[NDArray[Any]]) -> list[float]:
    """The negative values of whole counts, ascending, if they are few and one fills regions; else none."""
    pixels = sum(w.size for w in windows)
    if not pixels or any(w.dtype.kind == "u" for w in windows):
        return []
    finite = [w[np.isfinite(w)] for w in windows]
    below = np.unique(np.concatenate([f[f < 0] for f in finite]))
    whole = below.size and all((f == np.rint(f)).all() for f in finite)
    if not whole or below.size > _CODES or max(float(f.max(initial=0)) for f in finite) <= 0:
        return []
    return [float(value) for value in below] if any(_fills(windows, value, pixels) for value in below) else []


def _fills(windows: Sequence[NDArray[Any]], value: float, pixels: int) -> bool:
    """Whether most of a value's pixels are in regions without holes, fewer than the image has."""
    at = [w == value for w in windows]
    count = sum(int(places.sum()) for places in at)
    inside = sum(int(_large(places).sum()) for places in at)
    holes = sum(int((scipy.ndimage.binary_closing(places, _EIGHT) & ~places).sum()) for places in at)
    return inside >= max(_LEAST, _IN_REGIONS * count) and count < _CODED * pixels and holes < _PIERCED * count


def _candidates(windows: Sequence[NDArray[Any]]) -> list[float]:
    """Values that equal neighbours share most often, and the ends; most frequent first."""
    equal = [w[:, 1:][w[:, 1:] == w[:, :-1]] for w in windows] + [w[1:][w[1:] == w[:-1]] for w in windows]
    flat = np.concatenate(equal) if equal else np.empty(0)
    flat = flat[np.isfinite(flat)]
    if flat.size == 0:
        return []
    values, counts = np.unique(flat, return_counts=True)
    often = counts >= _REGION
    values, counts = values[often], counts[often]
    chosen = set(np.argsort(-counts)[:_TRIED].tolist())
    if values.size:
        chosen |= {0, values.size - 1}
    return [float(values[i]) for i in sorted(chosen, key=lambda i: -int(counts[i]))]


class _Window:
    """A window of the sample, and what does not depend on the value that is judged."""

    def __init__(self, plane: NDArray[Any]) -> None:
        self.plane = plane
        self.finite = np.isfinite(plane)
        self.step = _step([plane[self.finite]])
        z = np.where(self.finite, plane, 0).astype(np.float64)
        # [1 -2 1] x [1 -2 1]: blind to planes and ramps; noise gain 1
        rows = z[2:] - 2 * z[1:-1] + z[:-2]
        self.high = np.zeros(z.shape)
        self.high[1:-1, 1:-1] = (rows[:, 2:] - 2 * rows[:, 1:-1] + rows[:, :-2]) / 6
        across = (z[:, 1:-1] == z[:, 2:]) & (z[:, 1:-1] == z[:, :-2])
        self.flat = np.zeros(z.shape, bool)
        same = (z[1:-1, 1:-1] == z[2:, 1:-1]) & (z[1:-1, 1:-1] == z[:-2, 1:-1])
        self.flat[1:-1, 1:-1] = across[1:-1] & across[2:] & across[:-2] & same


@dataclass(frozen=True)
class _Edges:
    """What stands beside a value's regions, over a whole sample.

    Attributes:
        rings: Distances to the value, counts with a sign, of pixels 1, 2 and 4 px away.
        sigma: Noise of the image near the regions, counts.
        step: Usual distance of one possible value to the next, counts.
        grain: Usual distance of neighbours that differ, counts.
        flat: Share of 3x3 constant places in the rest of the image.
        left: Pixels of the rest.
    """

    rings: tuple[NDArray[np.float64], ...]
    sigma: float
    step: float
    grain: float
    flat: float
    left: int

    @property
    def mixed(self) -> bool:
        """Whether ring 1 is often between the value and the image."""
        near, further, away = (np.abs(ring) for ring in self.rings)
        if not near.size or not further.size or not away.size:
            return False
        # of the way to ring 2, which is nearly as dark as ring 1 where cells were cut out at a level of light
        between = _BETWEEN * float(min(np.median(further), np.median(away)))
        beyond = max(float(np.mean(further < between)), float(np.mean(away < between)))
        return float(np.mean(near < between)) - beyond > _OFTEN


def _is_suspect(windows: Sequence[_Window], value: float) -> bool:
    """Whether a value fills regions, and the pixels beside it are not mostly the next value."""
    at = [w.plane == value for w in windows]
    inside = sum(int(_large(places).sum()) for places in at)
    enough = inside >= max(_LEAST, _IN_REGIONS * sum(int(places.sum()) for places in at))
    return enough and not _fades(windows, at)


def _judge(windows: Sequence[_Window], others: Sequence[float], value: float) -> FillValue | None:
    """The value as one that is not image; None where it is image. ``others`` are not looked at."""
    at = [w.plane == value for w in windows]
    edges = _edges(windows, at, [_large(places) for places in at], others, value)
    # without noise a constant place is nothing special, nor where there are others
    if edges.left < _LEFT or edges.flat > _FLAT_ELSEWHERE or edges.sigma == 0:
        return None
    if min(len(edges.rings[0]), len(edges.rings[-1])) < _LEAST:
        if len(edges.rings[0]) == 0 and _stands_apart(windows, others, value, edges.sigma):
            return FillValue(value)
        return FillValue(value, amid=True) if _is_blank(windows, at, edges) else None
    apart = _is_apart(edges)
    return FillValue(value, edges.mixed, not apart) if apart or _is_amid(edges) else None


def _fades(windows: Sequence[_Window], at: Sequence[NDArray[np.bool_]]) -> bool:
    """Whether most pixels beside a value are the very next one: all that it takes for most values."""
    gaps = [np.empty(0)]
    for window, places in zip(windows, at, strict=True):
        for one, other in ((np.s_[:, 1:], np.s_[:, :-1]), (np.s_[1:], np.s_[:-1])):
            edge = places[one] ^ places[other]
            pair = window.plane[one][edge].astype(np.float64), window.plane[other][edge].astype(np.float64)
            gaps.append(np.abs(pair[0] - pair[1]))
    gap = np.concatenate(gaps)
    gap = gap[np.isfinite(gap)]
    return bool(gap.size and np.median(gap) <= 1.5 * max(w.step for w in windows))


def _is_apart(edges: _Edges) -> bool:
    """Whether the image beside a value is far from it, and as far as further out."""
    near, further, away = (np.abs(ring) for ring in edges.rings)
    one, two, four = (float(np.median(ring)) for ring in (near, further, away))
    unit = max(edges.sigma, edges.step, edges.grain)
    if one >= _SHARP * four and _is_far(near, unit):
        return True
    if one < _MIXED * four or two < _MIXED_SHARP * four or not _is_far(further, unit):
        return False
    # the light of something saturated fades; an edge that interpolation mixed ends
    return bool(np.median(edges.rings[1]) > 0 or four - two <= _FADED * unit)


def _is_far(distances: NDArray[np.float64], unit: float) -> bool:
    return float(np.median(distances)) >= _CLEAR * unit and float(np.mean(distances <= 1.5 * unit)) <= _NEAR


def _is_amid(edges: _Edges) -> bool:
    """Whether the noise beside a value is on both sides of it: no end at which a camera clips."""
    near, _, away = (np.abs(ring) for ring in edges.rings)
    below, one = float(np.mean(edges.rings[0] < 0)), float(np.median(near))
    noisy = edges.sigma >= 2 * edges.step and one >= _CLEAR * edges.step
    return noisy and one >= _SHARP * float(np.median(away)) and _SIDES <= below <= 1 - _SIDES


def _edges(
    windows: Sequence[_Window],
    at: Sequence[NDArray[np.bool_]],
    regions: Sequence[NDArray[np.bool_]],
    others: Sequence[float],
    value: float,
) -> _Edges:
    rings: list[list[NDArray[np.float64]]] = [[], [], []]
    beside, anywhere, levels, gaps, flat, left = [], [], [np.empty(0)], [np.empty(0)], 0, 0
    for window, places, region in zip(windows, at, regions, strict=True):
        image = window.finite & ~places & ~np.isin(window.plane, others)
        left, flat = left + int(image.sum()), flat + int((window.flat & image).sum())
        whole = ~scipy.ndimage.binary_dilation(~image, _EIGHT)
        whole[[0, -1]] = whole[:, [0, -1]] = False
        anywhere.append(window.high[whole])
        if not region.any():
            continue
        grown = [region]
        for _ in range(_AWAY):
            grown.append(scipy.ndimage.binary_dilation(grown[-1]))
        for ring, far in zip(rings, (1, 2, _AWAY), strict=True):
            levels.append(window.plane[grown[far] & ~grown[far - 1] & image].astype(np.float64))
            ring.append(levels[-1] - value)
        close = scipy.ndimage.binary_dilation(grown[-1], _EIGHT, 8) & whole
        beside.append(window.high[close])
        pairs = close[:, 1:] & close[:, :-1]
        gaps.append(np.abs(window.plane[:, 1:][pairs].astype(np.float64) - window.plane[:, :-1][pairs]))
    high = np.concatenate([*beside, np.empty(0)])
    if high.size < _LEFT:
        high = np.concatenate(anywhere)
    sigma = 1.4826 * float(np.median(np.abs(high))) if high.size else 0.0
    signed = tuple(np.concatenate([*ring, np.empty(0)]) for ring in rings)
    gap = np.concatenate(gaps)
    grain = float(np.median(gap[gap > 0])) if gap.any() else 0.0
    return _Edges(signed, sigma, _step(levels), grain, flat / max(left, 1), left)


def _large(at: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Regions of pixels that touch, corners included, without the small ones."""
    if not at.any():
        return at
    labels, _ = scipy.ndimage.label(at, _EIGHT)
    keep = np.bincount(labels.ravel()) >= _REGION
    keep[0] = False
    return np.asarray(keep[labels])


def _step(levels: Sequence[NDArray[Any]]) -> float:
    """Usual distance of one possible value to the next, counts."""
    steps = np.diff(np.unique(np.concatenate(levels)).astype(np.float64))
    return float(np.median(steps)) if steps.size else 0.0


def _is_blank(windows: Sequence[_Window], at: Sequence[NDArray[np.bool_]], edges: _Edges) -> bool:
    """Whether whole windows are of a value that noise elsewhere reaches only now and then: blank frames."""
    blank = any(bool(places.all()) for places in at)
    return blank and edges.sigma >= 2 * edges.step and all(bool(p.all()) or not _large(p).any() for p in at)


def _stands_apart(windows: Sequence[_Window], others: Sequence[float], value: float, sigma: float) -> bool:
    """Whether a value that fills whole windows is outside all that the others hold."""
    image = np.concatenate([w.plane[w.finite & ~np.isin(w.plane, (*others, value))] for w in windows])
    gap = max(float(image.min()) - value, value - float(image.max()))
    return gap > _APART * sigma
