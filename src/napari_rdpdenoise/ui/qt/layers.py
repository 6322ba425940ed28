"""Between napari's image layers and the session: what a layer is, and what our layers share with it."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import napari
import numpy as np

from napari_rdpdenoise.ui.layers.axes import is_named, layer_axes
from napari_rdpdenoise.ui.layers.metadata import OURS
from napari_rdpdenoise.ui.layers.origin import Origin
from napari_rdpdenoise.ui.preview.viewport import LayerView
from napari_rdpdenoise.ui.preview.window import Subject

__all__ = [
    "OURS",
    "full_data",
    "is_ours",
    "look_of",
    "made_of",
    "name_axes",
    "position_of",
    "subject_of",
    "view_of",
]

_ROLES = ("preview", "split", "residual", "gap", "kept", "result")
_POSITION = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")
_DISPLAY = ("rgb", "colormap", "contrast_limits", "gamma", "blending", "interpolation2d")


def made_of(layer: napari.layers.Layer) -> dict[str, Any]:
    """Our entry in a layer's metadata; empty for layers that are not ours."""
    made = layer.metadata.get(OURS)
    return made if isinstance(made, dict) else {}


def is_ours(layer: napari.layers.Layer) -> bool:
    """Whether the dock made this layer, so that it is not offered for denoising."""
    return made_of(layer).get("role") in _ROLES


def full_data(layer: napari.layers.Layer) -> Any:
    """The array of a layer, of its full resolution."""
    return layer.data[0] if getattr(layer, "multiscale", False) else layer.data


def subject_of(layer: napari.layers.Image, key: Hashable, origin: Origin | None = None) -> Subject:
    """The layer as the session takes it, with the file that holds the same; raises as `layer_axes`."""
    axes = layer_axes(layer.ndim, layer.axis_labels, rgb=layer.rgb)
    units = tuple(str(unit) for unit in layer.units)
    names = tuple(map(str, made_of(layer).get("channel_names", ())))
    scale = tuple(float(step) for step in layer.scale)
    path, of_file, channel = (
        (None, "", None) if origin is None else (origin.path, origin.axes, origin.channel)
    )
    return Subject(layer.name, key, full_data(layer), axes, path, of_file, channel, scale, units, names)


def name_axes(layer: napari.layers.Image, origin: Origin | None) -> None:
    """Name the axes of a layer as its file does, where nobody has named them."""
    nameless = not layer.rgb and not is_named(layer.ndim, layer.axis_labels)
    if origin is not None and nameless and len(origin.axes) == layer.ndim:
        layer.axis_labels = tuple(origin.axes.replace("S", "C").lower())


def view_of(viewer: napari.viewer.Viewer, layer: napari.layers.Image, seen: napari.layers.Image) -> LayerView:
    """What the viewer shows of a noisy layer, as told by the layer that is seen in its place, or itself."""
    subject = subject_of(layer, None)
    dims = viewer.dims
    skipped = dims.ndim - layer.ndim  # axes that the layer does not have
    displayed = tuple(axis - skipped for axis in dims.displayed if axis >= skipped)
    shape = tuple(int(n) for n in subject.data.shape[: layer.ndim])
    level = 0
    corners = None
    if seen.visible and seen.ndim == layer.ndim:
        corners, level = _corners(seen, displayed), seen.data_level
    if corners is None:  # not drawn yet
        corners, level = np.array([(0,) * layer.ndim, [n - 1 for n in shape]]), 0
    scale = tuple(float(f) for f in seen.downsample_factors[level]) if level else None
    point = tuple(float(v) for v in layer.world_to_data(dims.point))
    axes = subject.axes.removesuffix("S")
    colours = min(3, subject.data.shape[-1]) if layer.rgb else 0
    return LayerView(axes, shape, displayed, point, (corners[0], corners[1]), scale, colours)


def _corners(layer: napari.layers.Image, displayed: tuple[int, ...]) -> Any:
    """First and last pixel in view; None before the layer was drawn for the first time."""
    corners = np.asarray(layer.corner_pixels)
    extent = corners[1] - corners[0]
    return corners if all(extent[axis] > 0 for axis in displayed) else None


def position_of(layer: napari.layers.Image) -> dict[str, Any]:
    """Place, units and axes: what every layer of ours shares with its source."""
    return {name: getattr(layer, name) for name in _POSITION}


def look_of(layer: napari.layers.Image) -> dict[str, Any]:
    """`position_of`, and the display."""
    return {name: getattr(layer, name) for name in _POSITION + _DISPLAY}
