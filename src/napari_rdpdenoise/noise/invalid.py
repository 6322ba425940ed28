"""What of a plane is not image, and the plane without it.

Four kinds of pixels are not image: missing ones (NaN, infinities), those of a value that stands for "no
image here" (`fill_values`), borders that repeat the image beside them (`repeated`) or lead away from it in a
straight line (`ramps`), and defects of the camera (`outliers`). A fifth is image that the codec is not shown
(`highlights`). Values and limits are found once for a channel, on a sample of its series; whether a pixel is
invalid then depends on its value and its near surroundings only, so that tiles agree with one another and
with the whole plane.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import scipy
from numpy.typing import NDArray

from napari_rdpdenoise.noise.constant import Limits, find_constant, solid
from napari_rdpdenoise.noise.dead import fill_dead, find_dead
from napari_rdpdenoise.noise.dead_groups import find_dead_groups
from napari_rdpdenoise.noise.drawn import is_drawn
from napari_rdpdenoise.noise.end_labels import strokes
from napari_rdpdenoise.noise.fill_values import (
    FillValue,
)
from napari_rdpdenoise.noise.filling import fill_regions
from napari_rdpdenoise.noise.highlights import find_highlights, level_of_plane
from napari_rdpdenoise.noise.model import NoiseModel
from napari_rdpdenoise.noise.outlier_limit import NOISE_ALONE, OutlierLimit
from napari_rdpdenoise.noise.outliers import STRENGTH, fill_outliers, find_outliers
from napari_rdpdenoise.noise.ramps import find_ramps
from napari_rdpdenoise.noise.repeated import find_repeated
from napari_rdpdenoise.noise.smooth_strokes import faint_edge, find_strokes
from napari_rdpdenoise.noise.trend import Trend
from napari_rdpdenoise.tiles import GRID

_MIXED_REACH = 5  # px that interpolation, or a label's smooth edge, carries a fill value into the image
_MIXED = 6.0  # noise standard deviations towards the fill value from which a pixel beside it is mixed
_ALONE = 3  # px of a fill value within 5 x 5 up to which they are no region
_LABEL = 5  # px around a region within which such pixels belong to it: points and corners of burnt-in text
_EIGHT = np.ones((3, 3), bool)


@dataclass(frozen=True)
class InvalidRule:
    """How invalid pixels of a channel are told from image.

    Attributes:
        values: Values that are not image.
        noise: Noise model by which defects of the camera are told; None to look for none.
        outliers: Least height of such defects.
        dead: Least depth of those that are dark amid light.
        dead_groups: The same of two to four of them that touch.
        saturation: Count at which light is cut off, None where the sample does not show it. Such pixels are
            image, but their noise is not that of others.
        highlight: Stabilised value from which on light is spared the codec.
        drawn: Whether the sample holds no noise: parts that hold none either come out as they went in.
        repeated: Whether borders were filled by repeating rows or columns.
        ramps: Second difference along ramps by which borders were filled, at most, counts; None for none.
        fading: Share of the sample that fades to a mask with soft edges, and is left out of its noise.
        constant: Limits between which regions of any one value are no image; None for none, see `constant`.
        unseen: Limits by which such regions are none though the sample has none of them.
        trend: How noise changes from plane to plane; None where all have that noise.
    """

    values: tuple[FillValue, ...] = ()
    noise: NoiseModel | None = None
    outliers: OutlierLimit = NOISE_ALONE
    dead: float = np.inf
    dead_groups: float = np.inf
    saturation: float | None = None
    highlight: float = np.inf
    drawn: bool = False
    repeated: bool = False
    ramps: float | None = None
    fading: float = 0.0
    constant: Limits | None = None
    unseen: Limits | None = None
    trend: Trend | None = None

    def at(self, index: Sequence[int]) -> InvalidRule:
        """The rule of one plane, by its index in the whole image: with noise of its own where it has."""
        if self.trend is None or self.noise is None:
            return self
        own = self.trend.at(index)
        level = level_of_plane(self.highlight, self.noise, own)
        return replace(self, noise=own, highlight=level, trend=None)


MISSING_ONLY = InvalidRule()
"""Every finite number is image."""


class Screened(NamedTuple):
    """A plane or tile without what is not image.

    Attributes:
        filled: Plane with the surroundings of invalid pixels in their place: the plane itself where all is
            image; its dtype.
        regions: True where pixels are missing or of a value that is no image; None for nowhere.
        defects: True where the camera has a defect, or a cosmic ray struck; None for nowhere.
        highlights: True where light is so bright and rare that it stays as it is; None for nowhere.
        unseen: Those of the regions that have one value and the like of which the sample has not.
    """

    filled: NDArray[Any]
    regions: NDArray[np.bool_] | None
    defects: NDArray[np.bool_] | None
    highlights: NDArray[np.bool_] | None = None
    unseen: NDArray[np.bool_] | None = None

    @property
    def invalid(self) -> NDArray[np.bool_] | None:
        """True where a pixel is not image, or not used, for any reason; None for nowhere."""
        return _either(self.left, self.defects)

    @property
    def left(self) -> NDArray[np.bool_] | None:
        """True where pixels stay as they are, whatever becomes of defects; None for nowhere."""
        return _either(self.regions, self.highlights)

    @property
    def masked(self) -> np.ma.MaskedArray[Any, Any]:
        """The filled plane, masked where it is not image."""
        return np.ma.masked_array(self.filled, _mask_of(self.invalid))


def screen(
    plane: NDArray[Any], rule: InvalidRule = MISSING_ONLY, given: NDArray[np.bool_] | None = None
) -> Screened:
    """Find what is not image in a plane or tile and fill it from its surroundings.

    Whether a pixel is invalid depends on less than 64 px around it.

    Args:
        plane: Raw counts, 2-D, any real dtype.
        rule: Rule of the channel.
        given: Pixels that the user declares invalid, of the plane's shape; None for none.
    """
    if rule.drawn and is_drawn([plane]):
        everywhere = np.ones(plane.shape, bool)
        return Screened(fill_regions(plane, everywhere), everywhere, None)
    regions = _regions(plane, rule, given)
    unseen = _unseen(plane, rule, regions)
    regions = _either(regions, unseen)
    defects, highlights, filled = None, None, plane
    dark = 0.0 if rule.noise is None else rule.noise.offset
    if regions is not None:
        filled = fill_regions(plane, regions, dark)
        mixed = _mixed(plane, rule, regions)
        mixed |= _smooth_letters(plane, rule, regions, mixed)
        strays, alike = _strays(plane, rule, regions | mixed)
        if mixed.any() or alike.any():
            regions = (regions | mixed) & ~alike
            filled = fill_regions(plane, regions, dark)
        if strays.any():
            regions, defects = regions & ~strays, strays
    if rule.noise is not None and np.isfinite(filled).all():
        dead = find_dead(filled, rule.noise, rule.dead)
        if dead.any():
            filled, defects = fill_dead(filled, dead), _either(defects, dead)
        groups = find_dead_groups(filled, rule.noise, rule.dead_groups)
        if groups.any():
            filled, defects = fill_outliers(filled, groups), _either(defects, groups)
        found = find_outliers(filled, rule.noise, rule.outliers.limit)
        if found.any():
            filled = fill_outliers(filled, found)
            points = found & _beside_labels(plane, rule, filled)
            regions = _either(regions, points) if points.any() else regions
            defects = _either(defects, found & ~points)
        highlights = find_highlights(filled, rule.noise, rule.highlight)
        if highlights is not None:
            filled = fill_regions(filled, highlights, dark)
    return Screened(filled, regions, defects, highlights, unseen)


def _either(one: NDArray[np.bool_] | None, other: NDArray[np.bool_] | None) -> NDArray[np.bool_] | None:
    """True where one of two masks is; None for nowhere."""
    if one is None or other is None:
        return other if one is None else one
    return one | other


def _mask_of(places: NDArray[np.bool_] | None) -> Any:
    return np.ma.nomask if places is None else places


def _regions(
    plane: NDArray[Any], rule: InvalidRule, given: NDArray[np.bool_] | None
) -> NDArray[np.bool_] | None:
    found = given
    if plane.dtype.kind == "f":
        missing = ~np.isfinite(plane)
        found = _either(found, missing)
    if rule.repeated:
        found = _either(found, find_repeated(plane))
    if rule.ramps is not None:
        found = _either(found, find_ramps(plane, rule.ramps))
    if rule.constant is not None:
        found = _either(found, find_constant(plane, rule.constant))
    for fill in rule.values:
        at = plane == fill.value
        if fill.amid:  # single pixels of it are image
            at = solid(at) if fill.solid else strokes(at)
        found = _either(found, at)
    return found if found is not None and found.any() else None


def _unseen(
    plane: NDArray[Any], rule: InvalidRule, known: NDArray[np.bool_] | None
) -> NDArray[np.bool_] | None:
    if rule.unseen is None:
        return None
    # a row beside its copies is image, though a few equal pixels of it make a block with them
    found = find_constant(plane if known is None else np.where(known, np.nan, plane), rule.unseen)
    return found if found.any() else None


def _strays(
    plane: NDArray[Any], rule: InvalidRule, regions: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Pixels of a fill value far from its regions: defects that happen to saturate there, and image."""
    none = np.zeros(plane.shape, bool)
    values = [fill.value for fill in rule.values if not fill.code]
    if rule.noise is None or not values:
        return none, none
    alone = regions & ~_together(regions) & np.isin(plane, values)
    if not alone.any():
        return none, none
    level = fill_regions(plane, regions, rule.noise.offset)[alone].astype(np.float64)
    alike = none.copy()
    apart = np.abs(plane[alone] - level) > STRENGTH * np.sqrt(rule.noise.variance(level))
    alike[alone] = ~apart
    return alone & ~alike, alike


