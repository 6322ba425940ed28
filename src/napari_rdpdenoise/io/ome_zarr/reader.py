"""OME-Zarr 0.1-0.5 images and plain zarr arrays, read through zarr.

Of an OME-Zarr image the first (full) resolution is read. A plain array takes its axes from its dimension
names (zarr v3) or from xarray's ``_ARRAY_DIMENSIONS``, else they are assumed as for any array.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from napari_rdpdenoise.io.arrays import ArraySource
from napari_rdpdenoise.io.images import ImageInfo, choose_image
from napari_rdpdenoise.io.limits import check_claim, check_part, check_plain, opening, reaching
from napari_rdpdenoise.io.metadata import ImageMetadata, with_json
from napari_rdpdenoise.io.ome_mending import decoded, mended, why_unread
from napari_rdpdenoise.io.ome_xml import read_ome, samples_per_pixel
from napari_rdpdenoise.io.ome_zarr.decoded_chunks import DecodedChunks
from napari_rdpdenoise.io.ome_zarr.metadata import (
    ome_metadata,
    plain_metadata,
    tell_of_colours,
    with_colours,
)
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


def _chosen(location: str | Path | Any, series: int | None) -> tuple[_Found, str | None]:
    """The image of that number, and what tells its content from another where that is known."""
    import zarr

    if isinstance(location, zarr.Array | zarr.Group):
        node: Any = location
        name, identity, stored = Path(node.name or "").name, None, None
    else:
        node, name = _open_node(location), stem(str(location))
        identity, stored = _folder_identity(Path(location)) if Path(location).exists() else (None, None)
    image, number, count = _image_of(node, name, series)
    _tell_codecs(image.array)
    if stored is not None:
        check_claim(image.array.shape, image.array.dtype, stored, name)
    if identity is not None and count > 1:
        identity = f"{identity}/{image.path}"
    _refuse_labels(image, Path(location) if stored is not None else None)
    if isinstance(location, str | Path) and image.is_ome:
        image = replace(image, ome=_ome_text(Path(location), number))
    return image, identity


def _image_of(node: Any, name: str, series: int | None) -> tuple[_Found, int, int]:
    """The image of that number in a group or array, its number, and how many there are."""
    import zarr

    found = _images_below(node, name) if isinstance(node, zarr.Group) else [_Found("", node, name)]
    if series is None and len(found) > 1 and not found[0].is_ome:
        _refuse_arrays(found, name)
    if series is None and isinstance(node, zarr.Group):
        _tell_missing(node, name)
    number = choose_image([image.info for image in found], series, name)
    image = found[number]
    check_part(image.array.chunks, image.array.dtype, name, "chunk")
    return image, number, len(found)


def zarr_array(location: str | Path, series: int | None = None) -> tuple[Any, ImageMetadata]:
    """Array and metadata of an image that is still being written: its chunks are not looked at.

    Raises as `open_zarr` does.
    """
    with opening(str(location), "a zarr array or OME-Zarr image"):
        image, _, _ = _image_of(_open_node(location), stem(str(location)), series)
        return image.array, image.metadata


def _refuse_labels(image: _Found, folder: Path | None) -> None:
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
        _tell_missing(node, stem(str(location)))
        return [image.info for image in _images_below(node, stem(str(location)))]


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


@dataclass(frozen=True)
class _Found:
    """One image below a group: where it lies, its group or array, and its entry among the multiscales."""

    path: str
    node: Any
    name: str
    multiscale: Mapping[str, Any] | None = None
    omero: Mapping[str, Any] = field(default_factory=dict)
    ours: Any = None
    ome: tuple[str, int] = ("", 0)
    labels: bool = False

    @property
    def is_ome(self) -> bool:
        return self.multiscale is not None

    @cached_property
    def array(self) -> Any:
        """Full resolution."""
        if self.multiscale is None:
            return self.node
        path = self.multiscale["datasets"][0]["path"]
        try:
            return self.node[path]
        except KeyError as error:
            raise ValueError(
                f"image: expected the array {path}, which the metadata of {self.name} name, found none; "
                "it was not copied or not written completely"
            ) from error

    @property
    def metadata(self) -> ImageMetadata:
        if self.multiscale is None:
            return plain_metadata(self.node, self.name)
        known = with_json(ome_metadata(self.multiscale, self.omero, self.name), self.ours)
        xml, number = self.ome
        known = with_colours(known, self.array.shape, samples_per_pixel(xml, number))
        if not xml or "ome" in known.texts:
            return known
        shape = [size for axis, size in zip(known.axes, self.array.shape, strict=True) if axis not in "YX"]
        axes = "".join(axis for axis in known.axes if axis not in "YX") + "YX"
        said = read_ome(xml, number, axes, shape)
        channels = known.channels or said.channels
        if len(said.channels) == len(channels):
            channels = tuple(
                replace(channel, excitation=other.excitation, emission=other.emission)
                for channel, other in zip(channels, said.channels, strict=True)
            )
        texts = {**known.texts, **said.texts}
        return replace(
            known, channels=channels, planes=known.planes or said.planes, texts=texts, number=number
        )

    @property
    def info(self) -> ImageInfo:
        return ImageInfo(self.path, self.metadata.axes, tuple(self.array.shape))


def _images_below(group: Any, name: str) -> list[_Found]:
    """OME-Zarr images of a group, plate, well or collection; else all arrays below it.

    Raises:
        ValueError: If there is neither.
    """
    found = list(_ome_images(group, name)) or [
        _Found(path, array, name) for path, array in _arrays_below(group)
    ]
    if not found:
        below = ", ".join(itertools.islice(sorted(key for key, _ in group.members()), 4)) or "nothing"
        raise ValueError(
            f"image: expected an OME-Zarr image, plate or well, or an array, found none in {name}, which "
            f"holds {below}; check the path, or copy it again"
        )
    return found


def _ome_images(group: Any, name: str, path: str = "") -> Iterator[_Found]:
    attributes = dict(group.attrs)
    ome = attributes.get("ome", attributes)
    if ome.get("multiscales"):
        for number, multiscale in enumerate(ome["multiscales"]):
            label = path if number == 0 else f"{path or name}#{number}"
            ours = attributes.get("napari_rdpdenoise")
            ours = ours.get("metadata") if isinstance(ours, Mapping) else None
            labels = "image-label" in ome
            yield _Found(label, group, name, multiscale, ome.get("omero") or {}, ours, labels=labels)
        return
    for below in _paths_below(group, ome):
        if below in group:
            yield from _ome_images(group[below], name, f"{path}/{below}".strip("/"))


def _tell_missing(group: Any, name: str) -> None:
    """Say which of the images or wells that a plate, a well or a collection names are not there."""
    attributes = dict(group.attrs)
    listed = _paths_below(group, attributes.get("ome", attributes))
    gone = [below for below in listed if below not in group]
    if gone and len(gone) < len(listed):
        more = ", ..." if len(gone) > 4 else ""
        warnings.warn(
            f"{name} names {len(listed)} images or wells, and {len(gone)} of them are not there "
            f"({', '.join(gone[:4])}{more}): not acquired, or not copied",
            stacklevel=6,
        )


def _paths_below(group: Any, ome: Mapping[str, Any]) -> list[str]:
    """Paths of the images, or of groups of images, that a plate, a well or a collection of series names."""
    if "plate" in ome:
        return [str(well["path"]) for well in ome["plate"].get("wells", ())]
    if "well" in ome:
        return [str(image["path"]) for image in ome["well"].get("images", ())]
    if "labels" in ome:
        return [str(path) for path in ome["labels"]]
    if "bioformats2raw.layout" not in ome:
        return []
    if "OME" in group:
        attributes = dict(group["OME"].attrs)
        listed = attributes.get("ome", attributes).get("series")
        if listed:
            return [str(path) for path in listed]
    return list(itertools.takewhile(lambda number: number in group, map(str, itertools.count())))


def _arrays_below(group: Any, path: str = "", most: int = 100) -> list[tuple[str, Any]]:
    """Paths and arrays at any depth, in the order of their names; at most so many."""
    found: list[tuple[str, Any]] = []
    for key, member in sorted(group.members(), key=lambda pair: pair[0]):
        below = f"{path}/{key}".strip("/")
        if type(member).__name__ == "Array":
            found.append((below, member))
        else:
            found += _arrays_below(member, below, most - len(found))
        if len(found) >= most:
            break
    return found


def _refuse_arrays(found: list[_Found], name: str) -> None:
    paths = [image.path for image in found]
    more = f" and {len(paths) - 8} more" if len(paths) > 8 else ""
    raise ValueError(
        f"image: expected an OME-Zarr image or a group of one array, found {len(paths)} arrays in {name}: "
        f"{', '.join(paths[:8])}{more}; give the path of one of them, such as {name}.zarr/{paths[0]}, or its "
        "number (--series N)"
    )


def _folder_identity(path: Path) -> tuple[str, int]:
    """Names, sizes and times of change of all files, and the sum of their sizes, bytes."""
    digest, stored = hashlib.blake2b(digest_size=16), 0
    for file in _files(path):
        stored += check_plain(file)
        state = file.stat()
        where = file.relative_to(path).as_posix()
        digest.update(repr((where, state.st_size, state.st_mtime_ns)).encode())
    return digest.hexdigest(), stored


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    for folder, below, files in os.walk(path):
        below.sort()
        for file in sorted(files):
            yield Path(folder) / file
