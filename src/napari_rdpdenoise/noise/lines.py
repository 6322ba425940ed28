"""Rows or columns that have a level of their own: a pattern of the camera, which is neither noise nor sample.

Amplifiers and converters of single columns (sCMOS), two fields that were woven (interlaced video, two-way
scans), colour filters on the pixels: neighbouring lines then differ by the same amount over their whole
length, in a way that no optics can leave. A denoiser takes a part of it for structure and a part for noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_EDGE = 32  # px, least of a window
_WINDOWS = 4  # of a sample that are looked at
_CAP = 4.0  # noise standard deviations beyond which a pixel says no more
_STRONG = 0.15  # noise standard deviations of the lines' levels, root mean square
_SURE = 4.0  # times what chance leaves
_WHITE = -0.5  # correlation of the lines' second differences with those of the next, at most: none of optics
_ALTERNATING = 0.7  # share of the pattern that is one of every other line
_EMPTY = 0.2  # share of pixels that differ from the ones beside them, below which the image is empty


@dataclass(frozen=True)
class LinePattern:
    """Lines of pixels with levels of their own.

    Attributes:
        across: "rows", "columns" or, where both alternate, "rows and columns".
        strength: Root mean square of their levels, noise standard deviations.
        alternating: Whether every other line is alike.
    """

    across: str
    strength: float
    alternating: bool

    @property
    def words(self) -> str:
        """What it is, and what to do."""
        if self.alternating:
            cause = (
                "even and odd ones differ in level (woven fields, a two-way scan, colour filters): take "
                "them apart, or make them alike, before"
            )
        else:
            cause = "single ones have a level of their own; correct it with a dark and a flat frame before"
        return (
            f"the {self.across} of the image have a pattern ({self.strength:.1f} noise standard deviations), "
            f"part of which is taken for noise: {cause}"
        )


def find_lines(windows: Sequence[NDArray[Any]]) -> LinePattern | None:
    """Find rows or columns with levels of their own; None for neither, the stronger of both.

    Args:
        windows: 2-D arrays of raw counts of one channel, any real dtype; what masked arrays mask is left out.
    """
    live = [w for w in windows if min(w.shape) >= _EDGE]
    live = live[:: -(-len(live) // _WINDOWS)] if live else []
    found = [
        pattern
        for across in ("rows", "columns")
        if (pattern := _pattern([w if across == "rows" else w.T for w in live], across)) is not None
    ]
    strongest = max(found, key=lambda pattern: pattern.strength, default=None)
    if strongest is not None and len(found) == 2 and all(pattern.alternating for pattern in found):
        return replace(strongest, across="rows and columns")
    return strongest


def _pattern(windows: Sequence[NDArray[Any]], across: str) -> LinePattern | None:
    """Pattern of rows; rows of a window are compared with their neighbours."""
    found = [levels for window in windows if (levels := _levels(window)) is not None]
    if not found or max(levels.together for levels in found) > _WHITE:
        return None
    power, chance = (
        float(np.mean([getattr(levels, name) for levels in found])) for name in ("power", "chance")
    )
    strength = float(np.sqrt(max(power - chance, 0.0)))
    if strength < _STRONG or power < _SURE**2 * chance:
        return None
    return LinePattern(
        across, strength, float(np.mean([levels.alternating for levels in found])) > _ALTERNATING
    )


class _Levels(NamedTuple):
    """What the rows of a window show: how far they are from the ones beside them, noise is 1.

    Attributes:
        power: Mean square of rows' levels.
        chance: The same by chance.
        together: Correlation with the next row.
        alternating: Share of the power in which every other row is alike.
    """

    power: float
    chance: float
    together: float
    alternating: float


def _levels(window: NDArray[Any]) -> _Levels | None:
    """Levels of the rows of a window; None for one that is empty, or nearly."""
    image = np.asarray(window, np.float64)
    known = np.isfinite(image) & ~np.ma.getmaskarray(window)
    image = np.where(known, image, 0)
    second = image[1:-1] - (image[:-2] + image[2:]) / 2
    whole = known[1:-1] & known[:-2] & known[2:]
    if whole.sum() < whole.size / 4 or np.mean(second[whole] != 0) < _EMPTY:
        return None
    spread = 1.4826 * float(np.median(np.abs(second[whole])))
    count = whole.sum(1)
    rows = count > whole.shape[1] / 4
    pairs = rows[1:] & rows[:-1]
    if spread == 0 or pairs.sum() < _EDGE / 2:
        return None
    second = np.where(whole, np.clip(second / spread, -_CAP, _CAP), 0)
    level = second.sum(1) / np.maximum(count, 1)
    chance = np.square(second).sum(1) / np.square(np.maximum(count, 1))
    power = float(np.mean(level[rows] ** 2))
    if power == 0:
        return None
    together = float(np.mean((level[1:] * level[:-1])[pairs])) / power
    sign = np.where(np.arange(len(level)) % 2, -1.0, 1.0)
    alternating = float(np.mean((sign * level)[rows])) ** 2 / power
    return _Levels(power, float(np.mean(chance[rows])), together, alternating)
