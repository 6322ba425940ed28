"""The user's images as planes in memory: from arrays, files, folders, or several of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_rdpdenoise.io import ImageSource, open_image
from napari_rdpdenoise.io import planes as plane_indices
from napari_rdpdenoise.train.data.images import image_files

MOST_PLANES, MOST_PIXELS = 256, 64_000_000  # more add time, not knowledge
READ_PIXELS = 300_000_000  # of what cannot be thinned: 4 GB with its partners, which become float32
_LEAST = 64  # px


@dataclass(frozen=True)
class Planes:
    """Planes of one channel, raw counts.

    Attributes:
        planes: 2-D arrays.
        names: where each came from.
        stacks: the file or array of each. Planes that are given as a list are one: it may be a stack's.
        left_out: how many there were beyond the most that are used.
    """

    planes: tuple[NDArray[Any], ...]
    names: tuple[str, ...]
    stacks: tuple[str, ...]
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


@dataclass(frozen=True)
class UnreadPlane:
    """A plane that is counted, but not read yet."""

    shape: tuple[int, ...]
    where: str
    stack: str
    read: Callable[[], NDArray[Any]]

    @property
    def pixels(self) -> int:
        """Number of pixels, by the shape alone."""
        return int(np.prod(self.shape, dtype=np.int64))


def take_planes(images: Any, name: str, *, thin: bool = True) -> Planes:
    """Planes of what a user gives. All are counted first; only what is kept is read.

    Args:
        images: an array (2-D, or a stack whose last two axes are Y and X), a path of an image or of a folder
            of images, or a list of these.
        name: of the argument, for errors.
        thin: of many planes take an even share; pairs must not be thinned apart.

    Raises:
        FileNotFoundError: if a path does not exist or a folder holds no image.
        TypeError: if values are not real numbers.
        ValueError: if there is nothing in it, a plane is too small, or there is more than memory is for.
    """
    with closing(OpenFile()) as files:
        found = list(_each(images, name, files))
        if not found:
            raise ValueError(f"{name}: expected at least one image, found none")
        for place in found:
            _check_shape(place, name)
        kept = _thinned(found) if thin else found
        _check_pixels(kept, name, thin=thin)
        planes = tuple(_read(place, name) for place in kept)
    names, stacks = (tuple(getattr(place, field) for place in kept) for field in ("where", "stack"))
    return Planes(planes, names, stacks, len(found) - len(kept))


def refuse_constant(images: Planes, name: str) -> None:
    """Nothing can be learned from, or judged by, planes of one value.

    Raises:
        ValueError: naming the first of them.
    """
    whole = [filled(plane) for plane in images.planes]
    flat = [k for k, plane in enumerate(whole) if plane.min() == plane.max()]
    if flat:
        more = f" and {len(flat) - 1} more" if len(flat) > 1 else ""
        raise ValueError(
            f"{name}: expected images with noise, found the one value {whole[flat[0]].min():g} everywhere in "
            f"{images.names[flat[0]]}{more}; leave such images out"
        )


def filled(plane: NDArray[Any]) -> NDArray[Any]:
    """The plane with its median in the place of what is not finite."""
    if plane.dtype.kind != "f" or np.isfinite(plane).all():
        return plane
    return np.where(np.isfinite(plane), plane, np.nanmedian(np.where(np.isfinite(plane), plane, np.nan)))


class OpenFile:
    """One file at a time, which stays open until another is wanted."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._source: ImageSource | None = None

    def __call__(self, path: Path) -> ImageSource:
        """The file of a path; another one that was open is closed."""
        if self._source is None or self._path != path:
            self.close()
            self._path, self._source = path, open_image(path)
        return self._source

    def close(self) -> None:
        """The file that is open."""
        if self._source is not None:
            self._source.close()
        self._source = None


def _each(images: Any, name: str, files: OpenFile) -> Iterator[UnreadPlane]:
    if isinstance(images, str | Path):
        path = Path(images)
        folder = path.is_dir() and not _is_zarr(path)
        for file in image_files(path) if folder else [path]:
            yield from _of_file(file, files)
    elif isinstance(images, Sequence):
        for number, part in enumerate(images):
            place = f"{name}[{number}]"
            if isinstance(part, str | Path):
                yield from _each(part, name, files)
            elif not isinstance(part, Sequence) and len(np.shape(part)) == 2:
                yield from _of_array(part, place, name)
            else:
                yield from _each(part, place, files)
    else:
        yield from _of_array(images, name, name)


