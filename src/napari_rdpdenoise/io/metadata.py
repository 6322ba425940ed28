"""What is known about an image besides its pixels, in the terms of no file format.

Every reader fills it as far as its format says something, every writer writes what its format can hold, and
texts of formats that know more (OME-XML, ImageJ's Info) travel as they are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from napari_rdpdenoise.axes import channel_axis
from napari_rdpdenoise.io.units import in_unit

PLANE_KEYS = ("DeltaT", "ExposureTime", "PositionX", "PositionY", "PositionZ")
"""What may be known of each plane, named as in OME: times in seconds, positions in micrometers."""


@dataclass(frozen=True)
class Channel:
    """How one channel was taken and is shown.

    Attributes:
        color: Six hexadecimal digits, red first, such as ``"0000FF"``; empty where none is known.
        window: Counts that are shown black and full; None where not known.
        limits: Counts between which the window may be moved; None where not known.
        excitation, emission: Wavelengths in nanometers; None where not known.
    """

    color: str = ""
    window: tuple[float, float] | None = None
    limits: tuple[float, float] | None = None
    excitation: float | None = None
    emission: float | None = None


@dataclass(frozen=True)
class ImageMetadata:
    """What is known about an image besides its pixels.

    Attributes:
        axes: Canonical axes, e.g. ``"TCYX"``.
        scale: Step per axis in the axis' unit, e.g. ``{"X": 0.0885, "T": 0.14}`` (T: time increment).
            Axes whose step is not known are absent.
        units: Unit per axis as UDUNITS names, e.g. ``{"X": "micrometer", "T": "second"}``.
        channel_names: One name per channel (axis C, else S; one where there is neither), or empty.
        name: Short name for people, such as the stem of the file.
        origin: Place of the first pixel per axis in the axis' unit; absent where it is not known.
        channels: One per channel as well, or empty.
        planes: One value per plane, in the order of the leading axes (last one fastest), by `PLANE_KEYS`; NaN
            where a plane's is not known.
        photometric: Meaning of the samples as TIFF names it: ``"minisblack"``, ``"miniswhite"``, ``"rgb"``,
            ``"palette"``, ...; empty where nothing is said.
        colormap: Red, then green, then blue per value of a palette, 16 bits each; empty for none.
        alpha: How the last channel is opacity, which is no light: ``"unassalpha"``, ``"assocalpha"``; empty
            where it is not.
        texts: Texts of formats that know more, by format: ``ome`` (OME-XML), ``imagej`` (Info),
            ``micromanager`` (JSON).
        number: Number of the image in the OME-XML, from 0.
        channel_numbers: Numbers of the channels in the OME-XML, or empty where they are all in their order.
        denoised: How this package denoised the image (`how_denoised`); None where no file says that it did.
    """

    axes: str
    scale: Mapping[str, float] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    channel_names: tuple[str, ...] = ()
    name: str = ""
    origin: Mapping[str, float] = field(default_factory=dict)
    channels: tuple[Channel, ...] = ()
    planes: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    photometric: str = ""
    colormap: tuple[int, ...] = ()
    alpha: str = ""
    texts: Mapping[str, str] = field(default_factory=dict)
    number: int = 0
    channel_numbers: tuple[int, ...] = ()
    denoised: str | None = None

    def opacity(self, shape: Sequence[int]) -> int | None:
        """Number of the channel that is opacity, in an image of that shape; None where there is none."""
        axis = channel_axis(self.axes)
        return shape[axis] - 1 if self.alpha and axis is not None else None

    def fitted(self, axes: str, shape: Sequence[int]) -> ImageMetadata:
        """The same for canonical axes and their sizes, without what belongs to others."""
        axis = channel_axis(axes)
        count = None if axis is None else shape[axis]
        number = math.prod(shape[:-2])
        planes = {
            key: values
            for key, values in self.planes.items()
            if len(values) == number and not all(map(math.isnan, values))
        }
        return replace(
            self,
            axes=axes,
            scale={axis: step for axis, step in self.scale.items() if axis in axes},
            units={axis: unit for axis, unit in self.units.items() if axis in axes},
            origin={axis: place for axis, place in self.origin.items() if axis in axes},
            channel_names=self.channel_names if (count or 1) == len(self.channel_names) else (),
            channels=self.channels if (count or 1) == len(self.channels) else (),
            planes=planes,
            alpha=self.alpha if count in (2, 4) else "",
            channel_numbers=self.channel_numbers if count == len(self.channel_numbers) else (),
        )

    def selected(self, choices: Sequence[Sequence[int]], shape: Sequence[int]) -> ImageMetadata:
        """The same for some indices of each leading axis of an image of that canonical shape."""
        axis = channel_axis(self.axes)
        kept = None if axis is None else choices[axis]
        leading = tuple(shape[:-2])
        where = np.ix_(*choices) if leading else ()
        planes = {
            key: tuple(np.asarray(values, float).reshape(leading)[where].ravel().tolist())
            for key, values in self.planes.items()
        }
        names, channels, alpha = self.channel_names, self.channels, self.alpha
        numbers = self.channel_numbers
        if axis is not None and kept is not None:
            names = tuple(names[c] for c in kept) if names else ()
            channels = tuple(channels[c] for c in kept) if channels else ()
            numbers = tuple(numbers[c] if numbers else c for c in kept)
            alpha = alpha if tuple(kept) == tuple(range(shape[axis])) else ""
        return replace(
            self,
            channel_names=names,
            channels=channels,
            planes=planes,
            alpha=alpha,
            origin=self._moved(choices),
            channel_numbers=numbers,
        )

    def _moved(self, choices: Sequence[Sequence[int]]) -> dict[str, float]:
        """Origin, later where the first time points are left out."""
        first = {axis: along[0] for axis, along in zip(self.axes, choices, strict=False) if axis in "TZ"}
        moved = {axis: first[axis] * self.scale.get(axis, 0.0) for axis in first if first[axis]}
        return {axis: place + moved.get(axis, 0.0) for axis, place in self.origin.items()}


def with_origin(known: ImageMetadata, leading: Sequence[int]) -> dict[str, tuple[float, ...]]:
    """Values of planes in which the origin is each plane's position, for formats without an origin.

    Positions that are known of planes stay; leading sizes are those of the image.
    """
    planes = dict(known.planes)
    for axis in "XYZ":
        key = f"Position{axis}"
        place = in_unit(known.origin.get(axis), known.units.get(axis), "micrometer")
        if place is None or key in planes:
            continue
        along = np.full(tuple(leading), place)
        if axis in known.axes[: len(leading)]:
            step = in_unit(known.scale.get(axis, 0.0), known.units.get(axis), "micrometer") or 0.0
            size = [1] * len(leading)
            size[known.axes.index(axis)] = -1
            along = along + step * np.arange(leading[known.axes.index(axis)]).reshape(size)
        planes[key] = tuple(along.ravel().tolist())
    return planes


def to_json(known: ImageMetadata, planes: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """What OME-Zarr has no field for, as JSON; ``planes`` are in the order in which they are stored."""
    found: dict[str, Any] = {
        "channel_names": list(known.channel_names) if channel_axis(known.axes) is None else [],
        "channels": [
            {key: value for key, value in asdict(channel).items() if value not in (None, "")}
            for channel in known.channels
        ],
        "planes": {
            key: [None if math.isnan(value) else value for value in along] for key, along in planes.items()
        },
        "photometric": "" if known.photometric == "minisblack" else known.photometric,
        "colormap": list(known.colormap),
        "alpha": known.alpha,
        "texts": dict(known.texts),
        "number": known.number,
        "channel_numbers": list(known.channel_numbers),
    }
    return {key: value for key, value in found.items() if value and any(_flat(value))}


def _channel(entry: Mapping[str, Any]) -> Channel:
    window, limits = (tuple(map(float, entry[key])) if key in entry else None for key in ("window", "limits"))
    return Channel(
        str(entry.get("color", "")),
        None if window is None else (window[0], window[1]),
        None if limits is None else (limits[0], limits[1]),
        entry.get("excitation"),
        entry.get("emission"),
    )


def _flat(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | dict) else [value]


def with_json(known: ImageMetadata, stored: Any) -> ImageMetadata:
    """Metadata with what `to_json` made of it before; as they are where the JSON is something else."""
    if not isinstance(stored, Mapping):
        return known
    try:
        channels = tuple(map(_channel, stored.get("channels", ())))
        planes = {
            str(key): tuple(math.nan if value is None else float(value) for value in along)
            for key, along in stored.get("planes", {}).items()
        }
        return replace(
            known,
            channel_names=known.channel_names or tuple(map(str, stored.get("channel_names", ()))),
            channels=channels or known.channels,
            planes=planes,
            photometric=str(stored.get("photometric", "")),
            colormap=tuple(map(int, stored.get("colormap", ()))),
            alpha=str(stored.get("alpha", "")),
            texts={str(key): str(text) for key, text in stored.get("texts", {}).items()},
            number=int(stored.get("number", 0)),
            channel_numbers=tuple(map(int, stored.get("channel_numbers", ()))),
        )
    except (AttributeError, IndexError, TypeError, ValueError):
        return known
