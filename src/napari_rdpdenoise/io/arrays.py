"""Arrays already in hand (NumPy, dask, zarr) as image sources."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_rdpdenoise.axes import COLOURS, check_axes, colour_count, default_axes, is_picture
from napari_rdpdenoise.io.limits import reading
from napari_rdpdenoise.io.source import ImageMetadata, Index, Layout, check_dtype, check_shape

HASHED_BYTES = 2**30
"""Arrays up to this size are hashed whole, larger ones by sampled rows of every plane."""


def open_npy(path: Path, axes: str | None = None) -> ArraySource:
    """Open a ``.npy`` file, mapped.

    Raises:
        ValueError: If it is cut off, holds objects, or the axes do not fit.
        TypeError: If its dtype is not supported.
    """
    try:
        array = np.load(path, mmap_mode="r")
    except ValueError as error:
        if "Python objects" in str(error):
            raise TypeError(
                f"image: expected an array of numbers, found one of Python objects in {path.name}, such as "
                "images of different sizes; save each of them by itself"
            ) from error
        raise ValueError(
            f"image: expected a whole array of numbers, found {path.name} of {path.stat().st_size} bytes: "
            f"{error}; it may have been cut off: copy or save it again"
        ) from error
    state = path.stat()
    # what is larger would not be read as a whole to know it again
    known = repr((path.name, state.st_size, state.st_mtime_ns)) if array.nbytes > HASHED_BYTES else None
    lazily = _MappedWhenRead(path, array) if isinstance(array, np.memmap) else array
    return ArraySource(lazily, axes, ImageMetadata(axes or "", name=path.stem), known)


class _MappedWhenRead:
    """A mapped file that is mapped anew for each read.

    Pages of a lasting map would count as memory of this process, and end it where somebody shortens the file.
    """

    def __init__(self, path: Path, mapped: np.memmap) -> None:
        self.shape, self.dtype = mapped.shape, mapped.dtype
        fortran = mapped.flags.f_contiguous and not mapped.flags.c_contiguous
        self._how: tuple[Any, ...] = (
            path.absolute(),
            mapped.dtype,
            "r",
            mapped.offset,
            mapped.shape,
            "F" if fortran else "C",
        )

    def __getitem__(self, key: Any) -> np.ndarray:
        return np.array(np.memmap(*self._how)[key])


def _mask(invalid: Any, shape: tuple[int, ...]) -> np.ndarray:
    mask = np.asarray(invalid)
    if mask.shape != shape[len(shape) - mask.ndim :] or mask.ndim < 2:
        raise ValueError(
            f"invalid: expected a mask of the array's shape {shape} or of its last axes, found {mask.shape}"
        )
    return np.broadcast_to(mask != 0, shape)


class ArraySource:
    """An array that can be sliced, as an ImageSource; only the slice asked for is read or computed.

    Args:
        array: NumPy, dask or zarr array, or anything with ``shape``, ``dtype`` and slicing. What a masked
            NumPy array hides is invalid.
        axes: Axes of the array as it is, None for those of ``metadata``, else YX, TYX, TZYX or TCZYX by the
            number of dimensions; 8-bit with a last axis of 3 or 4 is taken as colour (``YXS``, ``TYXS``).
        metadata: Scale, units and names where they are known; its axes are those as stored.
        identity: What tells this content from another; None to take it from the content.
        invalid: Mask of pixels that are not image, of the array's shape or of that of its last axes; None for
            none.

    Attributes:
        axes_assumed: Whether nobody has named the axes.

    Raises:
        ValueError: If the axes or the mask do not fit, or the array is empty or 1-D.
        TypeError: If the dtype is not supported.
    """

    def __init__(
        self,
        array: Any,
        axes: str | None = None,
        metadata: ImageMetadata | None = None,
        identity: str | None = None,
        invalid: Any = None,
    ) -> None:
        self.dtype = check_dtype(array.dtype)
        shape = check_shape(array.shape)
        if isinstance(array, np.ma.MaskedArray):
            hidden, array = np.ma.getmaskarray(array), array.data
            invalid = hidden if invalid is None else hidden | _mask(invalid, shape)
        named = axes or (metadata.axes if metadata else None)
        self.axes_assumed = not named
        given = named or default_axes(shape, self.dtype)
        self._layout = Layout(check_axes(given, len(shape)), shape)
        self.shape = self._layout.shape
        known = metadata or ImageMetadata(given)
        if is_picture(self._layout.stored_axes, shape) and not known.photometric:
            opacity = colour_count(self._layout.stored_axes, shape) > COLOURS
            known = replace(known, photometric="rgb", alpha="unassalpha" if opacity else "")
        self.metadata = known.fitted(self._layout.axes, self.shape)
        self._array = array
        self._identity = identity
        self._invalid = None if invalid is None else _mask(invalid, shape)

    @property
    def stored_axes(self) -> str:
        """Axes of the array as it is, such as ``"YXS"``; ``metadata.axes`` are the canonical ones."""
        return self._layout.stored_axes

    def read(self, index: Index, y: slice, x: slice) -> np.ndarray:
        """Read one block of one plane: shape ``(rows, columns)``, raw counts in the array's dtype."""
        key = self._layout.key(index, y, x)
        with reading(self.metadata.name or "the array", index):
            block = np.asarray(self._array[key])
        return np.ascontiguousarray(self._layout.orient(block), dtype=self.dtype)

    def read_invalid(self, index: Index, y: slice, x: slice) -> np.ndarray | None:
        """Pixels of a block that the user declares invalid, bool; None for none."""
        if self._invalid is None:
            return None
        return self._layout.orient(self._invalid[self._layout.key(index, y, x)])

    def close(self) -> None:
        """Let go of the array."""
        self._array = None

    @property
    def identified(self) -> bool:
        """Whether its content is told from another without reading it."""
        return bool(self._known_as)

    @property
    def _known_as(self) -> str | None:
        graph_name = getattr(self._array, "name", None) if hasattr(self._array, "dask") else None
        return self._identity or graph_name

    def fingerprint(self) -> str:
        """Identity of axes, shape, dtype and content (dask: the name of its graph)."""
        digest = hashlib.blake2b(repr((self._layout, self.dtype.str)).encode(), digest_size=16)
        if self.identified:
            digest.update(str(self._known_as).encode())
        else:
            self._hash_content(digest)
        if self._invalid is not None:
            digest.update(np.packbits(self._invalid).tobytes())
        return digest.hexdigest()

    def _hash_content(self, digest: Any) -> None:
        rows, columns = self.shape[-2:]
        whole = int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize <= HASHED_BYTES
        band = max(1, 2**24 // (columns * self.dtype.itemsize))
        starts = range(0, rows, band) if whole else (0, rows // 3, rows // 2, rows - 1)
        for index in np.ndindex(*self.shape[:-2]):
            for start in starts:
                part = slice(start, start + (band if whole else 1))
                digest.update(self.read(index, part, slice(0, columns)).tobytes())