def _of_array(images: Any, name: str, stack: str) -> Iterator[UnreadPlane]:
    """Of an array of any library, which reads nothing before it is asked for a plane."""
    array = images if hasattr(images, "shape") and hasattr(images, "dtype") else np.asarray(images)
    shape = tuple(int(n) for n in array.shape)
    if len(shape) < 2:
        raise ValueError(f"{name}: expected planes or a stack, found the shape {shape}")
    indices = list(np.ndindex(shape[:-2]))
    for number, index in enumerate(indices):
        where = name if len(indices) == 1 else f"{name} plane {number}"
        yield UnreadPlane(shape[-2:], where, stack, lambda index=index: np.asarray(array[index]))  # type: ignore[misc]


def _of_file(path: Path, files: OpenFile) -> Iterator[UnreadPlane]:
    stack = str(path.resolve())
    if path.suffix.lower() == ".png":
        if not path.is_file():
            raise FileNotFoundError(f"image: expected a file, found nothing at {path}; check the path")
        yield UnreadPlane(_png_shape(path), path.name, stack, lambda: _grey(path))
        return
    if path.suffix.lower() in (".tif", ".tiff") and path.is_file() and _is_colour(path):
        raise _colour_error(path)
    source = files(path)
    # not "S": so are called the planes of a stack whose file names no axes
    if any(axis == "C" and n > 1 for axis, n in zip(source.metadata.axes, source.shape, strict=True)):
        raise ValueError(
            f"image: expected one channel, found {source.metadata.axes} of sizes {source.shape} in "
            f"{path}; save the channel to learn from as an image of its own"
        )
    shape, indices = source.shape[-2:], plane_indices(source)
    for index in indices:
        where = f"{path.name} [{','.join(map(str, index))}]" if len(indices) > 1 else path.name

        def read(index: tuple[int, ...] = index) -> NDArray[Any]:
            return files(path).read(index, slice(0, shape[0]), slice(0, shape[1]))

        yield UnreadPlane(shape, where, stack, read)


def _png_shape(path: Path) -> tuple[int, ...]:
    """Rows and columns by the file's header."""
    with path.open("rb") as file:
        head = file.read(24)
    if not head.startswith(b"\x89PNG"):  # another format of that name, which the reader may know
        return _grey(path).shape
    width, height = (int.from_bytes(head[k : k + 4], "big") for k in (16, 20))
    return height, width


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


def _check_shape(place: UnreadPlane, name: str) -> None:
    if min(place.shape) < _LEAST:
        raise ValueError(
            f"{name}: expected planes of at least {_LEAST} px each way, found {place.shape} in "
            f"{place.where}; give larger images, with Y and X as the last two axes"
        )


def _check_pixels(kept: Sequence[UnreadPlane], name: str, *, thin: bool) -> None:
    pixels = sum(place.pixels for place in kept)
    if pixels > READ_PIXELS:
        what = "crop it" if thin else "give fewer pairs, or crop both of each alike"
        raise ValueError(
            f"{name}: expected at most {READ_PIXELS / 1e6:g} million pixels, which are held in memory, found "
            f"{pixels / 1e6:.0f} million in {len(kept)} planes; {what}"
        )


def _read(place: UnreadPlane, name: str) -> NDArray[Any]:
    plane = place.read()
    if plane.dtype.kind not in "uif":
        raise TypeError(
            f"{name}: expected integers or floats of 8 to 64 bits, found {plane.dtype} in {place.where}; "
            "convert it"
        )
    if not np.isfinite(plane).any():
        raise ValueError(f"{name}: expected finite values, found none in {place.where}; leave it out")
    return plane


def _thinned(found: list[UnreadPlane]) -> list[UnreadPlane]:
    """An even share of at most so many planes and, but for a single one, pixels."""
    pixels = sum(place.pixels for place in found)
    most = min(MOST_PLANES, len(found), max(1, len(found) * MOST_PIXELS // max(pixels, 1)))
    while True:
        kept = [found[int(k)] for k in np.linspace(0, len(found) - 1, most).round()]
        if most == 1 or sum(place.pixels for place in kept) <= MOST_PIXELS:
            return kept
        most -= 1


def _fingerprint(plane: NDArray[Any]) -> str:
    head = f"{plane.shape} {plane.dtype.str} ".encode()
    return hashlib.sha256(head + np.ascontiguousarray(plane).tobytes()).hexdigest()[:16]
