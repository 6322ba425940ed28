"""Layers that the dock lays over the user's to compare: made, kept right and taken away again."""

from __future__ import annotations

from typing import Any

import napari
import numpy as np
from napari.layers import Image

from napari_rdpdenoise.ui.compare.arrays import Crop, Difference, Gap, noise_limits, spread_limits
from napari_rdpdenoise.ui.layers.axes import layer_axes
from napari_rdpdenoise.ui.preview.shown import Shown
from napari_rdpdenoise.ui.qt.layers import OURS, full_data, position_of

__all__ = ["GapLayer", "Overlay", "ResidualLayer", "SplitLayer"]

_LOOK = ("colormap", "contrast_limits", "gamma", "interpolation2d")
_DIVERGING = "PiYG"  # white for nothing, a colour on either side


class Overlay:
    """One layer of ours that belongs to a noisy layer: none or one at a time.

    Its metadata name its role, so that it is not offered as an input; its name ends with the suffix.
    """

    def __init__(self, viewer: napari.viewer.Viewer, role: str, suffix: str) -> None:
        self.layer: Image | None = None
        self.noisy: Image | None = None
        self._viewer, self._role, self._suffix = viewer, role, suffix

    @property
    def orphan(self) -> bool:
        """Whether the noisy layer it belongs to is gone."""
        return self.noisy is not None and self.noisy not in self._viewer.layers

    def remove(self) -> None:
        """Take the layer away, if it is there."""
        layer, self.layer, self.noisy = self.layer, None, None
        if layer is not None and layer in self._viewer.layers:
            self._viewer.layers.remove(layer)

    def forget(self, layer: Any) -> bool:
        """Note that the user removed a layer; returns whether it was this one."""
        if layer is None or layer is not self.layer:
            return False
        self.layer = self.noisy = None
        return True

    def _put(self, noisy: Image, data: Any, above: Image | None = None, **look: Any) -> Image:
        """Add a layer in the place of the noisy one, just above another or on top; the selection stays."""
        self.remove()
        layers = self._viewer.layers
        layer = Image(
            data,
            name=f"{noisy.name} {self._suffix}",
            rgb=False,
            multiscale=False,
            metadata={OURS: {"role": self._role}},
            **position_of(noisy),
            **look,
        )
        selected, active = set(layers.selection), layers.selection.active
        layers.insert(layers.index(above) + 1 if above in layers else len(layers), layer)
        layers.selection = selected
        layers.selection.active = active
        self.layer, self.noisy = layer, noisy
        return layer


