"""Micro-Manager's own metadata, which MMStack and NDTiff share: JSON of an acquisition and of each plane."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from napari_rdpdenoise.io.metadata import Channel, ImageMetadata
from napari_rdpdenoise.io.source import Index

_PER_PLANE = {  # OME's name, the keys of Micro-Manager, the factor from its unit
    "DeltaT": (("ElapsedTime-ms",), 1e-3),
    "ExposureTime": (("Exposure-ms", "Exposure"), 1e-3),
    "PositionX": (("XPositionUm", "XPosition_um_Intended"), 1.0),
    "PositionY": (("YPositionUm", "YPosition_um_Intended"), 1.0),
    "PositionZ": (("ZPositionUm", "ZPosition_um_Intended"), 1.0),
}


def acquisition_metadata(
    known: ImageMetadata,
    letters: str,
    leading: tuple[int, ...],
    summary: Mapping[str, Any],
    about: Mapping[Index, Mapping[str, Any]],
) -> ImageMetadata:
    """Metadata with what an acquisition says of itself and of its planes.

    Args:
        known: Metadata that is known already; its axes, names and texts are kept.
        letters: Leading axes that planes are counted along.
        leading: Sizes of these.
        summary: JSON of the acquisition.
        about: JSON of planes by their index.
    """
    first: Mapping[str, Any] = next(iter(about.values()), {})
    pixel = _number(first.get("PixelSizeUm")) or _number(summary.get("PixelSize_um"))
    step = _number(summary.get("z-step_um"))
    planes = {key: _along(leading, about, *names) for key, names in _PER_PLANE.items()}
    interval = _number(summary.get("Interval_ms"))
    seconds = interval / 1e3 if interval else _interval(planes["DeltaT"], letters, leading)
    scale = {"X": pixel, "Y": pixel, "Z": step, "T": seconds}
    units = {"X": "micrometer", "Y": "micrometer", "Z": "micrometer", "T": "second"}
    found = {axis: abs(value) for axis, value in scale.items() if value}
    names = known.channel_names or _names(summary)
    return replace(
        known,
        scale=found,
        units={axis: units[axis] for axis in found},
        channel_names=names,
        channels=_channels(summary),
        planes=planes,
        texts={**known.texts, "micromanager": json.dumps(summary)} if summary else known.texts,
    )


def _along(
    leading: tuple[int, ...], about: Mapping[Index, Mapping[str, Any]], keys: tuple[str, ...], factor: float
) -> tuple[float, ...]:
    values = np.full(leading, np.nan)
    for index, entry in about.items():
        if any(place >= size for place, size in zip(index, leading, strict=True)):
            continue  # of a step that was not completed
        value = next((entry[key] for key in keys if key in entry), None)
        try:
            values[index] = float(value) * factor if value is not None else math.nan
        except (TypeError, ValueError):
            continue
    return tuple(values.ravel().tolist())


def _interval(elapsed: tuple[float, ...], letters: str, leading: tuple[int, ...]) -> float | None:
    """Time between time points, from when the first plane of each was taken."""
    if "T" not in letters:
        return None
    times = np.moveaxis(np.array(elapsed).reshape(leading), letters.index("T"), 0).reshape(
        leading[letters.index("T")], -1
    )[:, 0]
    steps = np.diff(times)
    steps = steps[np.isfinite(steps)]
    return float(np.median(steps)) if steps.size and np.median(steps) > 0 else None


def _names(summary: Mapping[str, Any]) -> tuple[str, ...]:
    names = summary.get("ChNames")
    if isinstance(names, str):
        names = _json(names)
    return tuple(map(str, names)) if isinstance(names, list) else ()


def _channels(summary: Mapping[str, Any]) -> tuple[Channel, ...]:
    colors = summary.get("ChColors")
    if isinstance(colors, str):
        colors = _json(colors)
    if not isinstance(colors, list):
        return ()
    try:
        return tuple(Channel(color=f"{int(color) & 0xFFFFFF:06X}") for color in colors)
    except (TypeError, ValueError):
        return ()


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) and number != 0 else None
