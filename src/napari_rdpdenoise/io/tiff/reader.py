"""TIFF files read lazily through tifffile: only the strips or tiles that a block touches are decoded.

    series (any axes, any compression) -> tifffile's zarr view -> last decoded chunks -> block of one plane
    series in one uncompressed run     -> mapped for the read  --------------------->

Several resolutions: the first (full) one. Several images: the one asked for (`tiff_images`).
"""

from __future__ import annotations

import glob
import hashlib
import html
import math
import re
import warnings
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_rdpdenoise.axes import DEFAULT_AXES, check_axes
from napari_rdpdenoise.io.images import ImageInfo, choose_image
from napari_rdpdenoise.io.limits import check_claim, check_part, opening, reading
from napari_rdpdenoise.io.ome_mending import is_ome, mended
from napari_rdpdenoise.io.source import ImageMetadata, Index, Layout, check_dtype, check_shape
from napari_rdpdenoise.io.tiff.imagej_counts import planes_in, with_right_counts, wrong_counts
from napari_rdpdenoise.io.tiff.images import TiffImage, images_in
from napari_rdpdenoise.io.tiff.left_out import left_out
from napari_rdpdenoise.io.tiff.present import leading_count

UNKNOWN_AXES = "QI"
"""Letters tifffile gives to dimensions without a meaning: other, sequence."""


class TiffSource:
    """A TIFF file as an ImageSource; reads may come from several threads.

    Args:
        path: The file; of a multi-file OME-TIFF any file, siblings are found beside it.
        axes: Axes of the image as stored, None to take those of the file. Either with or without the
            dimensions of length 1 that TIFF readers usually drop.
        series: Number of the image where the file holds several; None for the first, with a warning.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no TIFF image, there is no such series, or the axes do not fit.
        TypeError: If its samples are of an unsupported type.
    """

    def __init__(self, path: str | Path, axes: str | None = None, series: int | None = None) -> None:
        self._path = Path(path)
        self._tif = open_tiff(self._path)
        # for those who forget to close: an open file that is collected is reported as a leak
        weakref.finalize(self, self._tif.close)
        try:
            with opening(self._path.name, "a TIFF image"):
                self._open(axes, series)
        except BaseException:
            self._tif.close()
            raise

    def _open(self, axes: str | None, number: int | None) -> None:
        images = images_in(self._tif, self._path)
        number = choose_image([image.info for image in images], number, self._path.name)
        self._image = image = images[number]
        for note in (*image.notes, *left_out(self._tif, self._path.name)):
            warnings.warn(note, stacklevel=4)
        series = image.series
        self.dtype = check_dtype(series.dtype)
        _refuse_three_bytes(series.keyframe, self._tif.byteorder, self._path.name)
        stored = sum(Path(file).stat().st_size for file in _files_of(series, self._path))
        check_claim(image.sizes, self.dtype, stored, self._path.name)
        stored_axes, stored_shape = _resolve_axes(image, axes, self._path.name)
        self.axes_assumed = axes is None and any(letter in UNKNOWN_AXES for letter in image.axes)
        self._layout = Layout(stored_axes, check_shape(stored_shape))
        self._stored_dtype = series.dtype.newbyteorder(self._tif.byteorder)
        self._kept = _kept(stored_axes, stored_shape) if len(stored_shape) > len(image.sizes) else None
        self.shape = self._layout.shape
        self.metadata = self._describe()
        # of a file that was cut off the part that is there, which comes first
        self._run_shape = tuple(series.get_shape(True)) if image.fixed else image.sizes
        self._run_offset = _uncompressed_run(series, self._run_shape, self._path)
        self._array: Any = None
        self._store: Any = None
        if self._run_offset is None:
            self._open_chunks()

    def _open_chunks(self) -> None:
        import zarr

        from napari_rdpdenoise.io.tiff.chunk_cache import ChunkCacheStore

        series = self._image.series
        check_part(series.keyframe.chunks, self.dtype, self._path.name, "strip or tile")
        if self.shape[-1] == 1:
            # tifffile's view takes other axes for the plane's where rows are one pixel long
            self._array = series.asarray().reshape(series.get_shape(True))
            return
        self._store = ChunkCacheStore(series.aszarr(level=0, squeeze=True))
        self._array = zarr.open_array(store=self._store, mode="r", zarr_format=2)

    def _describe(self) -> ImageMetadata:
        from napari_rdpdenoise.io.tiff.metadata import read_metadata

        name = re.sub(r"\.ome$", "", self._path.stem, flags=re.IGNORECASE)
        known = read_metadata(self._tif, self._image, self._layout.axes, self.shape[:-2])
        return replace(known, name=name).fitted(self._layout.axes, self.shape)

    def read(self, index: Index, y: slice, x: slice) -> np.ndarray:
        """Read one block of one plane: shape ``(rows, columns)``, raw counts in the file's dtype."""
        key = list(self._layout.key(index, y, x))
        if self._kept is not None:
            key = [key[position] for position in self._kept]
        for position, chosen in self._image.fixed:
            key.insert(position, chosen)
        with reading(self._path.name, index, lambda: self._place_of(tuple(key))):
            if self._run_offset is None:
                block = np.asarray(self._array[tuple(key)])
            else:
                # Mapped anew for each read: pages of a lasting map would count as memory of this process.
                mapped = np.memmap(self._path, self._stored_dtype, "r", self._run_offset, self._run_shape)
                block = np.array(mapped[tuple(key)])
        return np.ascontiguousarray(self._layout.orient(block), dtype=self.dtype)

    def _place_of(self, key: tuple[int | slice, ...]) -> str:
        """Where the data of a plane begin in the file, in words; empty where it is not known."""
        sizes = self._image.series.get_shape(True)
        count = leading_count(self._image.series)
        index = [part for part in key[: count or 0] if isinstance(part, int)]
        try:
            if count is None or len(index) != count:
                return ""
            page = self._image.series[int(np.ravel_multi_index(index, sizes[:count])) if count else 0]
            return f" (from byte {min(page.dataoffsets)} on)"
        except (AttributeError, IndexError, ValueError):
            return ""

    def close(self) -> None:
        """Close the file and its siblings."""
        if self._store is not None:
            self._store.close()
        self._tif.close()

    def fingerprint(self) -> str:
        """Identity from name, size and time of change of the file and its siblings, shape and axes."""
        digest = hashlib.blake2b(digest_size=16)
        image = self._image
        digest.update(repr((self._layout, self.dtype.str, image.fixed, image.number, image.notes)).encode())
        for path in sorted(_files_of(image.series, self._path)):
            state = path.stat()
            digest.update(repr((path.name, state.st_size, state.st_mtime_ns)).encode())
        return digest.hexdigest()