class SplitLayer(Overlay):
    """The noisy image over the left part of the result."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__(viewer, "split", "(split)")
        self._cut: tuple[int, int] | None = None  # axis and pixels

    def update(self, noisy: Image, result: Image, percent: float) -> None:
        """Show the noisy layer over so many percent of the result's width, with the result's look."""
        look = {name: getattr(result, name) for name in _LOOK}
        if self.layer is None or self.noisy is not noisy:
            self._cut = axis, stop = self._where(noisy, percent)
            layer = self._put(noisy, Crop(full_data(noisy), axis, max(stop, 1)), above=result, **look)
            layer.visible = stop > 0
            return
        for name, value in look.items():
            if not np.array_equal(getattr(self.layer, name), value):
                setattr(self.layer, name, value)
        self.move_divider(percent)

    def move_divider(self, percent: float) -> None:
        """Move the divider, and follow the displayed axes; nothing where there is no layer."""
        if self.layer is None or self.noisy is None:
            return
        cut = self._where(self.noisy, percent)
        if cut == self._cut:
            return
        self._cut = axis, stop = cut
        if stop > 0:
            self.layer.data = Crop(full_data(self.noisy), axis, stop)
        if self.layer.visible != (stop > 0):  # setting it slices the layer again, even to what it was
            self.layer.visible = stop > 0

    def _where(self, noisy: Image, percent: float) -> tuple[int, int]:
        """Axis of the layer that is displayed from left to right, and how many of its pixels are noisy."""
        dims = self._viewer.dims
        axis = max(dims.displayed[-1] - (dims.ndim - noisy.ndim), 0)
        return axis, round(full_data(noisy).shape[axis] * percent / 100)


class _SignedLayer(Overlay):
    """A layer of differences from 0, with a contrast that is the same on both sides of it."""

    _noise_sd = 4.0  # of the noise, up to where the contrast reaches: one pixel in 16 000 of it is beyond

    def __init__(self, viewer: napari.viewer.Viewer, role: str, suffix: str) -> None:
        super().__init__(viewer, role, suffix)
        self._limits = 0.0, 0.0
        self._basis: Any = None  # what the contrast was chosen by

    def _put_signed(self, noisy: Image, data: Any) -> None:
        self._limits, self._basis = (-1.0, 1.0), None
        self._put(noisy, data, colormap=_DIVERGING, contrast_limits=self._limits)

    def _show_again(self) -> None:
        if self.layer is not None:
            self.layer.refresh(extent=False, highlight=False)

    def _set_contrast(self, shown: Shown | None) -> None:
        """Set the contrast where more is known than before: the noise, or any pixel at all.

        Not at every refresh, as planes are compared with each other; and not over one that the user has set.
        """
        limits = noise_limits(shown, self._noise_sd)
        basis = (
            None if shown is None or limits is None else shown.noise,
            shown is not None and shown.done.any(),
        )
        if self.layer is None or basis == self._basis:
            return
        self._basis = basis
        if np.allclose(self.layer.contrast_limits, self._limits):
            limits = limits or spread_limits(self._plane(self.layer))
            self.layer.contrast_limits_range = 4 * limits[0], 4 * limits[1]
            self.layer.contrast_limits = limits
            self._limits = limits

    def _plane(self, layer: Image) -> Any:
        """What the viewer shows of the layer: its array at which the sliders stand."""
        dims = self._viewer.dims
        point = layer.world_to_data(dims.point)[-layer.ndim :]
        shown = {axis - (dims.ndim - layer.ndim) for axis in dims.displayed}
        key: list[Any] = [
            slice(None) if axis in shown else int(np.clip(round(float(position)), 0, size - 1))
            for axis, (position, size) in enumerate(zip(point, layer.data.shape, strict=True))
        ]
        return np.asarray(layer.data[tuple(key)])


class ResidualLayer(_SignedLayer):
    """What was removed: noisy - result."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__(viewer, "residual", "residual")

    def update(self, noisy: Image, result: Image, shown: Shown | None) -> None:
        """Make the layer, or show what the result has become; raises as `Difference` does."""
        pair = full_data(noisy), full_data(result)
        made = None if self.layer is None else self.layer.data
        if self.layer is None or self.noisy is not noisy or not isinstance(made, Difference):
            self._put_signed(noisy, Difference(*pair))
        elif made.noisy is not pair[0] or made.result is not pair[1]:
            self.layer.data = Difference(*pair)
        else:
            self._show_again()
        self._set_contrast(shown)


class GapLayer(_SignedLayer):
    """Texture that the data do not determine: realism - fidelity of the shown plane."""

    _noise_sd = 0.5  # it is far weaker than the noise

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__(viewer, "gap", "realism gap")

    def update(self, noisy: Image, shown: Shown | None) -> None:
        """Make the layer, or show another plane; raises as `layer_axes` and `Gap.show` do."""
        made = None if self.layer is None else self.layer.data
        if self.noisy is noisy and isinstance(made, Gap):
            made.show(shown)
            self._show_again()
        else:
            gap = Gap(full_data(noisy).shape, layer_axes(noisy.ndim, noisy.axis_labels, rgb=False))
            gap.show(shown)
            self._put_signed(noisy, gap)
        self._set_contrast(shown)
