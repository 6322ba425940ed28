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
_TIFF_ENDINGS = (".tif", ".tiff")
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
    b"MATLAB 5.0": "MATLAB",
    b"OLYMPUSRAWFORMAT": "Olympus .oir",
    b"Andor Technology": "Andor .sif",
    b"ZISRAWFILE": "CZI (of another ending)",
    b"<?xml": "a text of XML, which may describe images in other files,",
}
_OTHER_KINDS_AT = (  # the same, with the byte at which it stands
    (4, b"ftyp", "MP4 or QuickTime"),
    (4, b"jP  ", "JPEG 2000"),
    (128, b"DICM", "DICOM"),
    (208, b"MAP ", "MRC"),
)
_POINTERS = {
    ".vsi": "an overview of cellSens, whose pixels lie in a folder beside it",
    ".oif": "a list of FluoView, whose images lie in a folder beside it",
    ".xlef": "a list of LAS X, whose images lie in files beside it",
}
"""Files that are images in name only, by their endings: what they hold is not what was taken."""

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
            magic = file.read(256)
        pointer = _POINTERS.get(path.suffix.lower())
        if magic[:4] in _TIFF_MAGIC and pointer is None:
            return "tiff"
        if magic[:6] == b"\x93NUMPY":
            return "npy"
        if magic[:4] == b"PK\3\4" and _is_packed_zarr(path):
            return "zarr"
        found = pointer or _kind_by_content(magic, found)
    if path.is_dir() and (name := _an_image_in(path)):
        raise ValueError(
            f"image: expected a file or an OME-Zarr, found the folder {text} of files such as {name}; give "
            f"them as a quoted pattern, '{text}/*{Path(name).suffix}', with --stack T | Z | C as one series"
        )
    raise ValueError(
        f"image: expected a TIFF, OME-TIFF, OME-Zarr, zarr or .npy (with the extra formats also CZI, ND2, "
        f"LIF), found {found} at {text}; "
        "convert it to OME-TIFF or OME-Zarr first"
    )


def _kind_by_content(content: bytes, otherwise: str) -> str:
    """What a file seems to be by its first bytes, in words."""
    if not content:
        return "an empty file"
    if content.startswith(b"PK\3\4") and b".npy" in content[:128]:
        return "several arrays of NumPy (.npz; save one with numpy.save)"
    kinds = ((0, start, kind) for start, kind in _OTHER_KINDS.items())
    return next(
        (kind for at, mark, kind in (*kinds, *_OTHER_KINDS_AT) if content.startswith(mark, at)), otherwise
    )


def _folder_kind(path: Path) -> str:
    """What a folder that is no image seems to be, in words."""
    if path.is_dir() and not any(path.iterdir()):
        return "an empty folder"
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


def _an_image_in(folder: Path) -> str:
    """Name of the first image of a folder, TIFF before others; empty for none."""
    names = sorted(file.name for file in folder.iterdir())
    for endings in (_TIFF_ENDINGS, (".zarr", ".npy", *_ZARR_ZIPS, *_VENDOR_ENDINGS)):
        if name := next((name for name in names if name.lower().endswith(endings)), ""):
            return name
    return ""


def _is_ndtiff(path: Path) -> bool:
    """Whether a path is an NDTiff folder or a file of one, without the reader where there is no index."""
    folder = path if path.is_dir() else path.parent
    if not any((folder / below / "NDTiff.index").is_file() for below in ("", "Full resolution")):
        return False
    from napari_rdpdenoise.io.tiff.ndtiff import index_of

    return index_of(path) is not None
