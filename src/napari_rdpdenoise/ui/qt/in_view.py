"""What a viewer shows of an image layer: which part, and in which of its resolutions."""

from __future__ import annotations

from itertools import product
from typing import Any

import napari
import numpy as np
from numpy.typing import NDArray

from napari_rdpdenoise.axes import COLOURS
from napari_rdpdenoise.ui.layers.axes import layer_axes
from napari_rdpdenoise.ui.preview.viewport import LayerView
from napari_rdpdenoise.ui.qt.layers import is_ours

__all__ = ["range_of", "view_of"]

_ALIKE = 1.01  # times: edges of pyramids are rounded to whole pixels


def view_of(viewer: napari.viewer.Viewer, layer: napari.layers.Image, seen: napari.layers.Image) -> LayerView:
    """What the viewer shows of a noisy layer, as told by the layer that is seen in its place, or itself.

    Of several resolutions it is the one that is drawn or, where that is thinned out, that it is taken from.
    """
    dims, ndim = viewer.dims, layer.ndim
    skipped = dims.ndim - ndim  # axes that the layer does not have
    displayed = tuple(axis - skipped for axis in dims.displayed if axis >= skipped)
    axes = layer_axes(ndim, layer.axis_labels, rgb=False)
    corners, drawn = _drawn(viewer, layer, seen, displayed)
    factors = layer.downsample_factors[:, :ndim]  # colours are not among them
    across = [axes.index(letter) for letter in "YX" if letter in axes]
    finer = [(row[across] <= drawn[across] * _ALIKE).all() for row in factors]
    level = max(number for number, fits in enumerate(finer) if fits)
    step = factors[level]
    return LayerView(
        axes,
        tuple(int(n) for n in layer.level_shapes[level][:ndim]),
        displayed,
        _point(layer, dims.point, level),
        (corners[0], corners[1]),
        tuple(float(factor) for factor in drawn / step),
        COLOURS if layer.rgb else 0,
        level,
        float(step[across].max()) if across else 1.0,
        _thick(dims, layer, displayed),
    )


def _thick(dims: Any, layer: napari.layers.Image, displayed: tuple[int, ...]) -> bool:
    """Whether a layer is drawn as a projection of several of its planes."""
    if str(layer.projection_mode) == "none":
        return False
    steps = zip(dims.thickness[-layer.ndim :], layer.scale, strict=False)  # of the world, and a plane of it
    return any(thickness > step and axis not in displayed for axis, (thickness, step) in enumerate(steps))


def range_of(viewer: napari.viewer.Viewer, layer: napari.layers.Image, axis: int) -> tuple[float, float]:
    """What is in view of a layer along one of its axes: first and last place, full-resolution pixels."""
    size = float(layer.level_shapes[0][axis])
    found = _in_camera(viewer, layer)
    first, last = (0.0, size) if found is None else (max(found[0, axis], 0.0), min(found[1, axis], size))
    return (first, last) if last > first else (0.0, size)


def _drawn(
    viewer: napari.viewer.Viewer,
    layer: napari.layers.Image,
    seen: napari.layers.Image,
    displayed: tuple[int, ...],
) -> tuple[NDArray[Any], NDArray[Any]]:
    """First and last pixel in view, and how many pixels of the full resolution one of these is."""
    for told in (seen, layer):
        if told.visible and told.ndim == layer.ndim and _is_drawn(told):
            corners = np.asarray(told.corner_pixels)
            step = told.downsample_factors[told.data_level][: layer.ndim]
            if all(corners[1, axis] > corners[0, axis] for axis in displayed):
                found = _in_camera(viewer, layer) if told.multiscale else None
                if found is not None:  # napari draws what it has drawn before of a pyramid, if that holds it
                    low, high = np.floor(found[0] / step), np.ceil(found[1] / step)
                    corners = np.array([np.maximum(corners[0], low), np.minimum(corners[1], high)])
                return corners, step
    last = layer.level_shapes[-1][: layer.ndim]
    return np.array([np.zeros(layer.ndim), last - 1]), layer.downsample_factors[-1][: layer.ndim]


def _is_drawn(layer: napari.layers.Image) -> bool:
    """Whether a layer tells what is in view: a pyramid has its last level before it is drawn."""
    return not layer.multiscale or not is_ours(layer) or layer.data_level < len(layer.data) - 1


def _in_camera(viewer: napari.viewer.Viewer, layer: napari.layers.Image) -> NDArray[Any] | None:
    """The box around what the camera sees, pixels of the layer's full resolution, (2, axes); None in 3-D."""
    camera = getattr(viewer, "scene", viewer).camera  # napari 0.9 has moved it
    size = getattr(getattr(viewer, "canvas", None), "size", None) or getattr(viewer, "_canvas_size", None)
    dims = viewer.dims
    if size is None or dims.ndisplay != 2 or camera.zoom <= 0:
        return None
    half = np.asarray(size) / camera.zoom / 2  # in the world
    corners = []
    for signs in product((-1, 1), repeat=2):
        world = np.asarray(dims.point, dtype=float)
        world[list(dims.displayed)] = np.asarray(camera.center[-2:]) + half * signs
        corners.append(layer.world_to_data(world)[-layer.ndim :])
    return np.array([np.min(corners, axis=0), np.max(corners, axis=0)])


def _point(layer: napari.layers.Image, world: tuple[float, ...], level: int) -> tuple[float, ...]:
    """Position of the sliders, pixels of a resolution; outside the layer where they stand outside."""
    rows = zip(
        layer.world_to_data(world),
        layer.level_shapes[0],
        layer.level_shapes[level],
        layer.downsample_factors[level],
        strict=False,
    )
    return tuple(
        float(min(place / step, size - 1) if -0.5 <= place <= full - 0.5 else place)
        for place, full, size, step in rows
    )
