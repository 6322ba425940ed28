"""Image files as dask arrays, read as they are looked at. No Qt, no napari."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari_rdpdenoise.files import is_zarr
from napari_rdpdenoise.io.opening import open_image
from napari_rdpdenoise.io.source import ImageSource

_CHUNK = 1024  # px, of what is read at once


def lazy_source(source: ImageSource, name: str) -> Any:
    """An open image as a dask array of its canonical axes; it stays open for as long as the array lives.

    Arrays of one ``name`` share what dask keeps of them, so it has to stand for the content.
    """
    import dask.array as da

    chunks = (*((1,) * (len(source.shape) - 2)), _CHUNK, _CHUNK)
    return da.from_array(_Sliceable(source), chunks=chunks, name=name, asarray=False)


def open_levels(path: str, series: int | None = None) -> list[ImageSource]:
    """Open an image file with its lower resolutions, finest first; only OME-Zarr has several.

    ``series`` and errors are those of `open_image`.
    """
    if not is_zarr(Path(path)):
        return [open_image(path, series=series)]
    from napari_rdpdenoise.io.ome_zarr.reader import zarr_levels

    return [*zarr_levels(path, series)]


class _Sliceable:
    """An ImageSource as dask reads it: full keys of slices, one plane at a time."""

    def __init__(self, source: ImageSource) -> None:
        self._source = source
        self.shape, self.dtype, self.ndim = source.shape, source.dtype, len(source.shape)

    def __getitem__(self, key: tuple[Any, ...]) -> Any:
        import numpy as np

        # dask passes whole numbers on where it was sliced with them
        places = [
            range(part, part + 1) if isinstance(part, int | np.integer) else range(size)[part]
            for part, size in zip(key, self.shape, strict=True)
        ]
        # a source reads without steps
        y, x = (slice(min(place), max(place) + 1) if place else slice(0, 0) for place in places[-2:])
        steps = tuple(slice(None, None, place.step) for place in places[-2:])
        out = np.empty(tuple(len(place) for place in places), self.dtype)
        for target in np.ndindex(out.shape[:-2]):
            index = tuple(place[i] for place, i in zip(places[:-2], target, strict=True))
            out[target] = self._source.read(index, y, x)[steps]
        return out[tuple(slice(None) if isinstance(part, slice) else 0 for part in key)]
