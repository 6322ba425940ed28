"""Scale, units, time increment and channel names out of the ways TIFF files write them."""

from __future__ import annotations

import math
from typing import Any
from xml.etree import ElementTree

from napari_rdpdenoise.io.tiff_images import described_shape
from napari_rdpdenoise.io.units import unit_name

Calibration = tuple[dict[str, float], dict[str, str], tuple[str, ...]]
"""Step per axis, unit per axis, channel names."""


def read_calibration(tif: Any) -> Calibration:
    """Scale, units and channel names of the first image of an open ``tifffile.TiffFile``.

    OME-XML is preferred, then ImageJ's description, then tifffile's own, then the resolution tags.
    """
    if tif.ome_metadata:
        return ome_calibration(tif.ome_metadata)
    if tif.imagej_metadata:
        return _described_calibration(tif, dict(tif.imagej_metadata))
    shaped = described_shape(tif.pages.first)
    if shaped:
        return _described_calibration(tif, shaped)
    return _tag_calibration(tif)


def ome_calibration(xml: str) -> Calibration:
    """Scale, units and channel names of the first image of an OME-XML text; empty where it cannot be read."""
    try:
        root = ElementTree.fromstring(xml)
    except ElementTree.ParseError:
        return {}, {}, ()
    found = root.find("{*}Image/{*}Pixels")
    if found is None:
        return {}, {}, ()
    scale: dict[str, float] = {}
    units: dict[str, str] = {}
    # The units that OME-XML means where it writes none
    for axis, key, default in (
        ("X", "PhysicalSizeX", "µm"),
        ("Y", "PhysicalSizeY", "µm"),
        ("Z", "PhysicalSizeZ", "µm"),
        ("T", "TimeIncrement", "s"),
    ):
        _put(scale, units, axis, found.get(key), found.get(f"{key}Unit", default))
    names = tuple(channel.get("Name") or "" for channel in found.findall("{*}Channel"))
    return scale, units, names if any(names) else ()


def _described_calibration(tif: Any, described: dict[str, Any]) -> Calibration:
    """From ``unit``, ``spacing``, ``finterval`` as ImageJ names them, and the resolution tags."""
    scale: dict[str, float] = {}
    units: dict[str, str] = {}
    unit = str(described.get("unit") or "")
    if unit_name(unit):
        for axis in "YX":
            step = _pixels_per_unit(tif, axis)
            _put(scale, units, axis, 1 / step if step else None, described.get(f"{axis.lower()}unit") or unit)
        _put(scale, units, "Z", described.get("spacing"), described.get("zunit") or unit)
    else:
        scale, units, _ = _tag_calibration(tif)
        _put(scale, units, "Z", described.get("spacing"), None)
    _put(scale, units, "T", described.get("finterval"), described.get("tunit") or "s")
    return scale, units, ()


def _tag_calibration(tif: Any) -> Calibration:
    """From the resolution tags where they are in centimetres; inches are most often a printer's 72 dpi."""
    scale: dict[str, float] = {}
    units: dict[str, str] = {}
    tag = tif.pages.first.tags.get("ResolutionUnit")
    if tag is not None and int(tag.value) == 3:
        for axis in "YX":
            step = _pixels_per_unit(tif, axis)
            if step and step > 1:
                _put(scale, units, axis, 1e4 / step, "µm")
    return scale, units, ()


def _pixels_per_unit(tif: Any, axis: str) -> float | None:
    tag = tif.pages.first.tags.get(f"{axis}Resolution")
    if tag is None or not tag.value[0] or not tag.value[1]:
        return None
    return float(tag.value[0] / tag.value[1])


def _put(scale: dict[str, float], units: dict[str, str], axis: str, step: Any, unit: Any) -> None:
    """Keep a step that is a positive number, and its unit; drop anything else silently: it is decoration."""
    try:
        value = abs(float(step))
    except (TypeError, ValueError):
        return
    if not math.isfinite(value) or value == 0:
        return
    scale[axis] = value
    name = unit_name(str(unit) if unit is not None else None)
    if name:
        units[axis] = name
