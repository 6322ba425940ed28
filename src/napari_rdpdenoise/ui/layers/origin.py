"""Whether a layer is what its file holds, read as everything else here reads that file. No Qt, no napari.

A viewer says which file a layer came from also where it stacked several, cropped, or read by its own rules.
Only where shape and pixels agree may a job name the file in place of the layer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_rdpdenoise.io import ImageSource, open_image

__all__ = ["Origin", "find_origin"]

_PATCH = 64  # px, edge of what is compared


@dataclass(frozen=True)
class Origin:
    """A file that holds just what a layer shows.

    Attributes:
        path: Path of the file.
        axes: Its axes, one letter per axis of the layer.
    """

    path: str
    axes: str


def find_origin(path: str | None, data: Any) -> Origin | None:
    """The file behind an array, where it holds the same image; None where it does not or cannot be read.

    Args:
        path: Path or URL that the array is said to come from; None for none.
        data: Array of full resolution; a few small patches of it are read.
    """
    if path is None:
        return None
    try:
        source = open_image(path)
    except Exception:  # of a foreign file, whatever its reader raises: then it is not known to us
        return None
    try:
        axes = source.metadata.axes
        colours = axes.index("S") if "S" in axes else None  # a viewer has them last
        if colours is not None:
            axes = axes.replace("S", "") + "S"
        shape = tuple(source.shape[source.metadata.axes.index(letter)] for letter in axes)
        alike = shape == tuple(data.shape)
        same = alike and all(_equal(source, data, place, colours) for place in _places(source))
        return Origin(path, axes) if same else None
    except Exception:
        return None
    finally:
        source.close()


def _places(source: ImageSource) -> Iterator[tuple[int, ...]]:
    """The first and the middle plane."""
    leading = source.shape[:-2]
    yield tuple(0 for _ in leading)
    yield tuple(size // 2 for size in leading)


def _equal(source: ImageSource, data: Any, index: tuple[int, ...], colours: int | None) -> bool:
    rows, columns = (slice(size // 2, size // 2 + _PATCH) for size in source.shape[-2:])
    place: tuple[Any, ...] = (*index, rows, columns)
    if colours is not None:
        place = (*place[:colours], *place[colours + 1 :], place[colours])
    return np.array_equal(source.read(index, rows, columns), np.asarray(data[place]))
