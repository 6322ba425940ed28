"""What stands beside the regions of a value, and whether that speaks for image or against it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

REGION = 6
"""Pixels of a region at least; less is left to `outliers`."""

AWAY = 4
"""Rings around a region that are looked at, px."""

_CLEAR = 3.0  # noise standard deviations, or steps, from the value to half of the pixels beside it
_NEAR = 0.1  # largest share of those within one and a half
_SHARP = 0.7  # least distance of ring 1 over that of ring 4
# Of ring 1, and of ring 2, where interpolation mixed them: a smooth edge may cover any share of ring 1.
_MIXED, _MIXED_SHARP = 0.1, 0.85
_FADED = 3.0  # noise standard deviations that ring 2 is brighter than ring 4, at most, beside a bright value
_SIDES = 0.02  # least share of ring 1 on either side of a value amid the noise
_BETWEEN, _OFTEN = 0.85, 0.1  # of the way to the image, and share of ring 1 nearer than that, if mixed
_FLAT_HARDLY = 1e-3  # share of 3x3 constant places elsewhere up to which a constant region is no image
_LEFT = 256  # px of image that must remain
_EIGHT = np.ones((3, 3), bool)


class SampleWindow:
    """A window of the sample, and what does not depend on the value that is judged."""

    def __init__(self, plane: NDArray[Any]) -> None:
        self.plane = plane
        self.finite = np.isfinite(plane)
        self.step = usual_step([plane[self.finite]])
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
class Edges:
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


def is_apart(edges: Edges) -> bool:
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


def is_amid(edges: Edges) -> bool:
    """Whether the noise beside a value is on both sides of it: no end at which a camera clips."""
    near, _, away = (np.abs(ring) for ring in edges.rings)
    below, one = float(np.mean(edges.rings[0] < 0)), float(np.median(near))
    noisy = edges.sigma >= 2 * edges.step and one >= _CLEAR * edges.step
    return noisy and one >= _SHARP * float(np.median(away)) and _SIDES <= below <= 1 - _SIDES


def is_amid_by_constancy(edges: Edges) -> bool:
    """Whether noise takes the image to both sides of a value, of which it has no region itself."""
    near, further, away = (float(np.median(np.abs(ring))) for ring in edges.rings)
    ring, sharp = (
        (edges.rings[1], further >= _MIXED_SHARP * away)
        if edges.mixed
        else (edges.rings[0], near >= _SHARP * away)
    )
    below = float(np.mean(ring < 0)) if ring.size else 0.0
    return sharp and _SIDES <= below <= 1 - _SIDES and edges.flat <= _FLAT_HARDLY


def edges_of(
    windows: Sequence[SampleWindow],
    at: Sequence[NDArray[np.bool_]],
    regions: Sequence[NDArray[np.bool_]],
    others: Sequence[float],
    value: float,
) -> Edges:
    """What stands beside a value's regions.

    Args:
        windows: Sample.
        at: Places of the value, by window.
        regions: Those of them that are in regions.
        others: Values that are not looked at.
        value: The value, counts.
    """
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
        for _ in range(AWAY):
            grown.append(scipy.ndimage.binary_dilation(grown[-1]))
        for ring, far in zip(rings, (1, 2, AWAY), strict=True):
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
    return Edges(signed, sigma, usual_step(levels), grain, flat / max(left, 1), left)


def large_regions(at: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Regions of pixels that touch, corners included, without the small ones."""
    if not at.any():
        return at
    labels, _ = scipy.ndimage.label(at, _EIGHT)
    keep = np.bincount(labels.ravel()) >= REGION
    keep[0] = False
    return np.asarray(keep[labels])


def usual_step(levels: Sequence[NDArray[Any]]) -> float:
    """Usual distance of one possible value to the next, counts."""
    steps = np.diff(np.unique(np.concatenate(levels)).astype(np.float64))
    return float(np.median(steps)) if steps.size else 0.0
