"""What is known about an image besides its pixels, in the terms of no file format.

Every reader fills it as far as its format says something, every writer writes what its format can hold, and
texts of formats that know more (OME-XML, ImageJ's Info) travel as they are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

PLANE_KEYS = ("DeltaT", "ExposureTime", "PositionX", "PositionY", "PositionZ")
"""What may be known of each plane, named as in OME: times in seconds, positions in micrometers."""


@dataclass(frozen=True)
class Channel:
    """How one channel was taken and is shown.

    Attributes:
        color: Six hexadecimal digits, red first, such as ``"0000FF"``; empty where none is known.
        window: Counts that are shown black and full; None where not known.
        excitation, emission: Wavelengths in nanometers; None where not known.
    """

    color: str = ""
    window: tuple[float, float] | None = None
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
        channel_names: One name per channel (axis C, else S), or empty.
        name: Short name for people, such as the stem of the file.
        origin: Place of the first pixel per axis in the axis' unit; absent where it is not known.
        channels: One per channel (axis C, else S), or empty.
        planes: One value per plane, in the order of the leading axes (last one fastest), by `PLANE_KEYS`; NaN
            where a plane's is not known.
        photometric: Meaning of the samples as TIFF names it: ``"minisblack"``, ``"miniswhite"``, ``"rgb"``,
            ``"palette"``, ...; empty where nothing is said.
        colormap: Red, then green, then blue per value of a palette, 16 bits each; empty for none.
        alpha: Whether the last sample (axis S) is opacity, which is no light.
        texts: Texts of formats that know more, by format: ``ome`` (OME-XML), ``imagej`` (Info),
            ``micromanager`` (JSON).
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
    alpha: bool = False
    texts: Mapping[str, str] = field(default_factory=dict)

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
            channel_names=self.channel_names if count == len(self.channel_names) else (),
            channels=self.channels if len(self.channels) == (1 if count is None else count) else (),
            planes=planes,
            alpha=self.alpha and "S" in axes,
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
        if axis is not None and kept is not None:
            names = tuple(names[c] for c in kept) if names else ()
            channels = tuple(channels[c] for c in kept) if channels else ()
            alpha = alpha and shape[axis] - 1 in kept and tuple(kept) == tuple(sorted(kept))
        return replace(
            self,
            channel_names=names,
            channels=channels,
            planes=planes,
            alpha=alpha,
            origin=self._moved(choices),
        )

    def _moved(self, choices: Sequence[Sequence[int]]) -> dict[str, float]:
        """Origin, later where the first time points are left out."""
        first = {axis: along[0] for axis, along in zip(self.axes, choices, strict=False) if axis in "TZ"}
        moved = {axis: first[axis] * self.scale.get(axis, 0.0) for axis in first if first[axis]}
        return {axis: place + moved.get(axis, 0.0) for axis, place in self.origin.items()}


def channel_axis(axes: str) -> int | None:
    """Position of the channel axis (C, else S), None where there is none."""
    return next((axes.index(letter) for letter in "CS" if letter in axes), None)