def _refuse_three_bytes(page: Any, byteorder: str, name: str) -> None:
    """Refuse integers of 24 bits, the lowest byte first, which are not decoded as what they are."""
    if page.bitspersample == 24 and page.dtype is not None and page.dtype.kind in "iu" and byteorder == "<":
        raise TypeError(
            f"image: expected integers of 8, 16 or 32 bits, found 24 bits in {name}; save it with 32 bits"
        )


def _files_of(series: Any, path: Path) -> set[Path]:
    """Files that pages of a series lie in, absolute."""
    files = {path.resolve()}
    if series.is_multifile:
        pages = (page for page in series if page is not None)
        files |= {Path(file).resolve() for file in {page.parent.filehandle.path for page in pages}}
    return files


def open_tiff(path: Path) -> Any:
    """Open a ``tifffile.TiffFile``.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no TIFF file, or cut off before its first directory.
    """
    import tifffile

    if not path.is_file():
        raise FileNotFoundError(f"image: expected a TIFF file, found none at {path}")
    try:
        tif = tifffile.TiffFile(path)
    except OSError:
        raise
    except Exception as error:  # of a damaged file nearly any kind
        raise ValueError(
            f"image: expected a whole TIFF file, found {path.name} of {path.stat().st_size} bytes: {error}; "
            "it may have been cut off: copy or export it again"
        ) from error
    _mend_description(tif)
    return tif


def _mend_description(tif: Any) -> None:
    """Put a description that is understood in the place of one that is not, where it is clear."""
    try:
        page = tif.pages.first
        if is_ome(page.description):
            page.description = mended(page.description)
        elif wrong_counts(page.description):
            page.description = with_right_counts(page.description, planes_in(tif))
    except Exception:  # of a damaged file nearly any kind; what is wrong with it is said where it is read
        return


