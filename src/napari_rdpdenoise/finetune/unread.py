"""Planes of what a user gives, counted before any is read: arrays, files, folders, or several of these."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_rdpdenoise.axes import is_picture
from napari_rdpdenoise.files import is_zarr
from napari_rdpdenoise.io import ImageSource, open_image
from napari_rdpdenoise.io import planes as plane_indices
from napari_rdpdenoise.train.data.images import image_files


@dataclass(frozen=True)
class UnreadPlane:
    """A plane that is counted, but not read yet.

    Attributes:
        shape: Rows and columns, px.
        where: Name of the place that it comes from, for messages.
        stack: Name of the file or array that it lies in.
        read: Function that reads it, while the file is open.
        of_picture: Whether it is a colour of a picture.
    """

    shape: tuple[int, ...]
    where: str
    stack: str
    read: Callable[[], NDArray[Any]]
    of_picture: bool = False

    @property
    def pixels(self) -> int:
        """Number of pixels, by the shape alone."""
        return int(np.prod(self.shape, dtype=np.int64))


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
        """Close the file that is open, if there is one."""
        if self._source is not None:
            self._source.close()
        self._source = None


def find_planes(images: Any, name: str, files: OpenFile) -> Iterator[UnreadPlane]:
    """Every plane of an array, an image, a folder of images, or a list of these; only shapes are read.

    ``name`` is the argument's in messages, ``files`` opens the files.

    Raises:
        FileNotFoundError: If a path does not exist or a folder holds no image.
        ValueError: If an array has no planes, or an image several channels or colours.
    """
    if isinstance(images, str | Path):
        path = Path(images)
        folder = path.is_dir() and not is_zarr(path)
        for file in image_files(path) if folder else [path]:
            yield from _of_file(file, files)
    elif isinstance(images, Sequence):
        for number, part in enumerate(images):
            place = f"{name}[{number}]"
            if isinstance(part, str | Path):
                yield from find_planes(part, name, files)
            elif not isinstance(part, Sequence) and len(np.shape(part)) == 2:
                yield from _of_array(part, place, name)
            else:
                yield from find_planes(part, place, files)
    else:
        yield from _of_array(images, name, name)


def _of_array(images: Any, name: str, stack: str) -> Iterator[UnreadPlane]:
    """Planes of an array of any library, which reads nothing before it is asked for a plane."""
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
    picture = is_picture(source.metadata.axes, source.shape)
    for index in indices:
        where = f"{path.name} [{','.join(map(str, index))}]" if len(indices) > 1 else path.name

        def read(index: tuple[int, ...] = index) -> NDArray[Any]:
            return files(path).read(index, slice(0, shape[0]), slice(0, shape[1]))

        yield UnreadPlane(shape, where, stack, read, picture)


def _png_shape(path: Path) -> tuple[int, ...]:
    """Rows and columns by the file's header."""
    with path.open("rb") as file:
        head = file.read(24)
    if not head.startswith(b"\x89PNG"):  # another format of that name, which the reader may know
        return _grey(path).shape
    width, height = (int.from_bytes(head[k : k + 4], "big") for k in (16, 20))
    return height, width


def _grey(path: Path) -> NDArray[Any]:
    """The one channel of a PNG, without alpha; of a grey image that was saved as RGB, one of the three."""
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
