"""OME-Zarr 0.1-0.5 images and plain zarr arrays, read through zarr.

Of an OME-Zarr image the first (full) resolution is read. A plain array takes its axes from its dimension
names (zarr v3) or from xarray's ``_ARRAY_DIMENSIONS``, else they are assumed as for any array.
"""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from napari_rdpdenoise.io.arrays import ArraySource
from napari_rdpdenoise.io.source import ImageMetadata
from napari_rdpdenoise.io.units import unit_name

_SPARE_LETTERS = "QRIPMAHEVUWBDFGJKLNO"


def open_zarr(location: str | Path | Any, axes: str | None = None) -> ArraySource:
    """Open an OME-Zarr image, a plain zarr array, or a group that holds exactly one array.

    It lies in a folder, zip file or URL, or is an open ``zarr.Array`` or ``zarr.Group``; axes are those as
    stored, None takes those of the file.

    Raises:
        FileNotFoundError: If there is nothing at the location.
        ValueError: If it is not one image, or the axes do not fit.
        TypeError: If its dtype is not supported.
    """
    import zarr

    if isinstance(location, zarr.Array | zarr.Group):
        node: Any = location
        name, identity = Path(node.name or "").name, None
    else:
        node, name = _open_node(location), _stem(str(location))
        identity = _folder_identity(Path(location)) if Path(location).exists() else None
    if isinstance(node, zarr.Group):
        array, metadata = _image_of_group(node, name)
    else:
        array, metadata = node, _plain_metadata(node, name)
    return ArraySource(array, axes, metadata, identity)


def _open_node(location: str | Path) -> Any:
    import zarr
    from zarr.storage import ZipStore

    is_zip = str(location).lower().endswith((".zip", ".ozx"))
    store = ZipStore(Path(location), mode="r") if is_zip else str(location)
    try:
        return zarr.open(store=store, mode="r")
    except FileNotFoundError as error:
        raise FileNotFoundError(f"image: expected a zarr array or group at {location}, found none") from error


def _stem(location: str) -> str:
    name = location.rstrip("/\\").replace("\\", "/").rsplit("/", 1)[-1]
    for ending in (".ozx", ".zip", ".zarr", ".ome"):
        name = name[: -len(ending)] if name.lower().endswith(ending) else name
    return name


def _image_of_group(group: Any, name: str) -> tuple[Any, ImageMetadata]:
    """The full-resolution array of an OME-Zarr image, or a group's only array, and what is known of it."""
    attributes = dict(group.attrs)
    ome = attributes.get("ome", attributes)
    if "multiscales" in ome:
        multiscale = ome["multiscales"][0]
        return group[multiscale["datasets"][0]["path"]], _ome_metadata(multiscale, ome.get("omero", {}), name)
    if "plate" in ome or "well" in ome:
        fields = ", ".join(itertools.islice(sorted(_members(group)), 4))
        raise ValueError(
            f"image: expected one image, found an OME-Zarr plate or well in {name}; "
            f"give the path of one field inside it, below {fields}"
        )
    if "bioformats2raw.layout" in ome and "0" in group:
        return _image_of_group(group["0"], name)
    arrays = sorted(key for key, kind in _members(group).items() if kind == "Array")
    if len(arrays) != 1:
        raise ValueError(
            f"image: expected an OME-Zarr image or a group of one array, found {len(arrays)} arrays "
            f"({', '.join(arrays[:5])}) in {name}; give the path of one of them"
        )
    return group[arrays[0]], _plain_metadata(group[arrays[0]], name)


def _members(group: Any) -> dict[str, str]:
    return {key: type(member).__name__ for key, member in group.members()}


def _ome_metadata(multiscale: Mapping[str, Any], omero: Any, name: str) -> ImageMetadata:
    declared = multiscale.get("axes") or list("tczyx")  # versions 0.1 and 0.2: always these five
    entries = [{"name": axis} if isinstance(axis, str) else axis for axis in declared]
    axes = _letters(entries)
    steps = [1.0] * len(axes)
    transforms = [multiscale, multiscale["datasets"][0]]
    for transform in itertools.chain(*(level.get("coordinateTransformations", ()) for level in transforms)):
        if transform.get("type") == "scale" and "scale" in transform:
            steps = [a * float(b) for a, b in zip(steps, transform["scale"], strict=True)]
    units = {letter: unit_name(entry.get("unit")) for letter, entry in zip(axes, entries, strict=True)}
    # A step of exactly 1 without a unit is what writers put where nothing is known
    scale = {
        a: step for a, step in zip(axes, steps, strict=True) if (step != 1 or units[a]) and a not in "CS"
    }
    labels = [str(channel.get("label", "")) for channel in omero.get("channels", ())]
    return ImageMetadata(
        axes=axes,
        scale=scale,
        units={letter: unit for letter, unit in units.items() if unit},
        channel_names=tuple(labels) if any(labels) else (),
        name=str(multiscale.get("name") or name).strip("/") or name,
    )


def _letters(entries: list[dict[str, Any]]) -> str:
    """One letter per declared axis: its name where that is a letter, else by its type, else a spare one."""
    letters: list[str] = []
    by_type = {"time": "T", "channel": "C"}
    taken = {entry["name"].upper() for entry in entries if len(entry["name"]) == 1}
    for entry in entries:
        letter = entry["name"].upper()
        if len(letter) != 1 or not letter.isascii() or not letter.isalpha():
            wanted = by_type.get(entry.get("type", ""), "") + _SPARE_LETTERS
            letter = next(spare for spare in wanted if spare not in taken)
            taken.add(letter)
        letters.append(letter)
    return "".join(letters)


def _plain_metadata(array: Any, name: str) -> ImageMetadata:
    """Axes from the names of the dimensions; empty where there are none."""
    names = getattr(array.metadata, "dimension_names", None) or array.attrs.get("_ARRAY_DIMENSIONS") or ()
    if len(names) != len(array.shape) or not all(isinstance(entry, str) and entry for entry in names):
        return ImageMetadata(axes="", name=name)
    axes = _letters([{"name": entry, "type": entry.lower()} for entry in names])
    usable = "Y" in axes and "X" in axes and len(set(axes)) == len(axes)
    return ImageMetadata(axes=axes if usable else "", name=name)


def _folder_identity(path: Path) -> str:
    """Names, sizes and times of change of all files."""
    digest = hashlib.blake2b(digest_size=16)
    for file in _files(path):
        state = file.stat()
        where = file.relative_to(path).as_posix()
        digest.update(repr((where, state.st_size, state.st_mtime_ns)).encode())
    return digest.hexdigest()


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    for folder, below, files in os.walk(path):
        below.sort()
        for file in sorted(files):
            yield Path(folder) / file
