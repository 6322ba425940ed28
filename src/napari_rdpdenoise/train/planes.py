"""The user's images as planes in memory: from arrays, files, folders, or several of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_rdpdenoise.io import open_image
from napari_rdpdenoise.io import planes as plane_indices
from napari_rdpdenoise.train.images import image_files

MOST_PLANES, MOST_PIXELS = 256, 64_000_000  # more add time, not knowledge
_LEAST = 64  # px


@dataclass(frozen=True)
class Planes:
    """Planes of one channel, raw counts.

    Attributes:
        planes: 2-D arrays.
        names: where each came from.
        left_out: how many there were beyond the most that are used.
    """

    planes: tuple[NDArray[Any], ...]
    names: tuple[str, ...]
    left_out: int = 0

    def __len__(self) -> int:
        return len(self.planes)

    @property
    def pixels(self) -> int:
        """Of all planes."""
        return sum(p.size for p in self.planes)

    def fingerprints(self) -> tuple[str, ...]:
        """One per plane: shape, type and content as 16 hexadecimal digits."""
        return tuple(_fingerprint(plane) for plane in self.planes)


def take_planes(images: Any, name: str, *, thin: bool = True) -> Planes:
    """Planes of what a user gives.

    Args:
        images: an array (2-D, or a stack whose last two axes are Y and X), a path of an image or of a folder
            of images, or a list of these.
        name: of the argument, for errors.
        thin: of many planes take an even share; pairs must not be thinned apart.

    Raises:
        FileNotFoundError: if a path does not exist or a folder holds no image.
        TypeError: if values are not real numbers.
        ValueError: if there is nothing in it, or a plane is too small.
    """
    found = [(plane, where) for plane, where in _each(images, name)]
    if not found:
        raise ValueError(f"{name}: expected at least one image, found none")
    for plane, where in found:
        _check(plane, where, name)
    kept = _thinned(found) if thin else found
    arrays, names = zip(*kept, strict=True)
    return Planes(tuple(arrays), tuple(names), len(found) - len(kept))


def filled(plane: NDArray[Any]) -> NDArray[Any]:
    """The plane with its median in the place of what is not finite."""
    if plane.dtype.kind != "f" or np.isfinite(plane).all():
        return plane
    return np.where(np.isfinite(plane), plane, np.nanmedian(np.where(np.isfinite(plane), plane, np.nan)))


def _each(images: Any, name: str) -> Iterator[tuple[NDArray[Any], str]]:
    if isinstance(images, str | Path):
        path = Path(images)
        folder = path.is_dir() and not _is_zarr(path)
        for file in image_files(path) if folder else [path]:
            yield from _of_file(file)
    elif isinstance(images, Sequence):
        for number, part in enumerate(images):
            for plane, where in _each(part, name):
                yield (
                    plane,
                    where if isinstance(part, str | Path) else f"{name}[{number}]{where[len(name) :]}",
                )
    else:
        array = np.asarray(images)
        if array.ndim < 2:
            raise ValueError(f"{name}: expected planes or a stack, found the shape {array.shape}")
        stack = array.reshape(-1, *array.shape[-2:])
        for number, plane in enumerate(stack):
            yield plane, name if len(stack) == 1 else f"{name} plane {number}"


def _of_file(path: Path) -> Iterator[tuple[NDArray[Any], str]]:
    if path.suffix.lower() == ".png":
        if not path.is_file():
            raise FileNotFoundError(f"image: expected a file, found nothing at {path}; check the path")
        yield _grey(path), path.name
        return
    if path.suffix.lower() in (".tif", ".tiff") and path.is_file() and _is_colour(path):
        raise _colour_error(path)
    source = open_image(path)
    try:
        # not "S": so are called the planes of a stack whose file names no axes
        if any(axis == "C" and n > 1 for axis, n in zip(source.metadata.axes, source.shape, strict=True)):
            raise ValueError(
                f"image: expected one channel, found {source.metadata.axes} of sizes {source.shape} in "
                f"{path}; save the channel to learn from as an image of its own"
            )
        indices = plane_indices(source)
        for index in indices:
            plane = source.read(index, slice(0, source.shape[-2]), slice(0, source.shape[-1]))
            place = ",".join(map(str, index))
            yield plane, f"{path.name} [{place}]" if len(indices) > 1 else path.name
    finally:
        source.close()


def _grey(path: Path) -> NDArray[Any]:
    """The one channel of a PNG, without alpha; of a grey image that was saved as RGB, one of the three.

    Raises:
        ValueError: if it has colours.
    """
    from skimage.io import imread

    image = np.asarray(imread(path))
    if image.ndim == 2:
        return image
    if image.shape[-1] >= 3 and (image[..., 1:3] != image[..., :1]).any():
        raise _colour_error(path)
    return image[..., 0]


def _colour_error(path: Path) -> ValueError:
    return ValueError(
        f"image: expected one channel, found a colour image (RGB) in {path}; save the channel to learn "
        "from as a grey image of its own"
    )


def _is_colour(path: Path) -> bool:
    try:
        with tifffile.TiffFile(path) as file:
            page = file.pages.first  # tifffile calls any stack of three planes RGB, but never interleaves it
            interleaved = page.planarconfig == tifffile.PLANARCONFIG.CONTIG
            return page.photometric == tifffile.PHOTOMETRIC.RGB and interleaved
    except tifffile.TiffFileError:
        return False  # whoever opens it says what is wrong


def _is_zarr(path: Path) -> bool:
    return any((path / name).exists() for name in ("zarr.json", ".zarray", ".zgroup", ".zattrs"))


def _check(plane: NDArray[Any], where: str, name: str) -> None:
    if plane.dtype.kind not in "uif":
        raise TypeError(
            f"{name}: expected integers or floats of 8 to 64 bits, found {plane.dtype} in {where}; convert it"
        )
    if min(plane.shape) < _LEAST:
        raise ValueError(
            f"{name}: expected planes of at least {_LEAST} px each way, found {plane.shape} in {where}; "
            "give larger images, with Y and X as the last two axes"
        )
    if not np.isfinite(plane).any():
        raise ValueError(f"{name}: expected finite values, found none in {where}; leave it out")


def _thinned(found: list[tuple[NDArray[Any], str]]) -> list[tuple[NDArray[Any], str]]:
    pixels = sum(plane.size for plane, _ in found)
    most = min(MOST_PLANES, max(1, len(found) * MOST_PIXELS // max(pixels, 1)))
    if len(found) <= most:
        return found
    return [found[int(k)] for k in np.linspace(0, len(found) - 1, most).round()]


def _fingerprint(plane: NDArray[Any]) -> str:
    head = f"{plane.shape} {plane.dtype.str} ".encode()
    return hashlib.sha256(head + np.ascontiguousarray(plane).tobytes()).hexdigest()[:16]
