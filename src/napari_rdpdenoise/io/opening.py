"""From a path, a pattern or an array to an image that is read lazily; file libraries load when needed."""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path
from typing import Any, cast

import numpy as np

from napari_rdpdenoise.io.images import ImageInfo
from napari_rdpdenoise.io.kinds import kind_of
from napari_rdpdenoise.io.source import ImageSource
from napari_rdpdenoise.names import check_given, local, matching


def open_image(
    source: str | os.PathLike[str] | Any, axes: str | None = None, series: int | None = None
) -> ImageSource:
    """Open an image lazily.

    Args:
        source: Path or URL of a TIFF, OME-TIFF, OME-Zarr, zarr or ``.npy``, a NumPy, dask or zarr array,
            or an ImageSource (returned as it is).
        axes: One letter per dimension as stored, such as ``"TZCYX"``; None to take those of the file.
            Arrays without axes are YX, TYX, TZYX or TCZYX by their number of dimensions.
        series: Number of the image in a file that holds several, from 0 (`list_images`); None for the first,
            with a warning that says what else is there.

    Raises:
        FileNotFoundError: If the path does not exist.
        ValueError: If it is no image of a known kind, is empty or 1-D, there is no such series, or the axes
            do not fit.
        TypeError: If the kind of object or the dtype (boolean, complex, 64-bit integer) is not supported.
    """
    if isinstance(source, str | os.PathLike):
        check_given(os.fspath(source), "image")
        return _open_path(local(os.fspath(source)), axes, series)
    if isinstance(source, ImageSource):
        if axes is not None and axes.upper() != source.metadata.axes:
            raise ValueError(
                f"axes: expected {source.metadata.axes}, those of the open source, found {axes}; "
                "give the axes where the source is opened"
            )
        return source
    return _open_array(source, axes, series)


def list_images(path: str | os.PathLike[str]) -> list[ImageInfo]:
    """Say what images a file or folder holds, in the order that ``series`` counts them; most hold one.

    Raises as `open_image` does.
    """
    path = local(os.fspath(path))
    if kind_of(path) == "zarr":
        from napari_rdpdenoise.io.ome_zarr.reader import zarr_images

        return zarr_images(path)
    if kind_of(path) == "vendor":
        from napari_rdpdenoise.io.vendor import vendor_images

        return vendor_images(Path(path))
    if kind_of(path) == "ndtiff":
        from napari_rdpdenoise.io.tiff.ndtiff import index_of, ndtiff_images

        return ndtiff_images(cast(Path, index_of(Path(path))))
    if kind_of(path) == "tiff":
        from napari_rdpdenoise.io.tiff.reader import tiff_images

        return tiff_images(Path(path))
    source = open_image(path)
    found = ImageInfo("", source.metadata.axes, source.shape)
    source.close()
    return [found]


def open_stack(pattern: str, axis: str, axes: str | None = None) -> ImageSource:
    """Open all files that match a pattern as one image, lazily.

    Args:
        pattern: Glob, such as ``"folder/*.tif"``; files come in the order of the numbers in their names.
        axis: Letter of the new axis, first among the leading ones.
        axes: Axes of each file, as in `open_image`.

    Raises as `open_image` does, and:
        FileNotFoundError: If no file matches.
        ValueError: If the files are not alike, have that axis already, or one is there twice.

    Warns:
        UserWarning: If numbers are missing in their names, or these count more than one thing.
    """
    from napari_rdpdenoise.io.numbering import check_numbers
    from napari_rdpdenoise.io.stack import StackSource

    paths = matching(pattern)
    note = check_numbers(paths)
    source = StackSource(paths, axis, lambda path: open_image(path, axes))
    if note is not None:
        warnings.warn(f"stack: {note}", stacklevel=2)
    return source


def files_of_set(path: str | os.PathLike[str]) -> set[Path]:
    """Files that hold one image together with a file, without that one; empty for what is no set."""
    path = local(os.fspath(path))
    place = Path(path)
    try:
        kind = "" if "://" in str(path) or not place.is_file() else kind_of(place)
    except ValueError:
        return set()
    if kind == "ndtiff":
        files = {file.resolve() for file in place.parent.glob("*.tif")}
    elif kind == "tiff":
        from napari_rdpdenoise.io.tiff.reader import files_of_set as found

        files = found(place)
    else:
        return set()
    return files - {place.resolve()}


def _open_array(array: Any, axes: str | None, series: int | None) -> ImageSource:
    from napari_rdpdenoise.io.arrays import ArraySource

    zarr, dask_array = sys.modules.get("zarr"), sys.modules.get("dask.array")
    if zarr is not None and isinstance(array, zarr.Array | zarr.Group):
        from napari_rdpdenoise.io.ome_zarr.reader import open_zarr

        return open_zarr(array, axes, series)
    if isinstance(array, np.ndarray) or (dask_array is not None and isinstance(array, dask_array.Array)):
        return ArraySource(array, axes)
    raise TypeError(
        "image: expected a path, a NumPy, dask or zarr array, or an ImageSource, "
        f"found {type(array).__module__}.{type(array).__name__}; convert it with numpy.asarray"
    )


def _open_path(source: Any, axes: str | None, series: int | None) -> ImageSource:
    kind = kind_of(source)
    if kind == "zarr":
        from napari_rdpdenoise.io.ome_zarr.reader import open_zarr

        return open_zarr(source, axes, series)
    path = Path(source)
    if kind == "vendor":
        from napari_rdpdenoise.io.vendor import VendorSource

        return VendorSource(path, axes, series)
    if kind == "ndtiff":
        from napari_rdpdenoise.io.tiff.ndtiff import NDTiffSource, index_of

        return NDTiffSource(cast(Path, index_of(path)), axes, series)
    if kind == "tiff":
        from napari_rdpdenoise.io.tiff.reader import TiffSource

        return TiffSource(path, axes, series)
    from napari_rdpdenoise.io.arrays import open_npy

    return open_npy(path, axes)
