"""Whether a layer is what its file holds, read as everything else here reads that file. No Qt, no napari.

A viewer says which file a layer came from also where it stacked several, cropped, or read by its own rules.
Only where shape and pixels agree may a job name the file in place of the layer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_rdpdenoise.axes import colours_last
from napari_rdpdenoise.io import ImageSource, open_image
from napari_rdpdenoise.io.metadata import Channel

__all__ = ["Origin", "find_origin"]

_PATCH = 64  # px, edge of what is compared


@dataclass(frozen=True)
class Origin:
    """A file that holds just what a layer shows.

    Attributes:
        path: Path of the file.
        axes: Its axes, one letter per axis of the layer.
        channel: Channel of the file that the layer is; None where it is all of it.
        assumed: Whether the file does not say what its axes mean.
        channels: What the file says of the layer's channels, or of the one that it is; empty for nothing.
        denoised: How this package denoised it; None where the file does not say that it did.
    """

    path: str
    axes: str
    channel: int | None = None
    assumed: bool = False
    channels: tuple[Channel, ...] = ()
    denoised: str | None = None


def find_origin(path: str | None, data: Any, channel: int | None = None) -> Origin | None:
    """The file behind an array, where it holds the same image; None where it does not or cannot be read.

    Args:
        path: Path or URL that the array is said to come from; None for none.
        data: Array of full resolution; a few small patches of it are read.
        channel: Channel of the file that the array is said to be; None for all of it.
    """
    if path is None or "://" in path:  # a server may not answer, and the viewer waits for this
        return None
    try:
        source = open_image(path)
    except Exception:  # of a foreign file, whatever its reader raises: then it is not known to us
        return None
    try:
        known, axes = source.metadata, source.metadata.axes
        order, fixed = list(colours_last(axes)), {}
        if channel is not None:
            order.remove("C")
            fixed["C"] = channel
        shape = tuple(source.shape[axes.index(letter)] for letter in order)
        alike = shape == tuple(data.shape)
        same = alike and all(_equal(source, data, order, at | fixed) for at in _places(source))
        assumed = bool(getattr(source, "axes_assumed", False))  # by those formats that need not say
        channels = known.channels if channel is None else known.channels[channel : channel + 1]
        origin = Origin(path, "".join(order), channel, assumed, channels, known.denoised)
        return origin if same else None
    except Exception:
        return None
    finally:
        source.close()


def _places(source: ImageSource) -> Iterator[dict[str, int]]:
    """The first and the middle plane, by axis."""
    leading = dict(zip(source.metadata.axes[:-2], source.shape[:-2], strict=True))
    yield dict.fromkeys(leading, 0)
    yield {axis: size // 2 for axis, size in leading.items()}


def _equal(source: ImageSource, data: Any, order: list[str], place: dict[str, int]) -> bool:
    """Whether a patch of one plane is the same in both; the array has the axes of ``order``."""
    rows, columns = (slice(size // 2, size // 2 + _PATCH) for size in source.shape[-2:])
    index = tuple(place[axis] for axis in source.metadata.axes[:-2])
    key = tuple({"Y": rows, "X": columns}.get(axis, place.get(axis)) for axis in order)
    return np.array_equal(source.read(index, rows, columns), np.asarray(data[key]))
