"""Between napari's image layers and the session: what a layer is, and what our layers share with it."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import napari

from napari_rdpdenoise.axes import colours_as_channels
from napari_rdpdenoise.io.metadata import Channel
from napari_rdpdenoise.ui.layers.axes import is_named, layer_axes
from napari_rdpdenoise.ui.layers.metadata import OURS, shown_channel
from napari_rdpdenoise.ui.layers.origin import Origin
from napari_rdpdenoise.ui.preview.window import Subject

__all__ = [
    "OURS",
    "channel_of",
    "full_data",
    "is_ours",
    "levels_of",
    "look_of",
    "made_of",
    "name_axes",
    "overlaid",
    "position_of",
    "same_file",
    "subject_of",
]

_ROLES = ("preview", "split", "residual", "gap", "kept", "error", "result")
_POSITION = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")
_DISPLAY = ("rgb", "colormap", "contrast_limits", "gamma", "blending", "interpolation2d")


def made_of(layer: napari.layers.Layer) -> dict[str, Any]:
    """Our entry in a layer's metadata; empty for layers that are not ours."""
    made = layer.metadata.get(OURS)
    return made if isinstance(made, dict) else {}


def is_ours(layer: napari.layers.Layer) -> bool:
    """Whether the dock made this layer, so that it is not offered for denoising."""
    return made_of(layer).get("role") in _ROLES


def same_file(one: napari.layers.Layer, other: napari.layers.Layer | None) -> bool:
    """Whether two layers came from one file or sample."""
    if other is None or one.source is None or other.source is None:
        return False
    places = [(layer.source.path, layer.source.sample) for layer in (one, other)]
    return places[0] == places[1] != (None, None)


def overlaid(layers: Sequence[napari.layers.Image]) -> bool:
    """Whether layers, the lowest first, are seen as one picture, as napari shows the channels of an array.

    Each has another colour, which is added to what lies below.
    """
    colours = {layer.colormap.name for layer in layers}
    adding = all(layer.blending == "additive" for layer in layers[1:])
    return adding and len(colours) == len(layers) > 1 and not any(layer.rgb for layer in layers)


def full_data(layer: napari.layers.Layer) -> Any:
    """The array of a layer, of its full resolution."""
    return layer.data[0] if getattr(layer, "multiscale", False) else layer.data


def levels_of(layer: napari.layers.Layer) -> list[Any]:
    """The arrays of a layer in all its resolutions, finest first."""
    return list(layer.data) if getattr(layer, "multiscale", False) else [layer.data]


def subject_of(layer: napari.layers.Image, key: Hashable, origin: Origin | None = None) -> Subject:
    """The layer as the session takes it, with the file that holds the same; raises as `layer_axes`."""
    axes = layer_axes(layer.ndim, layer.axis_labels, rgb=layer.rgb)
    units = tuple(str(unit) for unit in layer.units)
    names = tuple(map(str, made_of(layer).get("channel_names", ())))
    scale = tuple(float(step) for step in layer.scale)
    path, of_file, channel = (
        (None, "", None) if origin is None else (origin.path, origin.axes, origin.channel)
    )
    first, *coarser = levels_of(layer)
    by_file = origin is not None and origin.assumed and axes == colours_as_channels(of_file)
    unnamed = not layer.rgb and not is_named(layer.ndim, layer.axis_labels)
    return Subject(
        layer.name,
        key,
        first,
        axes,
        path,
        of_file,
        channel,
        scale,
        units,
        names,
        () if origin is None else origin.channels,
        None if origin is None else origin.denoised,
        tuple(coarser),
        assumed=layer.ndim > 2 and (unnamed or by_file),
    )


def channel_of(layer: napari.layers.Image) -> Channel | None:
    """Colour and contrast of a layer, as files of images say them; None of one that shows colours."""
    return None if layer.rgb else shown_channel(layer.colormap.colors, layer.contrast_limits)


def name_axes(layer: napari.layers.Image, origin: Origin | None) -> None:
    """Name the axes of a layer as its file does, where nobody has named them."""
    nameless = not layer.rgb and not is_named(layer.ndim, layer.axis_labels)
    if origin is not None and nameless and len(origin.axes) == layer.ndim:
        layer.axis_labels = tuple(colours_as_channels(origin.axes).lower())


def position_of(layer: napari.layers.Image) -> dict[str, Any]:
    """Place, units and axes: what every layer of ours shares with its source."""
    return {name: getattr(layer, name) for name in _POSITION}


def look_of(layer: napari.layers.Image) -> dict[str, Any]:
    """`position_of`, and the display."""
    return {name: getattr(layer, name) for name in _POSITION + _DISPLAY}