def tiff_images(path: Path) -> list[ImageInfo]:
    """What images there are in a TIFF file; raises as `TiffSource` does."""
    with open_tiff(path) as tif, opening(path.name, "a TIFF image"):
        return [image.info for image in images_in(tif, path)]


def files_of_set(path: Path) -> set[Path]:
    """Files that hold one image together with a TIFF file, by its own metadata, there or not."""
    try:
        tif = open_tiff(path)
    except ValueError:
        return set()
    with tif:
        names = re.findall(r'<(?:\w+:)?UUID\b[^>]*\bFileName="([^"]+)"', tif.ome_metadata or "")
        files = {(path.parent / html.unescape(name)).resolve() for name in names}
        if not files and tif.is_micromanager and "_MMStack" in path.name:
            prefix = path.name.split("_MMStack")[0]
            files = {file.resolve() for file in path.parent.glob(f"{glob.escape(prefix)}_MMStack*.tif")}
        return files


def _resolve_axes(image: TiffImage, axes: str | None, name: str) -> tuple[str, tuple[int, ...]]:
    """Axes as stored and their sizes, with the dimensions of length 1 only if ``axes`` counts them."""
    short = image.sizes
    if axes is not None:
        letters, whole = _whole_shape(image)
        if len(axes.strip()) == len(whole) > len(short):
            given = check_axes(axes, len(whole))
            if [given.index(axis) for axis in "YX"] == [letters.index(axis) for axis in "YX"]:
                return given, whole
        return check_axes(axes, len(short)), short
    found = image.axes
    unknown = [letter for letter in found if letter in UNKNOWN_AXES]
    if unknown:
        found = _name_unknown(found, len(unknown), name)
    return check_axes(found, len(short)), short


def _whole_shape(image: TiffImage) -> tuple[str, tuple[int, ...]]:
    """Axes and sizes with the dimensions of length 1, but for one sample per pixel, which means nothing."""
    sizes = iter(image.sizes)
    fixed = {image.series.get_axes(True)[position] for position, _ in image.fixed}
    pairs = zip(image.series.get_axes(False), image.series.get_shape(False), strict=True)
    kept = [
        (letter, next(sizes) if size > 1 or letter in "YX" else 1)
        for letter, size in pairs
        if not (size > 1 and letter in fixed) and (letter != "S" or size > 1)
    ]
    return "".join(letter for letter, _ in kept), tuple(size for _, size in kept)


def _kept(axes: str, whole: tuple[int, ...]) -> tuple[int, ...]:
    """Positions of the dimensions that are not of length 1 or are Y or X."""
    places = enumerate(zip(axes, whole, strict=True))
    return tuple(i for i, (axis, size) in places if size > 1 or axis in "YX")


def _name_unknown(found: str, count: int, name: str) -> str:
    """Replace axes without a meaning: one becomes time, several the default order of arrays."""
    free = [letter for letter in "TZC" if letter not in found]
    default = DEFAULT_AXES.get(count + 2, "")
    if count == 1 and free:
        assumed = re.sub(f"[{UNKNOWN_AXES}]", free[0], found)
    elif default and found.strip(UNKNOWN_AXES) in ("YX", "YXS"):
        assumed = default + found.lstrip(UNKNOWN_AXES)[2:]
    else:
        raise ValueError(
            f"axes: expected known axes, found {found} in {name}, where Q and I have no meaning; "
            "give the axes (--axes), such as TZCYX"
        )
    warnings.warn(
        f"{name} does not say what its axes {found} mean; taken as {assumed} (if that is wrong, give others: "
        "--axes on the command line, axes in the dock)",
        stacklevel=6,
    )
    return assumed


def _uncompressed_run(series: Any, shape: tuple[int, ...], path: Path) -> int | None:
    """Offset in bytes where an array of that shape lies as one run, None where it does not."""
    if series.is_multifile or series.transform is not None or series.dataoffset is None:
        return None
    end = series.dataoffset + math.prod(shape) * series.dtype.itemsize
    return int(series.dataoffset) if end <= path.stat().st_size else None
