"""Lazy image input, and output that is complete or absent.

``open_image`` turns a path or an array into an ``ImageSource``; ``open_sink`` opens a ``Sink`` that takes the
result block by block and can go on after an interruption. tifffile, zarr and dask are imported when needed.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, cast

import numpy as np

from napari_rdpdenoise.files import is_zarr
from napari_rdpdenoise.io.array_sink import ArraySink
from napari_rdpdenoise.io.convert import to_output
from napari_rdpdenoise.io.images import ImageInfo
from napari_rdpdenoise.io.sink import open_sink
from napari_rdpdenoise.io.source import ImageMetadata, ImageSource, Index, SelectedSource, check_dtype, planes
from napari_rdpdenoise.io.spec import OutputSpec, Sink
from napari_rdpdenoise.names import matching

__all__ = [
    "ArraySink",
    "ImageInfo",
    "ImageMetadata",
    "ImageSource",
    "Index",
    "OutputSpec",
    "SelectedSource",
    "Sink",
    "check_dtype",
    "files_of_set",
    "list_images",
    "open_image",
    "open_sink",
    "open_stack",
    "planes",
    "to_output",
]

_ZARR_ZIPS = (".zarr.zip", ".ozx")
_LISTS = (".nd", ".companion.ome")
_VENDOR_ENDINGS = (".czi", ".nd2", ".lif")
_OTHER_KINDS = {
    b"\x89HDF": "HDF5 (also Imaris .ims)",
    b"\x89PNG": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"RIFF": "AVI or WebP",
    b"\xd0\xcf\x11\xe0": "OLE (Olympus .oib, Zeiss .zvi)",
    b"SIMPLE  =": "FITS",
    b"NRRD": "NRRD",
    b"PK\3\4": "zip",
    b"\x1f\x8b": "gzip",
    b"\0\0\0\3": "DM3",
    b"\0\0\0\4": "DM4",
}
_TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


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
        return _open_path(source, axes, series)
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
    if _kind(path) == "zarr":
        from napari_rdpdenoise.io.ome_zarr import zarr_images

        return zarr_images(os.fspath(path))
    if _kind(path) == "vendor":
        from napari_rdpdenoise.io.vendor import vendor_images

        return vendor_images(Path(path))
    if _kind(path) == "ndtiff":
        from napari_rdpdenoise.io.ndtiff import index_of, ndtiff_images

        return ndtiff_images(cast(Path, index_of(Path(path))))
    if _kind(path) == "tiff":
        from napari_rdpdenoise.io.tiff import tiff_images

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
        ValueError: If the files are not alike, or have that axis already.
    """
    from napari_rdpdenoise.io.stack import StackSource

    return StackSource(matching(pattern), axis, lambda path: open_image(path, axes))


def files_of_set(path: str | os.PathLike[str]) -> set[Path]:
    """Files that hold one image together with a file, without that one; empty for what is no set."""
    place = Path(path)
    try:
        kind = "" if "://" in str(path) or not place.is_file() else _kind(place)
    except ValueError:
        return set()
    if kind == "ndtiff":
        files = {file.resolve() for file in place.parent.glob("*.tif")}
    elif kind == "tiff":
        from napari_rdpdenoise.io.tiff import files_of_set as found

        files = found(place)
    else:
        return set()
    return files - {place.resolve()}


def _open_array(array: Any, axes: str | None, series: int | None) -> ImageSource:
    from napari_rdpdenoise.io.arrays import ArraySource

    zarr, dask_array = sys.modules.get("zarr"), sys.modules.get("dask.array")
    if zarr is not None and isinstance(array, zarr.Array | zarr.Group):
        from napari_rdpdenoise.io.ome_zarr import open_zarr

        return open_zarr(array, axes, series)
    if isinstance(array, np.ndarray) or (dask_array is not None and isinstance(array, dask_array.Array)):
        return ArraySource(array, axes)
    raise TypeError(
        "image: expected a path, a NumPy, dask or zarr array, or an ImageSource, "
        f"found {type(array).__module__}.{type(array).__name__}; convert it with numpy.asarray"
    )


def _open_path(source: Any, axes: str | None, series: int | None) -> ImageSource:
    kind = _kind(source)
    if kind == "zarr":
        from napari_rdpdenoise.io.ome_zarr import open_zarr

        return open_zarr(source, axes, series)
    path = Path(source)
    if kind == "vendor":
        from napari_rdpdenoise.io.vendor import VendorSource

        return VendorSource(path, axes, series)
    if kind == "ndtiff":
        from napari_rdpdenoise.io.ndtiff import NDTiffSource, index_of

        return NDTiffSource(cast(Path, index_of(path)), axes, series)
    if kind == "tiff":
        from napari_rdpdenoise.io.tiff import TiffSource

        return TiffSource(path, axes, series)
    from napari_rdpdenoise.io.arrays import open_npy

    return open_npy(path, axes)


def _kind(source: Any) -> str:
    """Family of a file, folder or URL: zarr, vendor, ndtiff, tiff or npy, by its content (or ending).

    Raises:
        FileNotFoundError: If there is nothing.
        ValueError: If it is of no known kind.
    """
    text, path = str(source), Path(source)
    if "://" not in text and not path.exists():
        raise FileNotFoundError(f"image: expected a file or folder, found nothing at {text}; check the path")
    if "://" in text or is_zarr(path) or (path.is_file() and path.name.lower().endswith(_ZARR_ZIPS)):
        return "zarr"
    if _is_ndtiff(path):
        return "ndtiff"
    if path.is_file() and path.name.lower().endswith(_VENDOR_ENDINGS):
        return "vendor"
    if path.is_file() and path.name.lower().endswith(_LISTS):
        from napari_rdpdenoise.io.listed import refuse_list

        refuse_list(path)
    found = "another kind"
    if path.is_file():
        with path.open("rb") as file:
            magic = file.read(9)
        if magic[:4] in _TIFF_MAGIC:
            return "tiff"
        if magic[:6] == b"\x93NUMPY":
            return "npy"
        found = next((kind for start, kind in _OTHER_KINDS.items() if magic.startswith(start)), found)
    if path.is_dir() and (name := _a_tiff_in(path)):
        raise ValueError(
            f"image: expected a file or an OME-Zarr, found the folder {text} of files such as {name}; give "
            f"them as a quoted pattern, '{text}/*{Path(name).suffix}', with --stack T | Z | C as one series"
        )
    raise ValueError(
        f"image: expected a TIFF, OME-TIFF, OME-Zarr, zarr or .npy (with the extra formats also CZI, ND2, "
        f"LIF), found {found} at {text}; "
        "convert it to OME-TIFF or OME-Zarr first"
    )


def _a_tiff_in(folder: Path) -> str:
    """Name of the first TIFF file of a folder; empty for none."""
    names = sorted(file.name for file in folder.iterdir() if file.suffix.lower() in (".tif", ".tiff"))
    return names[0] if names else ""


def _is_ndtiff(path: Path) -> bool:
    """Whether a path is an NDTiff folder or a file of one, without the reader where there is no index."""
    folder = path if path.is_dir() else path.parent
    if not any((folder / below / "NDTiff.index").is_file() for below in ("", "Full resolution")):
        return False
    from napari_rdpdenoise.io.ndtiff import index_of

    return index_of(path) is not None