def _together(at: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels that lie together, or near to such: not the lone ones, at which the image reaches a value."""
    beside = scipy.ndimage.uniform_filter(at.astype(np.float32), 5, mode="mirror") * 25
    return at & scipy.ndimage.binary_dilation(at & (beside > _ALONE + 0.5), _EIGHT, _LABEL)


def _mixed(plane: NDArray[Any], rule: InvalidRule, regions: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Image pixels beside a region that interpolation mixed with its value."""
    mixed = np.zeros(plane.shape, bool)
    for fill in rule.values:
        at = _together(plane == fill.value) if fill.mixed else mixed
        if rule.noise is None or not at.any():
            continue
        ring = scipy.ndimage.binary_dilation(at, _EIGHT, _MIXED_REACH) & ~regions
        level = fill_regions(plane, regions | ring, rule.noise.offset)[ring].astype(np.float64)
        towards = (plane[ring] - level) * np.sign(fill.value - level)
        beyond = np.zeros(plane.shape, bool)
        beyond[ring] = towards > _MIXED * np.sqrt(rule.noise.variance(level))
        mixed |= scipy.ndimage.binary_dilation(at, _EIGHT, _MIXED_REACH, mask=at | beyond) & beyond
    return mixed


def _smooth_letters(
    plane: NDArray[Any], rule: InvalidRule, regions: NDArray[np.bool_], mixed: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """What of letters with smooth edges is beyond those that `_mixed` finds."""
    found = np.zeros(plane.shape, bool)
    for fill in rule.values:
        at = _together(plane == fill.value) if fill.mixed else np.zeros(0, bool)
        if rule.noise is None or not at.any():
            continue
        box = _box_around(at)
        label, others = (at | mixed)[box], (regions & ~at)[box]
        image = fill_regions(plane[box], others, rule.noise.offset) if others.any() else plane[box]
        label |= find_strokes(image, label, fill.value, rule.noise)
        ring = scipy.ndimage.binary_dilation(label, _EIGHT, 2)
        beneath = fill_regions(plane[box], regions[box] | ring, rule.noise.offset)
        found[box] |= label | faint_edge(image, label, beneath, fill.value, rule.noise)
    return found & ~regions


def _box_around(at: NDArray[np.bool_]) -> tuple[slice, slice]:
    """The part of a plane, of whole squares of the grid, in which something may be near to pixels."""
    rows, columns = (np.flatnonzero(at.any(axis=axis)) for axis in (1, 0))
    y, x = (
        slice(max(0, places[0] // GRID - 1) * GRID, (places[-1] // GRID + 2) * GRID)
        for places in (rows, columns)
    )
    return y, x


def _beside_labels(plane: NDArray[Any], rule: InvalidRule, filled: NDArray[Any]) -> NDArray[np.bool_]:
    """Pixels near regions with a smooth edge that are on the way to their value: thin parts of letters."""
    near = np.zeros(plane.shape, bool)
    for fill in rule.values:
        at = _together(plane == fill.value) if fill.mixed else near
        if at.any():
            towards = (plane > filled) if fill.value > np.median(filled) else (plane < filled)
            near |= scipy.ndimage.binary_dilation(at, _EIGHT, _LABEL) & towards
    return near
