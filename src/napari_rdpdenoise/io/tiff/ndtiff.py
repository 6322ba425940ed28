"""NDTiff, the files of Micro-Manager 2 and Pycro-Manager: read by their index, not by TIFF directories.

    NDTiff.index   one entry per plane: {"time": 3, "channel": "GFP", ...}, file, offset, size, type
    *.tif          uncompressed planes, and JSON about each beside it

Positions and the rows and columns of a grid are images of their own; all else are axes. Planes that the
acquisition did not come to are left out, or, between others, read as zeros; both are said.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_rdpdenoise.axes import check_axes
from napari_rdpdenoise.io.images import ImageInfo, choose_image
from napari_rdpdenoise.io.source import ImageMetadata, Index, Layout, check_dtype
from napari_rdpdenoise.io.tiff.micromanager import acquisition_metadata
from napari_rdpdenoise.io.tiff.present import whole_prefix

INDEX = "NDTiff.index"
_MAGIC = 483729
_LETTERS = {"time": "T", "z": "Z", "channel": "C"}
_OF_IMAGES = ("position", "row", "column")
_SPARE = "QRPMAHEVUWBDFGJKLNOI"
_RGB = 2
_DTYPES = {0: "uint8", _RGB: "uint8"}  # all others are 16 bits with fewer in use


@dataclass(frozen=True)
class _Plane:
    """Entry of the index: place along its axes, file, and where in it pixels and description lie."""

    place: Mapping[str, int | str]
    file: str
    offset: int
    shape: tuple[int, int]
    kind: int
    compression: int
    about: tuple[int, int]


def index_of(path: Path) -> Path | None:
    """The index of an NDTiff folder, or of the folder that a file of it lies in; None for anything else."""
    if path.is_dir():
        found = (path / INDEX, path / "Full resolution" / INDEX)
        return next((index for index in found if index.is_file()), None)
    index = path.parent / INDEX
    if not index.is_file():
        return None
    with path.open("rb") as file:
        head = file.read(12)
    order = "<" if head[:2] == b"II" else ">"
    return index if len(head) == 12 and struct.unpack(f"{order}I", head[8:])[0] == _MAGIC else None


def ndtiff_images(index: Path) -> list[ImageInfo]:
    """What images there are; raises as `NDTiffSource` does."""
    return [image.info for image in _images(index)]


@dataclass(frozen=True)
class _Image:
    """Planes of one position: letters and values of their leading axes, and the planes by their index."""

    name: str
    letters: str
    names: tuple[str, ...]
    values: tuple[tuple[int | str, ...], ...]
    planes: Mapping[Index, _Plane]

    @property
    def leading(self) -> tuple[int, ...]:
        return tuple(len(values) for values in self.values)

    @property
    def plane(self) -> tuple[int, ...]:
        first = next(iter(self.planes.values()))
        return (*first.shape, 3) if first.kind == _RGB else first.shape

    @property
    def info(self) -> ImageInfo:
        axes = self.letters + ("YXS" if len(self.plane) == 3 else "YX")
        return ImageInfo(self.name, axes, (*self.leading, *self.plane))


class NDTiffSource:
    """One image of an NDTiff data set as an ImageSource; reads may come from several threads.

    Args:
        index: The file NDTiff.index.
        axes: Axes in the place of those of the file; None for those.
        series: Number of the position; None for the first, with a warning.

    Raises:
        ValueError: If the index holds no plane, or planes that are compressed or of several sizes, there is
            no such series, or the axes do not fit.
    """

    def __init__(self, index: Path, axes: str | None = None, series: int | None = None) -> None:
        self._folder, name = index.parent, _name(index)
        images = _images(index)
        image = images[choose_image([image.info for image in images], series, name)]
        self._image = image
        kinds = {(plane.shape, plane.kind, plane.compression) for plane in image.planes.values()}
        ((_, kind, compression), *others) = kinds
        if others or compression:
            raise ValueError(
                f"image: expected uncompressed planes of one size, found others in {name}; "
                "export it as OME-TIFF with Micro-Manager"
            )
        with (self._folder / next(iter(image.planes.values())).file).open("rb") as file:
            little = file.read(2) == b"II"
        stored_dtype = np.dtype(_DTYPES.get(kind, "uint16"))
        self._stored = stored_dtype.newbyteorder("<") if little else stored_dtype.newbyteorder(">")
        self.dtype = check_dtype(self._stored)
        leading = _said_leading(image, name)
        stored = image.letters + ("YXS" if len(image.plane) == 3 else "YX")
        self._layout = Layout(check_axes(axes or stored, len(stored)), (*leading, *image.plane))
        self.shape = self._layout.shape
        self.metadata = self._describe(name).fitted(self._layout.axes, self.shape)

    def _describe(self, name: str) -> ImageMetadata:
        summary, planes = _summary(self._folder), self._image.planes
        about = {index: _about(self._folder, plane) for index, plane in planes.items()}
        values = dict(zip(self._image.letters, self._image.values, strict=True))
        channels = [str(value) for value in values.get("C", ()) if isinstance(value, str)]
        return acquisition_metadata(
            ImageMetadata(self._layout.axes, channel_names=tuple(channels), name=name),
            self._image.letters,
            self._layout.stored_shape[: len(self._image.letters)],
            summary,
            about,
        )

    def read(self, index: Index, y: slice, x: slice) -> np.ndarray:
        """Read one block of one plane: shape ``(rows, columns)``, raw counts."""
        key = self._layout.key(index, y, x)
        count = len(self._image.letters)
        place = tuple(part for part in key[:count] if isinstance(part, int))
        if len(place) < count:
            raise ValueError("axes: expected Y and X last among the axes of NDTiff; leave axes out")
        plane = self._image.planes.get(place)
        if plane is None:
            block = np.zeros(self._image.plane, self._stored)[key[count:]]
        else:
            mapped = np.memmap(self._folder / plane.file, self._stored, "r", plane.offset, self._image.plane)
            block = np.array(mapped[key[count:]])
        return np.ascontiguousarray(self._layout.orient(block), dtype=self.dtype)

    def close(self) -> None:
        """Nothing stays open between reads."""

    def fingerprint(self) -> str:
        """Identity from index and files: name, size and time of change."""
        digest = hashlib.blake2b(repr((self._layout, self._image.name)).encode(), digest_size=16)
        names = {INDEX, *(plane.file for plane in self._image.planes.values())}
        for path in sorted(self._folder / name for name in names):
            state = path.stat()
            digest.update(repr((path.name, state.st_size, state.st_mtime_ns)).encode())
        return digest.hexdigest()


def _name(index: Path) -> str:
    folder = index.parent
    return folder.parent.name if folder.name == "Full resolution" else folder.name


def _images(index: Path) -> list[_Image]:
    planes = list(_entries(index))
    if not any(_is_there(index.parent, plane) for plane in planes):
        raise ValueError(
            f"image: expected planes, found none that is whole in {index}; copy the data set again"
        )
    groups: dict[tuple[Any, ...], list[_Plane]] = {}
    for plane in planes:
        groups.setdefault(tuple(plane.place.get(axis) for axis in _OF_IMAGES), []).append(plane)
    found = [_image(index.parent, place, groups[place]) for place in sorted(groups, key=_sortable)]
    return [image for image in found if image.planes]


def _image(folder: Path, place: tuple[Any, ...], planes: Sequence[_Plane]) -> _Image:
    """Planes of one position; those that the index names but their files do not hold count as missing."""
    names = list(dict.fromkeys(axis for plane in planes for axis in plane.place if axis not in _OF_IMAGES))
    order = {"time": 0, "z": 2, "channel": 3}
    names.sort(key=lambda axis: order.get(axis, 1))
    spare = iter(_SPARE)
    letters = "".join(_LETTERS.get(axis) or next(spare) for axis in names)
    values = []
    for axis in names:
        found = list(dict.fromkeys(plane.place.get(axis, 0) for plane in planes))
        is_named = any(isinstance(value, str) for value in found)
        values.append(tuple(found if is_named else sorted(found)))
    where = [{value: k for k, value in enumerate(along)} for along in values]
    indexed = {
        tuple(where[k][plane.place.get(axis, 0)] for k, axis in enumerate(names)): plane
        for plane in planes
        if _is_there(folder, plane)
    }
    named = zip(_OF_IMAGES, place, strict=True)
    said = " ".join(f"{axis} {value}" for axis, value in named if value is not None)
    return _Image(said, letters, tuple(names), tuple(values), indexed)


def _sortable(place: tuple[Any, ...]) -> tuple[tuple[bool, Any], ...]:
    return tuple((isinstance(value, str), -1 if value is None else value) for value in place)


def _said_leading(image: _Image, name: str) -> tuple[int, ...]:
    """Sizes of the leading axes without what is not there at their end, with a warning that counts it."""
    present = np.zeros(image.leading, bool)
    for index in image.planes:
        present[index] = True
    flat = present.ravel()
    kept = whole_prefix(image.leading, int(np.flatnonzero(flat)[-1]) + 1)
    if flat.all():
        return image.leading
    used = present[tuple(slice(size) for size in kept)]
    warnings.warn(
        f"{name}: {int(flat.sum())} of {flat.size} planes were written and are whole; "
        f"read as {image.letters} {kept}"
        + (f", with {int((~used).sum())} that are missing as zeros" if not used.all() else ""),
        stacklevel=5,
    )
    return kept


def _entries(index: Path) -> Iterator[_Plane]:
    """Entries of the index up to its end, or to where it was cut off."""
    data, at = index.read_bytes(), 0
    try:
        while at < len(data):
            (length,) = struct.unpack_from("<I", data, at)
            place = json.loads(data[at + 4 : at + 4 + length])
            at += 4 + length
            (length,) = struct.unpack_from("<I", data, at)
            file = data[at + 4 : at + 4 + length].decode()
            at += 4 + length
            offset, width, height, kind, compression, about, size, _ = struct.unpack_from("<8I", data, at)
            at += 32
            yield _Plane(place, Path(file).name, offset, (height, width), kind, compression, (about, size))
    except (struct.error, ValueError):
        warnings.warn(
            f"{index} is cut off at byte {at}: planes that were written later are not found", stacklevel=7
        )


def _is_there(folder: Path, plane: _Plane) -> bool:
    samples = 3 if plane.kind == _RGB else 1
    size = math.prod(plane.shape) * samples * np.dtype(_DTYPES.get(plane.kind, "uint16")).itemsize
    try:
        return plane.offset + size <= (folder / plane.file).stat().st_size
    except OSError:
        return False


def _summary(folder: Path) -> Mapping[str, Any]:
    """What the acquisition says of itself, in the head of any of its files."""
    import tifffile

    for path in sorted(folder.glob("*.tif")):
        try:
            with path.open("rb") as file:
                found = tifffile.read_micromanager_metadata(file, {"Summary"})
        except (OSError, ValueError):
            continue
        if isinstance(found.get("Summary"), dict):
            return found["Summary"]
    return {}


def _about(folder: Path, plane: _Plane) -> Mapping[str, Any]:
    start, size = plane.about
    try:
        with (folder / plane.file).open("rb") as file:
            file.seek(start)
            found = json.loads(file.read(size))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
