"""What OME-Zarr of every version, and plain zarr, say about their image besides its pixels."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from napari_rdpdenoise.axes import COLOURS, channels_as_colours
from napari_rdpdenoise.io.metadata import Channel, ImageMetadata
from napari_rdpdenoise.io.units import unit_name

_SPARE_LETTERS = "QRIPMAHEVUWBDFGJKLNO"
_SHOWN_AS = ("FF0000", "00FF00", "0000FF")
_NAMED = (("red", "green", "blue"), ("r", "g", "b"))


def ome_metadata(multiscale: Mapping[str, Any], omero: Any, name: str) -> ImageMetadata:
    """What a multiscale image says.

    Args:
        multiscale: Its entry among the multiscales.
        omero: How it is to be shown, as OMERO writes it.
        name: Name of the file, for images without one.
    """
    # versions 0.1 and 0.2: always the same five; version 0.6: of the first of several systems
    systems = multiscale.get("coordinateSystems") or [{}]
    declared = multiscale.get("axes") or systems[0].get("axes") or list("tczyx")
    entries = [{"name": axis} if isinstance(axis, str) else axis for axis in declared]
    axes = _letters(entries)
    steps, places = [1.0] * len(axes), [0.0] * len(axes)
    levels = (multiscale["datasets"][0], multiscale)  # in the order in which they apply
    for transform in itertools.chain(*(level.get("coordinateTransformations") or () for level in levels)):
        if factors := _numbers(transform, "scale", axes):
            steps = [a * b for a, b in zip(steps, factors, strict=True)]
            places = [a * b for a, b in zip(places, factors, strict=True)]
        if moves := _numbers(transform, "translation", axes):
            places = [a + b for a, b in zip(places, moves, strict=True)]
    units = {letter: unit_name(entry.get("unit")) for letter, entry in zip(axes, entries, strict=True)}
    # A step of exactly 1 without a unit is what writers put where nothing is known
    scale = {
        a: step for a, step in zip(axes, steps, strict=True) if (step != 1 or units[a]) and a not in "CS"
    }
    shown = [channel if isinstance(channel, Mapping) else {} for channel in omero.get("channels") or ()]
    labels = [str(channel.get("label") or "") for channel in shown]
    return ImageMetadata(
        axes=axes,
        scale=scale,
        units={letter: unit for letter, unit in units.items() if unit},
        channel_names=tuple(labels) if any(labels) else (),
        name=str(multiscale.get("name") or name).strip("/") or name,
        origin={axis: place for axis, place in zip(axes, places, strict=True) if place and axis not in "CS"},
        channels=tuple(map(_shown_channel, shown)),
        photometric="miniswhite" if shown and all(channel.get("inverted") for channel in shown) else "",
    )


def _numbers(transform: Mapping[str, Any], kind: str, axes: str) -> list[float]:
    """Numbers of a transformation of that kind, one per axis; empty where it is of another kind.

    Raises:
        ValueError: If they are not as many as the axes, or no numbers.
    """
    if transform.get("type") != kind or kind not in transform:
        return []
    found = transform[kind]
    try:
        numbers = [float(value) for value in found]
    except (TypeError, ValueError):
        numbers = []
    if len(numbers) != len(axes):
        raise ValueError(
            f"image: expected a {kind} of {len(axes)} numbers, one for each of the axes {axes}, in "
            f"coordinateTransformations, found {str(found)[:80]}; correct it, or open the array itself "
            "(IMAGE.zarr/0) without its metadata"
        )
    return numbers


def _shown_channel(channel: Mapping[str, Any]) -> Channel:
    color = str(channel.get("color") or "").lstrip("#").upper()[:6]
    window = channel.get("window")
    window = window if isinstance(window, Mapping) else {}
    shown, limits = (
        _range(window.get(low), window.get(high)) for low, high in (("start", "end"), ("min", "max"))
    )
    is_color = len(color) == 6 and set(color) <= set("0123456789ABCDEF")
    return Channel(color if is_color else "", shown, limits)


def _range(low: Any, high: Any) -> tuple[float, float] | None:
    numbers = isinstance(low, int | float) and isinstance(high, int | float)
    return (float(low), float(high)) if numbers else None


def _letters(entries: list[dict[str, Any]]) -> str:
    """One letter per declared axis: its name where that is a letter, else by its type, else a spare one."""
    letters: list[str] = []
    by_type = {"time": "T", "channel": "C"}
    taken = {entry["name"].upper() for entry in entries if len(entry["name"]) == 1}
    for entry in entries:
        letter = entry["name"].upper()
        if len(letter) != 1 or not letter.isascii() or not letter.isalpha():
            wanted = by_type.get(entry.get("type", ""), "") + _SPARE_LETTERS
            letter = next(spare for spare in wanted if spare not in taken)
            taken.add(letter)
        letters.append(letter)
    return "".join(letters)


def plain_metadata(array: Any, name: str) -> ImageMetadata:
    """What a plain array says: axes from the names of its dimensions; empty where there are none."""
    names = getattr(array.metadata, "dimension_names", None) or array.attrs.get("_ARRAY_DIMENSIONS") or ()
    if len(names) != len(array.shape) or not all(isinstance(entry, str) and entry for entry in names):
        return ImageMetadata(axes="", name=name)
    axes = _letters([{"name": entry, "type": entry.lower()} for entry in names])
    usable = "Y" in axes and "X" in axes and len(set(axes)) == len(axes)
    return ImageMetadata(axes=axes if usable else "", name=name)


def with_colours(known: ImageMetadata, shape: Sequence[int], samples: int) -> ImageMetadata:
    """The metadata of a picture in colour with its channels as colours, where a file says that it is one.

    OME-Zarr has channels only. That three of them are the colours of one picture is known where the OME-XML
    beside them counts several samples per pixel of one channel, or where a result of ours says so. Their
    names and the colours in which they are shown say nothing: converters show the first three channels of
    any fluorescence image in red, green and blue (see `tell_of_colours`).

    Args:
        known: Metadata with the axes as stored.
        shape: Sizes in their order.
        samples: Samples per pixel that OME-XML says; 0 where there is none.
    """
    count = shape[known.axes.index("C")] if "C" in known.axes else 0
    if count not in (COLOURS, COLOURS + 1) or (samples != count and known.photometric != "rgb"):
        return known
    axes = channels_as_colours(known.axes, "S")
    return replace(known, axes=axes, channel_names=(), channels=(), photometric="")


def tell_of_colours(known: ImageMetadata, shape: Sequence[int], dtype: Any, name: str) -> None:
    """One line for three 8-bit channels that may be the colours of a picture: what to do if they are."""
    count = shape[known.axes.index("C")] if "C" in known.axes else 0
    shown = tuple(channel.color for channel in known.channels)
    called = tuple(label.lower() for label in known.channel_names)
    if count == COLOURS and dtype == "uint8" and (shown == _SHOWN_AS or called in _NAMED):
        axes = channels_as_colours(known.axes, "S")
        warnings.warn(
            f"{name}: three channels of 8 bits, shown in red, green and blue, are taken for channels; if "
            f"they are the colours of one picture, say so with axes (--axes {axes})",
            stacklevel=5,
        )
