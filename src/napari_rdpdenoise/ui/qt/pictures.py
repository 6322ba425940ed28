"""The pictures that compare a noisy layer with its result: made when they are looked at, kept up to date."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import napari
from napari.layers import Image

from napari_rdpdenoise.noise import NoiseModel
from napari_rdpdenoise.ui.compare.arrays import Gap, KeptShare, Removed, Split
from napari_rdpdenoise.ui.compare.view import PICTURES, View
from napari_rdpdenoise.ui.layers.axes import layer_axes
from napari_rdpdenoise.ui.preview.shown import Shown
from napari_rdpdenoise.ui.qt.family import Family
from napari_rdpdenoise.ui.qt.layers import OURS, full_data, position_of

__all__ = ["Pictures"]

_DIVERGING = "PiYG"  # white for nothing, a colour on either side
_LIMITS = {View.REMOVED: 4.0, View.TEXTURE: 1.0}  # noise standard deviations; texture is far weaker
_SHARE: dict[str, Any] = {"colormap": "magma", "contrast_limits": (0.0, 1.0)}
_SUFFIX = {View.SPLIT: "split", View.REMOVED: "removed", View.TEXTURE: "texture", View.KEPT: "kept"}
_ROLE = {View.SPLIT: "split", View.REMOVED: "residual", View.TEXTURE: "gap", View.KEPT: "kept"}


class Pictures:
    """Gives a family the layer of the picture that it shows.

    Args:
        viewer: Viewer that holds the layers.
        shown: Function that tells the plane that is shown; None for nothing.
        noise_of: Function that gives the noise model of a channel; None while it is not known.

    Attributes:
        divider: Place of the divider, percent of the width that is noisy.
    """

    def __init__(
        self,
        viewer: napari.viewer.Viewer,
        shown: Callable[[], Shown | None],
        noise_of: Callable[[int], NoiseModel | None],
    ) -> None:
        self.divider = 50
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
        data = None if layer is None else layer.data
        make = {
            View.SPLIT: self._split,
            View.REMOVED: self._removed,
            View.TEXTURE: self._texture,
            View.KEPT: self._kept,
        }
        fresh = make[family.view](family, result, data)
        if layer is None:
            family.put_picture(family.view, self._layer(family, fresh))
        elif fresh is not data:
            layer.data = fresh
        else:
            layer.refresh(thumbnail=False, highlight=False, extent=False)

    def _layer(self, family: Family, data: Any) -> Image:
        noisy, view = family.noisy, family.view
        look = _SHARE if view is View.KEPT else {}
        if view in _LIMITS:
            look = {"colormap": _DIVERGING, "contrast_limits": (-_LIMITS[view], _LIMITS[view])}
        return Image(
            data,
            name=f"{noisy.name} {_SUFFIX[view]}",
            rgb=noisy.rgb,
            multiscale=False,
            projection_mode="none",
            metadata={OURS: {"role": _ROLE[view]}},
            **({"contrast_limits": tuple(noisy.contrast_limits)} | look),
            **position_of(noisy),
        )

    def _split(self, family: Family, result: Image, data: Any) -> Any:
        pair = full_data(family.noisy), full_data(result)
        dims, noisy = self._viewer.dims, family.noisy
        # what lies from left to right
        axis = max(dims.displayed[-1] - (dims.ndim - noisy.ndim), 0)
        stop = round(pair[0].shape[axis] * self.divider / 100)
        same = isinstance(data, Split) and data.noisy is pair[0] and data.result is pair[1]
        if same and data.axis == axis:
            data.move(stop)
            return data
        return Split(*pair, axis, stop)

    def _removed(self, family: Family, result: Image, data: Any) -> Any:
        pair = full_data(family.noisy), full_data(result)
        if isinstance(data, Removed) and data.noisy is pair[0] and data.result is pair[1]:
            return data
        return Removed(*pair, _axes(family.noisy), self._noise_of)

    def _texture(self, family: Family, result: Image, data: Any) -> Any:
        gap = data if isinstance(data, Gap) else Gap(full_data(family.noisy).shape, _axes(family.noisy))
        gap.show(self._shown())
        return gap

    def _kept(self, family: Family, result: Image, data: Any) -> Any:
        share = data
        if not isinstance(share, KeptShare):
            share = KeptShare(full_data(family.noisy).shape, _axes(family.noisy))
        share.show(self._shown())
        return share


def _axes(layer: Image) -> str:
    return layer_axes(layer.ndim, layer.axis_labels, rgb=False)
