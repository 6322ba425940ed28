"""The pictures that compare a noisy layer with its result: made when they are looked at, kept up to date."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import napari
import numpy as np
from napari.layers import Image

from napari_rdpdenoise.tiles import Tile
from napari_rdpdenoise.ui.compare.arrays import (
    Difference,
    ExpectedError,
    Gap,
    KeptShare,
    NoiseOf,
    Removed,
    Split,
)
from napari_rdpdenoise.ui.compare.view import PICTURES, View
from napari_rdpdenoise.ui.layers.axes import layer_axes
from napari_rdpdenoise.ui.layers.stacks import Box
from napari_rdpdenoise.ui.preview.mosaic import Level, Pyramid, needs_levels, same_image
from napari_rdpdenoise.ui.preview.shown import Shown
from napari_rdpdenoise.ui.preview.surroundings import Nothing
from napari_rdpdenoise.ui.qt.family import Family
from napari_rdpdenoise.ui.qt.in_view import range_of
from napari_rdpdenoise.ui.qt.layers import OURS, full_data, levels_of, position_of

__all__ = ["Pictures"]

_DIVERGING = "PiYG"  # white for nothing, a colour on either side
_LIMITS = {View.REMOVED: 4.0, View.TEXTURE: 1.0}  # noise standard deviations; texture is far weaker
_SHARE: dict[str, Any] = {"colormap": "magma", "contrast_limits": (0.0, 1.0)}
_SUFFIX = {
    View.SPLIT: "split",
    View.REMOVED: "removed",
    View.TEXTURE: "texture",
    View.KEPT: "kept",
    View.ERROR: "error",
}
_ROLE = {
    View.SPLIT: "split",
    View.REMOVED: "residual",
    View.TEXTURE: "gap",
    View.KEPT: "kept",
    View.ERROR: "error",
}

_KINDS: dict[View, type[Gap | KeptShare | ExpectedError]] = {
    View.TEXTURE: Gap,
    View.KEPT: KeptShare,
    View.ERROR: ExpectedError,
}  # of the plane that is shown


class Pictures:
    """Gives a family the layer of the picture that it shows.

    Args:
        viewer: Viewer that holds the layers.
        shown: Function that tells the plane that is shown; None for nothing.
        noise_of: Function that gives the noise model of a channel and of one of its planes; None while it is
            not known.

    Attributes:
        divider: Place of the divider, percent of the width that is noisy.
    """

    def __init__(
        self,
        viewer: napari.viewer.Viewer,
        shown: Callable[[], Shown | None],
        noise_of: NoiseOf,
    ) -> None:
        self.divider = 50
        # By noisy layer: the levels of a run's result, and of what is known of the plane that is shown
        self._levels: WeakKeyDictionary[Image, tuple[Any, Any, list[tuple[Any, Any]]]] = WeakKeyDictionary()
        self._large: WeakKeyDictionary[Image, tuple[type, Any, Pyramid]] = WeakKeyDictionary()
        self._viewer, self._shown, self._noise_of = viewer, shown, noise_of

    def update(self, family: Family) -> None:
        """Make the picture that is to be shown, or bring it up to date, and drop the others.

        Raises:
            ValueError: If it cannot be made of this result, in words.
        """
        for view in PICTURES:
            if view is not family.view:
                family.drop(view)
        result = family.result
        if family.view not in PICTURES or result is None:
            return
        if family.noisy.rgb and family.view is not View.SPLIT:
            raise ValueError("layer: expected one intensity per pixel, found colours (RGB); compare by Split")
        layer = family.picture(family.view)
        data = [] if layer is None else list(layer.data) if layer.multiscale else [layer.data]
        make = {
            View.SPLIT: self._split,
            View.REMOVED: self._removed,
            View.TEXTURE: self._of_shown,
            View.KEPT: self._of_shown,
            View.ERROR: self._of_shown,
        }
        fresh = make[family.view](family, self._pairs(family.noisy, result), data)
        if layer is None:
            family.put_picture(family.view, self._layer(family, fresh))
        elif fresh[0] is data[0]:
            layer.refresh(thumbnail=False, highlight=False, extent=False)
        elif layer.multiscale == (len(fresh) > 1):
            layer.data = fresh if layer.multiscale else fresh[0]
        else:  # napari cannot change that
            family.put_picture(family.view, self._layer(family, fresh))

    def _pairs(self, noisy: Image, result: Image) -> list[tuple[Any, Any]]:
        """The noisy image and its result, at every level that the picture has."""
        if result.multiscale and isinstance(result.data[0], Level):
            return [(level.noisy, level) for level in result.data]
        kept = self._levels.get(noisy)
        if kept is None or kept[0] is not full_data(noisy) or kept[1] is not full_data(result):
            kept = self._levels[noisy] = full_data(noisy), full_data(result), _levels_of(noisy, result)
        return kept[2]

    def _layer(self, family: Family, data: list[Any]) -> Image:
        noisy, view = family.noisy, family.view
        look = _SHARE if view is View.KEPT else {}
        if view is View.ERROR:
            look = {"colormap": "magma", "contrast_limits": self._error_limits()}
        if view in _LIMITS:
            look = {"colormap": _DIVERGING, "contrast_limits": (-_LIMITS[view], _LIMITS[view])}
        return Image(
            data if len(data) > 1 else data[0],
            name=f"{noisy.name} {_SUFFIX[view]}",
            rgb=noisy.rgb,
            multiscale=len(data) > 1,
            projection_mode="none",
            metadata={OURS: {"role": _ROLE[view]}},
            **({"contrast_limits": tuple(noisy.contrast_limits)} | look),
            **position_of(noisy),
        )

    def _error_limits(self) -> tuple[float, float]:
        """From no error to the largest that is not rare, counts."""
        shown = self._shown()
        error = None if shown is None or shown.error is None else shown.error[np.isfinite(shown.error)]
        return 0.0, max(float(np.percentile(error, 99.5)) if error is not None and error.size else 1.0, 1e-6)

    def _split(self, family: Family, pairs: list[tuple[Any, Any]], data: list[Any]) -> list[Any]:
        dims, noisy = self._viewer.dims, family.noisy
        # what lies from left to right
        axis = max(dims.displayed[-1] - (dims.ndim - noisy.ndim), 0)
        width = pairs[0][0].shape[axis]
        first, last = range_of(self._viewer, noisy, axis) if len(pairs) > 1 else (0, width)
        share = (first + (last - first) * self.divider / 100) / width
        stops = [round(share * pair[0].shape[axis]) for pair in pairs]
        if _same(data, pairs) and data[0].axis == axis:
            for part, stop in zip(data, stops, strict=True):
                part.move(stop)
            return data
        return [Split(*pair, axis, stop) for pair, stop in zip(pairs, stops, strict=True)]

    def _removed(self, family: Family, pairs: list[tuple[Any, Any]], data: list[Any]) -> list[Any]:
        if _same(data, pairs):
            return data
        return [Removed(*pair, _axes(family.noisy), self._noise_of) for pair in pairs]

    def _of_shown(self, family: Family, pairs: list[tuple[Any, Any]], data: list[Any]) -> list[Any]:
        kind, axes, noisy = _KINDS[family.view], _axes(family.noisy), full_data(family.noisy)
        shown = self._shown()
        if len(pairs) == 1:
            picture = data[0] if data and isinstance(data[0], kind) else kind(pairs[0][0].shape, axes)
            picture.show(shown)
            return [picture]
        large = self._large.get(family.noisy)
        if large is None or large[0] is not kind or large[1] is not noisy:
            levels = [Nothing(level.shape) for level in levels_of(family.noisy)]
            large = self._large[family.noisy] = kind, noisy, Pyramid(levels, axes, "float32")
        pyramid, plane = large[2], kind.of(shown)
        if shown is not None and plane is not None and shown.frame is not None:
            board, tile = pyramid.board(shown.level), Tile(0, *_bounds(shown.frame), *_bounds(shown.frame))
            board.restart()
            board.part(shown.index, tile)[...] = plane
        return pyramid.levels


def _same(data: list[Any], pairs: list[tuple[Any, Any]]) -> bool:
    """Whether the arrays of a picture are those of these pairs."""
    return len(data) == len(pairs) and all(
        isinstance(part, Difference | Split) and part.result is pair[1] and same_image(part.noisy, pair[0])
        for part, pair in zip(data, pairs, strict=True)
    )


def _levels_of(noisy: Image, result: Image) -> list[tuple[Any, Any]]:
    """Two images at the levels that they share, or as they are where one is enough."""
    axes, levels, made = _axes(noisy), levels_of(noisy), levels_of(result)
    if not needs_levels(levels, axes) or full_data(noisy).shape != full_data(result).shape:
        return [(full_data(noisy), full_data(result))]
    if [level.shape for level in levels] != [level.shape for level in made]:
        levels, made = levels[:1], made[:1]
    both = (Pyramid(part, axes, np.dtype(part[0].dtype)).levels for part in (levels, made))
    return list(zip(*both, strict=True))


def _bounds(frame: Box) -> tuple[int, int, int, int]:
    rows, columns = frame
    return rows.start, rows.stop, columns.start, columns.stop


def _axes(layer: Image) -> str:
    return layer_axes(layer.ndim, layer.axis_labels, rgb=layer.rgb)
