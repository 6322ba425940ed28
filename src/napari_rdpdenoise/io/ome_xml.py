"""OME-XML: what one of its images says; the text for a result is made by `ome_writer`."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import numpy as np

from napari_rdpdenoise.io.metadata import Channel, ImageMetadata
from napari_rdpdenoise.io.units import in_unit, unit_name, unit_symbol

OURS, WINDOWS = "napari-rdpdenoise/", "windows"
"""Start of the namespaces of a result's annotations, and the name of the one that keeps contrast."""

PLANE_UNITS = {"DeltaT": "second", "ExposureTime": "second"}
"""Units of what is known of planes; of all else micrometers."""

_MPP = re.compile(r"\bMPP(?:_?[XY])?\b[^0-9.<]{0,12}([0-9]*\.?[0-9]+(?:[eE][-+]?\d+)?)")

Element = ElementTree.Element


def ome_root(xml: str) -> Element | None:
    """Root of an OME-XML text; None where it cannot be read."""
    try:
        return ElementTree.fromstring(xml)
    except ElementTree.ParseError:
        return None


def read_ome(xml: str, number: int, axes: str, leading: Sequence[int]) -> ImageMetadata:
    """What the image of that number says; little where the text cannot be read.

    Args:
        xml: Text.
        number: Number of the image in the text, from 0.
        axes: Canonical axes of the image as it is read.
        leading: Sizes of its leading axes, for what is known of each plane.
    """
    root = ome_root(xml)
    images = [] if root is None else root.findall("{*}Image")
    if root is None or number >= len(images):
        return ImageMetadata(axes)
    pixels = images[number].find("{*}Pixels")
    if pixels is None:
        return ImageMetadata(axes)
    scale, units = _calibration(pixels, xml)
    channels = pixels.findall("{*}Channel")
    names = tuple(channel.get("Name") or "" for channel in channels)
    planes = _planes(pixels, axes, leading)
    return ImageMetadata(
        axes,
        scale,
        units,
        names if any(names) else (),
        channels=tuple(map(_channel, channels)),
        planes=planes,
        texts={"ome": xml},
    )


def samples_per_pixel(xml: str, number: int) -> int:
    """Samples of every pixel of the image of that number: 3 for colours; 0 where that is not said."""
    root = ome_root(xml) if xml else None
    images = [] if root is None else root.findall("{*}Image")
    channels = images[number].findall("{*}Pixels/{*}Channel") if number < len(images) else []
    text = channels[0].get("SamplesPerPixel", "") if len(channels) == 1 else ""
    return int(text) if text.isdecimal() else 0


def _calibration(pixels: Element, xml: str) -> tuple[dict[str, float], dict[str, str]]:
    scale: dict[str, float] = {}
    units: dict[str, str] = {}
    # The units that OME-XML means where it writes none
    for axis, key, default in (
        ("X", "PhysicalSizeX", "µm"),
        ("Y", "PhysicalSizeY", "µm"),
        ("Z", "PhysicalSizeZ", "µm"),
        ("T", "TimeIncrement", "s"),
    ):
        put_step(scale, units, axis, pixels.get(key), pixels.get(f"{key}Unit", default))
    if "X" not in scale and "Y" not in scale and (found := _MPP.search(xml)):
        for axis in "YX":  # microns per pixel, where slide scanners write them
            put_step(scale, units, axis, found[1], "µm")
    return scale, units


def put_step(scale: dict[str, float], units: dict[str, str], axis: str, step: Any, unit: Any) -> None:
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


def _channel(element: Element) -> Channel:
    color = element.get("Color")
    try:  # a signed integer of red, green, blue, alpha
        rgb = "" if color is None else f"{(int(color) >> 8) & 0xFFFFFF:06X}"
    except ValueError:
        rgb = ""
    return Channel(
        rgb,
        excitation=_wavelength(element, "ExcitationWavelength"),
        emission=_wavelength(element, "EmissionWavelength"),
    )


def _wavelength(element: Element, key: str) -> float | None:
    return in_unit(element.get(key), element.get(f"{key}Unit", "nm"), "nanometer")


def _planes(pixels: Element, axes: str, leading: Sequence[int]) -> dict[str, tuple[float, ...]]:
    """Values of the planes of the image, by key; empty where there are none."""
    found: dict[str, np.ndarray] = {}
    for index, plane in _placed_planes(pixels, axes, leading):
        for key in ("DeltaT", "ExposureTime", "PositionX", "PositionY", "PositionZ"):
            unit = PLANE_UNITS.get(key, "micrometer")
            value = in_unit(plane.get(key), plane.get(f"{key}Unit", unit_symbol(unit)), unit)
            if value is not None:
                found.setdefault(key, np.full(tuple(leading), np.nan))[index] = value
    return {key: tuple(values.ravel().tolist()) for key, values in found.items()}


def _placed_planes(
    pixels: Element, axes: str, leading: Sequence[int]
) -> Iterator[tuple[tuple[int, ...], Element]]:
    """Planes of the text with their index along the leading axes, as far as these are T, C, Z and samples."""
    letters = axes[: len(leading)]
    if set(letters) - set("TCZS"):
        return
    for plane in pixels.findall("{*}Plane"):
        where = {
            "T": plane.get("TheT", "0"),
            "C": plane.get("TheC", "0"),
            "Z": plane.get("TheZ", "0"),
            "S": "0",
        }
        try:
            index = tuple(int(where[letter]) for letter in letters)
        except ValueError:
            continue
        if all(0 <= place < size for place, size in zip(index, leading, strict=True)):
            yield index, plane


def annotated_texts(xml: str) -> dict[str, str]:
    """What a result of ours keeps: texts of other formats, by format, and its job as ``job``."""
    root = ome_root(xml)
    found = {}
    for entry in () if root is None else root.iterfind("{*}StructuredAnnotations/{*}CommentAnnotation"):
        name, value = entry.get("Namespace") or "", entry.find("{*}Value")
        if name.startswith(OURS) and value is not None:
            found[name.removeprefix(OURS)] = value.text or ""
    return found


def with_windows(channels: tuple[Channel, ...], texts: dict[str, str]) -> tuple[Channel, ...]:
    """Channels with the contrast that a result of ours keeps among its texts, from which it is taken out."""
    try:
        shown = [
            [pair and (float(pair[0]), float(pair[1])) for pair in both]
            for both in json.loads(texts.pop(WINDOWS))
        ]
        return tuple(
            replace(channel, window=window, limits=limits)
            for channel, (window, limits) in zip(channels, shown, strict=True)
        )
    except (KeyError, IndexError, TypeError, ValueError):
        return channels
