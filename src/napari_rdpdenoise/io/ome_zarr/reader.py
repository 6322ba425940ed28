"""OME-Zarr 0.1-0.5 images and plain zarr arrays, read through zarr.

Of an OME-Zarr image the first (full) resolution is read, or the one whose path is given. A plain array takes
its axes from its dimension names (zarr v3) or from xarray's ``_ARRAY_DIMENSIONS``, else they are assumed as
for any array.
"""

from __future__ import annotations

import warnings
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from napari_rdpdenoise.io.arrays import ArraySource
from napari_rdpdenoise.io.file_states import folder_state
from napari_rdpdenoise.io.images import ImageInfo, choose_image
from napari_rdpdenoise.io.limits import check_claim, check_part, opening, reaching
from napari_rdpdenoise.io.metadata import ImageMetadata
from napari_rdpdenoise.io.ome_mending import decoded, mended, why_unread
from napari_rdpdenoise.io.ome_zarr.contents import FoundImage, images_below, refuse_arrays, tell_missing
from napari_rdpdenoise.io.ome_zarr.decoded_chunks import DecodedChunks
from napari_rdpdenoise.io.ome_zarr.levels import level_of
from napari_rdpdenoise.io.ome_zarr.metadata import tell_of_colours
from napari_rdpdenoise.io.ome_zarr.unwritten import warn_of_unwritten

_META = ("zarr.json", ".zgroup", ".zarray")


def open_zarr(location: str | Path | Any, axes: str | None = None, series: int | None = None) -> ArraySource:
    """Open an OME-Zarr image, a plain zarr array, or one of the images below a group.

    It lies in a folder, zip file or URL, or is an open ``zarr.Array`` or ``zarr.Group``; axes are those as
    stored, None takes those of the file. ``series`` is the number of the image in a group of several; None
    for the first, with a warning.

    Raises:
        FileNotFoundError: If there is nothing at the location.
        ValueError: If there is no such image, or the axes do not fit.
        TypeError: If its dtype is not supported.
    """
    with opening(str(location), "a zarr array or OME-Zarr image"), reaching(str(location)):
        image, identity = _chosen(location, series)
        warn_of_unwritten(image.array, location, image.name)
        known = image.metadata
        if axes is None:
            tell_of_colours(known, image.array.shape, image.array.dtype, image.name)
        return ArraySource(_kept(image.array, location), axes, known, identity)


def _kept(array: Any, location: Any) -> Any:
    """An array of files with its decoded chunks kept; one in hand may be changed by whoever gave it."""
    return DecodedChunks(array) if isinstance(location, str | Path) else array


def zarr_levels(location: str | Path, series: int | None = None) -> list[ArraySource]:
    """The image and its lower resolutions, finest first; raises as `open_zarr` does."""
    with opening(str(location), "a zarr array or OME-Zarr image"):
        image, identity = _chosen(location, series)
    finest = ArraySource(_kept(image.array, location), None, image.metadata, identity)
    levels = image.multiscale["datasets"][1:] if image.multiscale is not None else []
    names = [level["path"] for level in levels if level["path"] in image.node]
    below = (_kept(image.node[name], location) for name in names)
    return [finest, *(ArraySource(array, finest.stored_axes) for array in below)]


def _chosen(location: str | Path | Any, series: int | None) -> tuple[FoundImage, str | None]:
    """The image of that number, and what tells its content from another where that is known."""
    import zarr

    if isinstance(location, zarr.Array | zarr.Group):
        node: Any = location
        name, identity, stored = Path(node.name or "").name, None, None
    else:
        node, name = _open_node(location), stem(str(location))
        identity, stored = _folder_identity(Path(location)) if Path(location).exists() else (None, None)
    image, number, count, folder = _image_of(node, name, series, location)
    _tell_codecs(image.array)
    if stored is not None:
        check_claim(image.array.shape, image.array.dtype, stored, name)
    if identity is not None and count > 1:
        identity = f"{identity}/{image.path}"
    _refuse_labels(image, folder if stored is not None else None)
    if folder is not None and image.is_ome:
        image = replace(image, ome=_ome_text(folder, number))
    return image, identity


def _image_of(
    node: Any, name: str, series: int | None, location: Any
) -> tuple[FoundImage, int, int, Path | None]:
    """The image of that number, its number, how many there are, and the folder of its group or array."""
    import zarr

    folder = Path(location) if isinstance(location, str | Path) else None
    if isinstance(node, zarr.Group):
        found = images_below(node, name)
    elif folder is not None:
        level, folder = level_of(folder, node, name)
        found = [level]
    else:
        found = [FoundImage("", node, name)]
    if series is None and len(found) > 1 and not found[0].is_ome:
        refuse_arrays(found, name)
    if series is None and isinstance(node, zarr.Group):
        tell_missing(node, name)
    number = choose_image([image.info for image in found], series, name)
    image = found[number]
    check_part(image.array.chunks, image.array.dtype, name, "chunk")
    return image, number, len(found), folder


