"""What is known of a layer besides its pixels, in the terms of image files. No Qt, no napari."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from napari_rdpdenoise.io.metadata import Channel, ImageMetadata
from napari_rdpdenoise.io.units import unit_name

__all__ = ["LENGTHS", "OURS", "TIMES", "layer_metadata", "shown_channel"]

OURS = "napari-rdpdenoise"
"""Key of our entry in the metadata of layers that we made."""

_PREFIXES = (
    "", "yocto", "zepto", "atto", "femto", "pico", "nano", "micro", "milli", "centi", "deci", "hecto", "kilo",
    "mega", "giga", "tera", "peta", "exa", "zetta", "yotta",
)  # fmt: skip
# The units that OME-Zarr names; napari knows them all under the same names
LENGTHS = {f"{p}meter" for p in _PREFIXES} | {"angstrom", "inch", "foot", "yard", "mile", "parsec"}
TIMES = {f"{p}second" for p in _PREFIXES} | {"minute", "hour", "day"}


def layer_metadata(
    axes: str,
    scale: Sequence[float] = (),
    units: Sequence[object] = (),
    name: str = "",
    channel_names: Sequence[object] = (),
) -> ImageMetadata:
    """Metadata of a layer, without what only looks like knowledge: napari gives every axis a step and a unit.

    Args:
        axes: One letter per axis of the array, in its order; colours (S) last.
        scale: Step per axis, or of all but the colours; empty where nothing is known.
        units: Units of the same axes, in any spelling; "pixel" and None stand for none.
        name: Name of the layer.
        channel_names: Names, one per channel, or empty.
    """
    steps, known = {}, {}
    found = [unit_name(None if unit is None else str(unit)) for unit in units]
    for axis, step, unit in zip(axes, scale, found or [None] * len(axes), strict=False):
        fits = unit is not None and unit in (TIMES if axis == "T" else LENGTHS if axis in "ZYX" else ())
        if unit and fits:
            known[axis] = unit
        if axis not in "CS" and step > 0 and (step != 1 or fits):  # 1 pixel: nothing is known
            steps[axis] = float(step)
    return ImageMetadata(axes, steps, known, tuple(str(channel) for channel in channel_names), name)


def shown_channel(shades: Sequence[Any], limits: Sequence[float] | None) -> Channel | None:
    """Colour and contrast of a layer of one channel; None where neither can be said.

    Args:
        shades: Colours of its colormap, red first, 0 to 1; those that do not rise from black are not said.
        limits: Counts that are shown black and full; None where not known.
    """
    color = ""
    if len(shades) == 2 and not np.any(shades[0][:3]):
        color = "".join(f"{round(255 * float(part)):02X}" for part in shades[1][:3])
    window = None if limits is None else (float(limits[0]), float(limits[1]))
    return Channel(color, window) if color or window else None
