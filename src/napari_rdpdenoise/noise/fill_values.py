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

from napari_rdpdenoise.noise.blocks import count_touching
from napari_rdpdenoise.noise.constant import Limits, own_limits, solid
from napari_rdpdenoise.noise.end_labels import is_end_label
from napari_rdpdenoise.noise.value_edges import (
    AWAY,
    REGION,
    Edges,
    SampleWindow,
    edges_of,
    is_amid,
    is_amid_by_constancy,
    is_apart,
    large_regions,
)

_LEAST = 9  # px in regions and px beside them, over the whole sample, by which a value is judged
_TRIED = 8  # values of most equal neighbours that are judged, beside the smallest and the largest
_IN_REGIONS = 0.5  # share of a value's pixels that must be in regions
_FLAT_ELSEWHERE = 0.2  # share of 3x3 constant places beside the value from which constancy means nothing
_LARGE, _SOLID = 64, 0.9  # px in large blocks, and share of a value's regions, by which these are no letters
_APART = 5.0  # noise standard deviations to the rest of the sample, where no edge is in it
_MOST = 4  # values that a series has for what is not image
_LEFT = 256  # px of image that must remain
_CODES = 2  # negative values of whole counts up to which they can be codes
_CODED, _PIERCED = 0.5, 0.005  # largest share of the sample, and of single pixels amid a code's regions
_EIGHT = np.ones((3, 3), bool)


@dataclass(frozen=True)
class FillValue:
    """A value that is not image.

    Attributes:
        value: Counts.
        mixed: Whether interpolation mixed it into the image beside its regions.
        amid: Whether the image reaches it as well, so that only its regions are not image.
        solid: Whether these are as large as no letters are.
        code: Whether it cannot be image, so that single pixels of it are none either.
    """

    value: float
    mixed: bool = False
    amid: bool = False
    code: bool = False
    solid: bool = False


def find_fill_values(windows: Sequence[NDArray[Any]]) -> tuple[FillValue, ...]:
    """Values that are not image, from a sample of one channel.

    Args:
        windows: 2-D arrays of raw counts, any real dtype; NaN and infinities are not looked at.

    Returns:
        Values in ascending order; empty where all is image.
    """
    looked_at = [SampleWindow(np.asarray(w)) for w in windows if min(w.shape) > 2 * AWAY]
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


def find_own_limits(windows: Sequence[NDArray[Any]]) -> Limits | None:
    """Limits of the image where each plane was filled with a value of its own, such as its mean; else None.

    Args:
        windows: 2-D arrays of raw counts of one channel, any real dtype.
    """
    return own_limits(windows, _is_fill_value)


def _is_fill_value(window: NDArray[Any], value: float) -> bool:
    looked_at = [SampleWindow(np.asarray(window))] if min(window.shape) > 2 * AWAY else []
    return bool(looked_at) and _is_suspect(looked_at, value) and _judge(looked_at, (), value) is not None


def _end_labels(windows: Sequence[SampleWindow], known: Sequence[float]) -> list[FillValue | None]:
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
    looked_at = [SampleWindow(np.asarray(w)) for w in windows if min(w.shape) > 2 * AWAY]
    at = [w.plane == value for w in looked_at]
    return FillValue(value, edges_of(looked_at, at, at, (), value).mixed)


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
    inside = sum(int(large_regions(places).sum()) for places in at)
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
    often = counts >= REGION
    values, counts = values[often], counts[often]
    chosen = set(np.argsort(-counts)[:_TRIED].tolist())
    if values.size:
        chosen |= {0, values.size - 1}
    return [float(values[i]) for i in sorted(chosen, key=lambda i: -int(counts[i]))]


def _is_suspect(windows: Sequence[SampleWindow], value: float) -> bool:
    """Whether a value fills regions, and the pixels beside it are not mostly the next value."""
    at = [w.plane == value for w in windows]
    enough = max(_LEAST, _IN_REGIONS * sum(int(places.sum()) for places in at))
    if sum(map(count_touching, at)) < enough:  # of noise: most of its pixels are alone
        return False
    inside = sum(int(large_regions(places).sum()) for places in at)
    return inside >= enough and not _fades(windows, at)


def _judge(windows: Sequence[SampleWindow], others: Sequence[float], value: float) -> FillValue | None:
    """The value as one that is not image; None where it is image. ``others`` are not looked at."""
    at = [w.plane == value for w in windows]
    edges = edges_of(windows, at, [large_regions(places) for places in at], others, value)
    # without noise a constant place is nothing special, nor where there are others
    if edges.left < _LEFT or edges.flat > _FLAT_ELSEWHERE or edges.sigma == 0:
        return None
    if min(len(edges.rings[0]), len(edges.rings[-1])) < _LEAST:
        if len(edges.rings[0]) == 0 and _stands_apart(windows, others, value, edges.sigma):
            return FillValue(value)
        return FillValue(value, amid=True) if _is_blank(windows, at, edges) else None
    if is_apart(edges):
        return FillValue(value, edges.mixed)
    large = _is_solid(at)
    if not is_amid(edges) and not (large and is_amid_by_constancy(edges)):
        return None
    return FillValue(value, edges.mixed and not large, amid=True, solid=large)


def _fades(windows: Sequence[SampleWindow], at: Sequence[NDArray[np.bool_]]) -> bool:
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


def _is_solid(at: Sequence[NDArray[np.bool_]]) -> bool:
    """Whether most of a value's regions are in large blocks."""
    inside = sum(int(large_regions(places).sum()) for places in at)
    blocks = sum(int(solid(places).sum()) for places in at)
    return blocks >= max(_LARGE, _SOLID * inside)


def _is_blank(windows: Sequence[SampleWindow], at: Sequence[NDArray[np.bool_]], edges: Edges) -> bool:
    """Whether whole windows are of a value that noise elsewhere reaches only now and then: blank frames."""
    blank = any(bool(places.all()) for places in at)
    return (
        blank
        and edges.sigma >= 2 * edges.step
        and all(bool(p.all()) or not large_regions(p).any() for p in at)
    )


def _stands_apart(
    windows: Sequence[SampleWindow], others: Sequence[float], value: float, sigma: float
) -> bool:
    """Whether a value that fills whole windows is outside all that the others hold."""
    image = np.concatenate([w.plane[w.finite & ~np.isin(w.plane, (*others, value))] for w in windows])
    gap = max(float(image.min()) - value, value - float(image.max()))
    return gap > _APART * sigma