def zarr_array(location: str | Path, series: int | None = None) -> tuple[Any, ImageMetadata]:
    """Array and metadata of an image that is still being written: its chunks are not looked at.

    Raises as `open_zarr` does.
    """
    with opening(str(location), "a zarr array or OME-Zarr image"):
        image, _, _, _ = _image_of(_open_node(location), stem(str(location)), series, location)
        return image.array, image.metadata


def _refuse_labels(image: FoundImage, folder: Path | None) -> None:
    """Refuse numbers of objects, which have no noise: a group of them, one below an image, and its arrays."""
    if not image.labels and not (folder is not None and image.node.path == "" and _in_labels(folder)):
        return
    raise TypeError(
        f"image: expected an image, found labels in {image.name}, which hold no noise to remove; "
        "give the image that they belong to"
    )


def _in_labels(folder: Path) -> bool:
    """Whether an array lies in the group of a label image."""
    for name in (".zattrs", "zarr.json"):
        try:
            if '"image-label"' in (folder.parent / name).read_text(encoding="utf-8"):
                return True
        except (OSError, ValueError):
            continue
    return False


def _tell_codecs(array: Any) -> None:
    """Let codecs know where their array lies, those that ask for it: what they need may lie there as well."""
    root, codecs = getattr(array.store, "root", None), list(getattr(array.metadata, "codecs", ()))
    while codecs and isinstance(root, str | Path):
        codec = codecs.pop()
        codecs += getattr(codec, "codecs", ())
        if hasattr(codec, "found_in"):
            codec.found_in(Path(root) / array.path)


def _ome_text(folder: Path, number: int) -> tuple[str, int]:
    """OME-XML that converters lay beside series, and the number of the image in it; empty for none."""
    for root, place in (
        (folder, number),
        (folder.parent, int(folder.name) if folder.name.isdecimal() else None),
    ):
        file = root / "OME" / "METADATA.ome.xml"
        if place is not None and file.is_file():
            text = mended(decoded(file.read_bytes()))
            if fault := why_unread(text, file.name):
                warnings.warn(fault, stacklevel=6)
            return text, place
    return "", 0


def zarr_images(location: str | Path) -> list[ImageInfo]:
    """What images there are in a zarr; raises as `open_zarr` does."""
    import zarr

    with opening(str(location), "a zarr array or OME-Zarr image"):
        node = _open_node(location)
        if not isinstance(node, zarr.Group):
            return [ImageInfo("", "", tuple(node.shape))]
        tell_missing(node, stem(str(location)))
        return [image.info for image in images_below(node, stem(str(location)))]


def _open_node(location: str | Path) -> Any:
    import zarr
    from zarr.storage import ZipStore

    packed = str(location).lower().endswith((".zip", ".ozx"))  # whole or not
    is_zip = packed or ("://" not in str(location) and zipfile.is_zipfile(location))
    store = ZipStore(Path(location), mode="r") if is_zip else str(location)
    try:
        node = zarr.open(store=store, path=_top_folder(Path(location)) if is_zip else None, mode="r")
        if isinstance(node, zarr.Group) and not is_zip and "://" not in str(location):
            # the copy of all metadata in one file may be older than what it is a copy of
            node = zarr.open_group(str(location), mode="r", use_consolidated=False)
        return node
    except FileNotFoundError as error:
        raise FileNotFoundError(f"image: expected a zarr array or group at {location}, found none") from error


def _top_folder(path: Path) -> str | None:
    """The folder in which all of a zip file lies, as where a folder was packed and not its content."""
    with zipfile.ZipFile(path) as packed:
        tops = {name.partition("/")[0] for name in packed.namelist() if not name.startswith("__MACOSX/")}
        lone = next(iter(tops)) if len(tops) == 1 else ""
        inside = any(f"{lone}/{meta}" in packed.NameToInfo for meta in _META)
    return lone if lone and inside else None


def stem(location: str) -> str:
    """Name of a zarr without folder and ending."""
    name = location.rstrip("/\\").replace("\\", "/").rsplit("/", 1)[-1]
    for ending in (".ozx", ".zip", ".zarr", ".ome"):
        name = name[: -len(ending)] if name.lower().endswith(ending) else name
    return name


def _folder_identity(path: Path) -> tuple[str, int]:
    """Names, sizes and times of change of all files, and the sum of their sizes, bytes."""
    found = folder_state(path)
    if found.odd:
        raise ValueError(f"image: expected plain files, found {found.odd}; remove it or copy the image")
    return found.digest, found.stored
