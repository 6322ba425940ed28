"""Lazy image input, and output that is complete or absent.

``open_image`` turns a path or an array into an ``ImageSource``; ``open_sink`` opens a ``Sink`` that takes the
result block by block and can go on after an interruption. tifffile, zarr and dask are imported when needed.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from napari_rdpdenoise.files import is_zarr
from napari_rdpdenoise.io.array_sink import ArraySink
from napari_rdpdenoise.io.convert import to_output
from napari_rdpdenoise.io.sink import open_sink
from napari_rdpdenoise.io.source import (
    ImageMetadata,
    ImageSource,
    Index,
    SelectedSource,
    check_axes,
    check_dtype,
    planes,
)
from napari_rdpdenoise.io.spec import OutputSpec, Sink

__all__ = [
    "ArraySink",
    "ImageMetadata",
    "ImageSource",
    "Index",
    "OutputSpec",
    "SelectedSource",
    "Sink",
    "check_axes",
    "check_dtype",
    "open_image",
    "open_sink",
    "planes",
    "to_output",
]

_ZARR_ZIPS = (".zarr.zip", ".ozx")
_TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def open_image(source: str | os.PathLike[str] | Any, axes: str | None = None) -> ImageSource:
    """Open an image lazily.

    Args:
        source: Path or URL of a TIFF, OME-TIFF, OME-Zarr, zarr or ``.npy``, a NumPy, dask or zarr array,
            or an ImageSource (returned as it is).
        axes: One letter per dimension as stored, such as ``"TZCYX"``; None to take those of the file.
            Arrays without axes are YX, TYX, TZYX or TCZYX by their number of dimensions.

    Raises:
        FileNotFoundError: If the path does not exist.
        ValueError: If it is no image of a known kind, is empty or 1-D, or the axes do not fit.
        TypeError: If the kind of object or the dtype (boolean, complex, 64-bit integer) is not supported.
    """
    if isinstance(source, str | os.PathLike):
        return _open_path(source, axes)
    if isinstance(source, ImageSource):
        if axes is not None and axes.upper() != source.metadata.axes:
            raise ValueError(
                f"axes: expected {source.metadata.axes}, those of the open source, found {axes}; "
                "give the axes where the source is opened"
            )
        return source
    return _open_array(source, axes)


def _open_array(array: Any, axes: str | None) -> ImageSource:
    from napari_rdpdenoise.io.arrays import ArraySource

    zarr, dask_array = sys.modules.get("zarr"), sys.modules.get("dask.array")
    if zarr is not None and isinstance(array, zarr.Array | zarr.Group):
        from napari_rdpdenoise.io.ome_zarr import open_zarr

        return open_zarr(array, axes)
    if isinstance(array, np.ndarray) or (dask_array is not None and isinstance(array, dask_array.Array)):
        return ArraySource(array, axes)
    raise TypeError(
        "image: expected a path, a NumPy, dask or zarr array, or an ImageSource, "
        f"found {type(array).__module__}.{type(array).__name__}; convert it with numpy.asarray"
    )


def _open_path(source: Any, axes: str | None) -> ImageSource:
    text = str(source)
    path = Path(source)
    if "://" not in text and not path.exists():
        raise FileNotFoundError(f"image: expected a file or folder, found nothing at {text}; check the path")
    if "://" in text or is_zarr(path) or (path.is_file() and path.name.lower().endswith(_ZARR_ZIPS)):
        from napari_rdpdenoise.io.ome_zarr import open_zarr

        return open_zarr(source, axes)
    if path.is_file():
        with path.open("rb") as file:
            magic = file.read(6)
        if magic[:4] in _TIFF_MAGIC:
            from napari_rdpdenoise.io.tiff import TiffSource

            return TiffSource(path, axes)
        if magic == b"\x93NUMPY":
            return _open_npy(path, axes)
    raise ValueError(
        f"image: expected a TIFF, OME-TIFF, OME-Zarr, zarr or .npy, found another kind at {text}; "
        "convert it to OME-TIFF or OME-Zarr first"
    )


def _open_npy(path: Path, axes: str | None) -> ImageSource:
    from napari_rdpdenoise.io.arrays import HASHED_BYTES, ArraySource

    data, state = np.load(path, mmap_mode="r"), path.stat()
    # what is larger would not be read as a whole to know it again
    known = repr((path.name, state.st_size, state.st_mtime_ns)) if data.nbytes > HASHED_BYTES else None
    return ArraySource(data, axes, ImageMetadata(axes or "", name=path.stem), known)
