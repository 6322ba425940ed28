"""Files of microscope makers, through BioIO and its plugins, an extra of this package: CZI, ND2, LIF.

BioIO is imported when the first such file is opened. A plane is read when it is asked for, and the last ones
are kept. Scenes are images of their own.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from cachetools import LRUCache

from napari_rdpdenoise.axes import check_axes
from napari_rdpdenoise.io.images import ImageInfo, choose_image
from napari_rdpdenoise.io.limits import reading
from napari_rdpdenoise.io.metadata import ImageMetadata
from napari_rdpdenoise.io.ome_xml import put_step, read_ome
from napari_rdpdenoise.io.source import Index, Layout, check_dtype, check_shape

_KEPT = 2**28  # bytes of planes


def open_scenes(path: Path) -> Any:
    """Open a file with BioIO.

    Raises:
        ValueError: If BioIO, or its plugin for this kind of file, is not installed, or the file is damaged.
    """
    remedy = (
        f"install the readers of such files (pip install 'napari-rdpdenoise[formats]', or bioio with "
        f"bioio-{path.suffix.lower()[1:]}), or export it as OME-TIFF"
    )
    try:
        from bioio import BioImage
        from bioio_base.exceptions import UnsupportedFileFormatError
    except ImportError as error:
        raise ValueError(f"image: expected a reader for {path.name}, found none; {remedy}") from error
    try:
        return BioImage(path)
    except UnsupportedFileFormatError as error:
        raise ValueError(f"image: expected a reader for {path.name}, found no plugin; {remedy}") from error
    except Exception as error:  # whatever the maker's library raises for a damaged file
        raise ValueError(
            f"image: expected a whole {path.suffix} file, found {path.name} damaged or of an unknown kind "
            f"({error}); copy or export it again"
        ) from error


def vendor_images(path: Path) -> list[ImageInfo]:
    """What scenes there are in a file; raises as `open_scenes` does."""
    return _scenes(open_scenes(path))


def _scenes(image: Any) -> list[ImageInfo]:
    found = []
    for number, name in enumerate(image.scenes):
        image.set_scene(number)
        axes, shape = _squeezed(str(image.dims.order), tuple(image.shape))
        found.append(ImageInfo(str(name), axes, shape))
    return found


def _squeezed(axes: str, shape: Sequence[int]) -> tuple[str, tuple[int, ...]]:
    kept = [(axis, size) for axis, size in zip(axes, shape, strict=True) if size > 1 or axis in "YX"]
    return "".join(axis for axis, _ in kept), tuple(size for _, size in kept)


class VendorSource:
    """One scene of a file as an ImageSource; reads may come from several threads.

    Args:
        path: The file.
        axes: Axes in the place of the file's, those of length 1 left out; None for the file's.
        series: Number of the scene; None for the first, with a warning.

    Raises:
        ValueError: If there is no reader for it, there is no such scene, or the axes do not fit.
        TypeError: If its samples are of an unsupported type.
    """

    def __init__(self, path: Path, axes: str | None = None, series: int | None = None) -> None:
        self._path = path
        self._image = open_scenes(path)
        self._number = choose_image(_scenes(self._image), series, path.name)
        self._image.set_scene(self._number)
        order, shape = str(self._image.dims.order), tuple(self._image.shape)
        found, sizes = _squeezed(order, shape)
        self._whole = list(zip(order, shape, strict=True))
        self.dtype = check_dtype(self._image.dtype)
        self._layout = Layout(check_axes(axes or found, len(sizes)), check_shape(sizes))
        self.shape = self._layout.shape
        self._data = self._image.dask_data
        self._lock = threading.Lock()
        self._planes: LRUCache[Any, np.ndarray] = LRUCache(_KEPT, getsizeof=lambda plane: plane.nbytes)
        self.metadata = self._describe().fitted(self._layout.axes, self.shape)

    def _describe(self) -> ImageMetadata:
        axes = self._layout.axes
        known = ImageMetadata(axes)
        if xml := _ome_text(self._image):
            known = replace(read_ome(xml, self._number, axes, self.shape[:-2]), number=self._number)
        scale, units = dict(known.scale), dict(known.units)
        sizes = self._image.physical_pixel_sizes
        for axis in "ZYX":
            put_step(scale, units, axis, getattr(sizes, axis, None), "µm")
        interval = _said(self._image, "time_interval")
        seconds = interval.total_seconds() if hasattr(interval, "total_seconds") else interval
        put_step(scale, units, "T", seconds, "s")
        names = tuple(map(str, _said(self._image, "channel_names") or ()))
        return replace(
            known, scale=scale, units=units, channel_names=known.channel_names or names, name=self._path.stem
        )

    def read(self, index: Index, y: slice, x: slice) -> np.ndarray:
        """Read one block of one plane: shape ``(rows, columns)``, raw counts in the file's dtype."""
        key = self._layout.key(index, y, x)
        parts = iter(key)
        whole = [next(parts) if size > 1 or axis in "YX" else 0 for axis, size in self._whole]
        plane = tuple(part if isinstance(part, int) else slice(None) for part in whole)
        with reading(self._path.name, index), self._lock:  # makers' libraries are not made for threads
            kept = self._planes.get(plane_key := str(plane))
            if kept is None:
                kept = np.asarray(self._data[plane].compute(scheduler="synchronous"))
                if kept.nbytes <= _KEPT:
                    self._planes[plane_key] = kept
        block = kept[tuple(part for part in whole if isinstance(part, slice))]
        return np.ascontiguousarray(self._layout.orient(block), dtype=self.dtype)

    def close(self) -> None:
        """Let go of the file."""
        self._data = self._image = None
        self._planes.clear()

    def fingerprint(self) -> str:
        """Identity from name, size and time of change of the file, and the scene."""
        state = self._path.stat()
        said = (self._layout, self._number, self._path.name, state.st_size, state.st_mtime_ns)
        return hashlib.blake2b(repr(said).encode(), digest_size=16).hexdigest()


def _ome_text(image: Any) -> str:
    """OME-XML that a plugin makes of the maker's metadata; empty where it makes none."""
    found = _said(image, "ome_metadata")
    try:
        return found if isinstance(found, str) else str(found.to_xml())
    except Exception:  # metadata are decoration
        return ""


def _said(image: Any, name: str) -> Any:
    try:
        return getattr(image, name)
    except Exception:  # not every plugin has everything
        return None
