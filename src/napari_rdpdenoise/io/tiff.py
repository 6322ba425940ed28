"""TIFF files read lazily through tifffile: only the strips or tiles that a block touches are decoded.

    series (any axes, any compression) -> tifffile's zarr view -> last decoded chunks -> block of one plane
    series in one uncompressed run     -> mapped for the read  --------------------->

Several resolutions: the first (full) one. Several images: the first one, with a warning.
"""

from __future__ import annotations

import hashlib
import re
import warnings
import weakref
from pathlib import Path
from typing import Any

import numpy as np

from napari_rdpdenoise.io.source import (
    DEFAULT_AXES,
    ImageMetadata,
    Index,
    Layout,
    check_axes,
    check_dtype,
    check_shape,
)

UNKNOWN_AXES = "QI"
"""Letters tifffile gives to dimensions without a meaning: other, sequence."""


class TiffSource:
    """A TIFF file as an ImageSource; reads may come from several threads.

    Args:
        path: The file; of a multi-file OME-TIFF any file, siblings are found beside it.
        axes: Axes of the image as stored, None to take those of the file. Either with or without the
            dimensions of length 1 that TIFF readers usually drop.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no TIFF image, or the axes do not fit.
        TypeError: If its samples are of an unsupported type.
    """

    def __init__(self, path: str | Path, axes: str | None = None) -> None:
        import tifffile

        self._path = Path(path)
        if not self._path.is_file():
            raise FileNotFoundError(f"image: expected a TIFF file, found none at {self._path}")
        try:
            self._tif = tifffile.TiffFile(self._path)
        except tifffile.TiffFileError as error:
            raise ValueError(f"image: expected a TIFF file, found {self._path.name}: {error}") from error
        # for those who forget to close: an open file that is collected is reported as a leak
        weakref.finalize(self, self._tif.close)
        try:
            self._open(axes)
        except BaseException:
            self._tif.close()
            raise

    def _open(self, axes: str | None) -> None:
        if not self._tif.series:
            raise ValueError(
                f"image: expected at least one image in the TIFF, found none in {self._path.name}"
            )
        series = self._tif.series[0]
        if len(self._tif.series) > 1:
            warnings.warn(
                f"{self._path.name} holds {len(self._tif.series)} images; reading the first, of shape "
                f"{series.shape}",
                stacklevel=4,
            )
        self.dtype = check_dtype(series.dtype)
        stored_axes, stored_shape = _resolve_axes(series, axes, self._path.name)
        self._layout = Layout(stored_axes, check_shape(stored_shape))
        self._stored_dtype = series.dtype.newbyteorder(self._tif.byteorder)
        self._stored_shape = tuple(series.get_shape(True))
        self._kept = _kept(stored_axes, stored_shape) if len(stored_shape) > len(self._stored_shape) else None
        self.shape = self._layout.shape
        self._missing = _warn_missing(series, self._path.name)
        self.metadata = self._describe()
        self._run_offset = _uncompressed_run(series, self._path)
        self._array: Any = None
        self._store: Any = None
        if self._run_offset is None:
            self._open_chunks(series)

    def _open_chunks(self, series: Any) -> None:
        import zarr

        from napari_rdpdenoise.io.chunk_cache import ChunkCacheStore

        if self.shape[-1] == 1:
            # tifffile's view takes other axes for the plane's where rows are one pixel long
            self._array = series.asarray().reshape(self._stored_shape)
            return
        self._store = ChunkCacheStore(series.aszarr(level=0, squeeze=True))
        self._array = zarr.open_array(store=self._store, mode="r", zarr_format=2)

    def _describe(self) -> ImageMetadata:
        from napari_rdpdenoise.io.tiff_metadata import read_calibration

        name = re.sub(r"\.ome$", "", self._path.stem, flags=re.IGNORECASE)
        known = ImageMetadata(self._layout.axes, *read_calibration(self._tif), name)
        return known.fitted(self._layout.axes, self.shape)

    def read(self, index: Index, y: slice, x: slice) -> np.ndarray:
        """Read one block of one plane: shape ``(rows, columns)``, raw counts in the file's dtype."""
        key = self._layout.key(index, y, x)
        if self._kept is not None:
            key = tuple(key[position] for position in self._kept)
        if self._run_offset is None:
            block = np.asarray(self._array[key])
        else:
            # Mapped anew for each read: pages of a lasting map would count as memory of this process.
            mapped = np.memmap(self._path, self._stored_dtype, "r", self._run_offset, self._stored_shape)
            block = np.array(mapped[key])
        return np.ascontiguousarray(self._layout.orient(block), dtype=self.dtype)

    def close(self) -> None:
        """Close the file and its siblings."""
        if self._store is not None:
            self._store.close()
        self._tif.close()

    def fingerprint(self) -> str:
        """Identity from name, size and time of change of the file and its siblings, shape and axes."""
        digest = hashlib.blake2b(digest_size=16)
        digest.update(repr((self._layout, self.dtype.str, self._missing)).encode())
        paths = {self._path.resolve()}
        files = {page.parent.filehandle.path for page in self._tif.series[0] if page is not None}
        for path in sorted(paths | {Path(file).resolve() for file in files}):
            state = path.stat()
            digest.update(repr((path.name, state.st_size, state.st_mtime_ns)).encode())
        return digest.hexdigest()


def _resolve_axes(series: Any, axes: str | None, name: str) -> tuple[str, tuple[int, ...]]:
    """Axes as stored and their sizes, with the dimensions of length 1 only if ``axes`` counts them."""
    short = tuple(series.get_shape(True))
    if axes is not None:
        letters, whole = _whole_shape(series)
        if len(axes.strip()) == len(whole) > len(short):
            given = check_axes(axes, len(whole))
            if [given.index(axis) for axis in "YX"] == [letters.index(axis) for axis in "YX"]:
                return given, whole
        return check_axes(axes, len(short)), short
    found = series.get_axes(True).upper()
    unknown = [letter for letter in found if letter in UNKNOWN_AXES]
    if unknown:
        found = _name_unknown(found, len(unknown), name)
    return check_axes(found, len(short)), short


def _whole_shape(series: Any) -> tuple[str, tuple[int, ...]]:
    """Axes and sizes with the dimensions of length 1, but for one sample per pixel, which means nothing."""
    pairs = zip(series.get_axes(False), series.get_shape(False), strict=True)
    kept = [(letter, size) for letter, size in pairs if letter != "S" or size > 1]
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
        f"{name} does not say what its axes {found} mean; taken as {assumed} (give others with --axes)",
        stacklevel=6,
    )
    return assumed


def _warn_missing(series: Any, name: str) -> int:
    """Number of planes whose file or page is absent (they read as zeros)."""
    missing = sum(page is None for page in series)
    if missing:
        warnings.warn(
            f"{name}: {missing} of {len(series)} planes are missing (their files are not beside it); "
            "they are read as zeros",
            stacklevel=5,
        )
    return missing


def _uncompressed_run(series: Any, path: Path) -> int | None:
    """Offset in bytes where the whole series lies as one plain array, None where it does not."""
    if series.is_multifile or series.transform is not None or series.dataoffset is None:
        return None
    end = series.dataoffset + int(np.prod(series.shape, dtype=np.int64)) * series.dtype.itemsize
    return int(series.dataoffset) if end <= path.stat().st_size else None
