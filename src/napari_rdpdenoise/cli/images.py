"""Whole images in memory, for figures over finished results."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_rdpdenoise.axes import colours_as_channels

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class WholeImage:
    """Pixel values, canonical axes (Y and X last), and their letters."""

    values: np.ndarray
    axes: str


def read_all(path: Path | str) -> WholeImage:
    """Read an image completely.

    Raises:
        FileNotFoundError: If there is none.
        ValueError, TypeError: If it is no image of a known kind.
        MemoryError: If it does not fit into the free memory.
    """
    import numpy as np
    import psutil

    from napari_rdpdenoise.io import open_image, planes

    with closing(open_image(path)) as source:
        needed = int(np.prod(source.shape, dtype=np.int64)) * (source.dtype.itemsize + 8)
        if needed > 0.8 * psutil.virtual_memory().available:
            raise MemoryError(
                f"{path} needs {needed / 2**30:.1f} GiB of memory to be scored; score a part of it"
            )
        values = np.empty(source.shape, source.dtype)
        for index in planes(source):
            values[index] = source.read(index, slice(0, source.shape[-2]), slice(0, source.shape[-1]))
        return WholeImage(values, source.metadata.axes)


def match_axes(image: WholeImage, reference: WholeImage, name: str) -> np.ndarray:
    """Values in the order of axes of a reference, and of its shape; axes of length 1 do not count.

    Raises:
        ValueError: If the two do not hold the same axes and sizes; ``name`` is the image's in the message.
    """
    found, wanted = squeeze(image), squeeze(reference)
    if found.axes != wanted.axes and sorted(found.axes) == sorted(wanted.axes):
        order = [found.axes.index(letter) for letter in wanted.axes]
        found = WholeImage(found.values.transpose(order), wanted.axes)
    if found.values.shape != wanted.values.shape:
        raise ValueError(
            f"{name}: expected the axes {reference.axes} of sizes {reference.values.shape}, "
            f"found {image.axes} of {image.values.shape}; choose the same channels and time points"
        )
    return found.values


def squeeze(image: WholeImage) -> WholeImage:
    """The image without leading axes of length 1; colour samples are channels."""
    keep = [i for i, size in enumerate(image.values.shape) if size > 1 or i >= image.values.ndim - 2]
    axes = colours_as_channels("".join(image.axes[i] for i in keep))
    return WholeImage(image.values.reshape([image.values.shape[i] for i in keep]), axes)
