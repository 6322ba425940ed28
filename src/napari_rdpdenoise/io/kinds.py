"""Which family of readers a path belongs to: by its content, and by its ending where the content is a zip.

No library of files is imported to find out.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

from napari_rdpdenoise.files import is_zarr
from napari_rdpdenoise.names import exists, shown

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
    b"version h": "a pointer of Git LFS, whose file was not fetched (git lfs pull)",
    b"<!DOCTYPE": "a web page, such as one that asks to log in,",
    b"<!doctype": "a web page, such as one that asks to log in,",
    b"<html": "a web page, such as one that asks to log in,",
    b"\0\0\0\3": "DM3",
    b"\0\0\0\4": "DM4",
}
_TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def kind_of(source: Any) -> str:
    """Family of a file, folder or URL: zarr, vendor, ndtiff, tiff or npy, by its content (or ending).

    Raises:
        FileNotFoundError: If there is nothing.
        ValueError: If it is of no known kind.
    """
    text, path = str(source), Path(source)
    if not exists(text):
        raise FileNotFoundError(
            f"image: expected a file or folder, found nothing at {shown(text)}; check the path"
        )
    if "://" in text or is_zarr(path) or (path.is_file() and path.name.lower().endswith(_ZARR_ZIPS)):
        return "zarr"
    if _is_ndtiff(path):
        return "ndtiff"
    if path.is_file() and path.name.lower().endswith(_VENDOR_ENDINGS):
        return "vendor"
    if path.is_file() and path.name.lower().endswith(_LISTS):
        from napari_rdpdenoise.io.listed import refuse_list

        refuse_list(path)
    found = _folder_kind(path)
    if path.is_file():
        with path.open("rb") as file:
            magic = file.read(9)
        if magic[:4] in _TIFF_MAGIC:
            return "tiff"
        if magic[:6] == b"\x93NUMPY":
            return "npy"
        if magic[:4] == b"PK\3\4" and _is_packed_zarr(path):
            return "zarr"
        found = next((kind for start, kind in _OTHER_KINDS.items() if magic.startswith(start)), found)
        found = found if magic else "an empty file"
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


def _folder_kind(path: Path) -> str:
    """What a folder that is no image seems to be, in words."""
    if (path / ".zmetadata").is_file():
        return "a Zarr of which only .zmetadata was copied, not the files .zgroup, .zarray and .zattrs,"
    return "N5" if (path / "attributes.json").is_file() else "another kind"


def _is_packed_zarr(path: Path) -> bool:
    """Whether a zip file holds a Zarr, at its top or in the one folder that was packed."""
    try:
        with zipfile.ZipFile(path) as packed:
            names = packed.namelist()
    except (zipfile.BadZipFile, OSError):
        return False
    return any(
        name.count("/") <= 1 and name.rpartition("/")[2] in ("zarr.json", ".zgroup", ".zarray")
        for name in names
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
    from napari_rdpdenoise.io.tiff.ndtiff import index_of

    return index_of(path) is not None
