"""A layer of a store as an image of its own: tile by tile, so that memory does not grow with it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import NamedTuple

from napari_rdpdenoise.io import ImageSource, Index, OutputSpec, open_sink, planes
from napari_rdpdenoise.io.arrays import ArraySource
from napari_rdpdenoise.io.ome_zarr.reader import open_zarr
from napari_rdpdenoise.store.reading import open_group, open_store
from napari_rdpdenoise.store.view import StoredLayer
from napari_rdpdenoise.tiles import GRID

__all__ = ["Block", "blocks", "extract", "store_source"]


class Block(NamedTuple):
    """A tile of a plane: index of the plane, rows and columns."""

    plane: Index
    y: slice
    x: slice


def store_source(
    path: str | Path, realism: float | None = None, layer: StoredLayer | None = None
) -> ImageSource:
    """A store as an image that is read lazily, with its metadata; arguments and errors as of `open_store`."""
    array = open_store(path, realism=realism, layer=layer)
    known = open_zarr(str(path))
    return ArraySource(array, None, known.metadata, f"{known.fingerprint()} {realism} {layer}")


def blocks(source: ImageSource, path: str | Path) -> list[Block]:
    """Blocks of a store, each of which is one chunk."""
    rows, columns = open_group(path)["0"].chunks[-2:]
    height, width = source.shape[-2:]
    places = [
        (slice(y, min(y + rows, height)), slice(x, min(x + columns, width)))
        for y, x in product(range(0, height, rows), range(0, width, columns))
    ]
    return [Block(index, *place) for index in planes(source) for place in places]


def extract(
    path: str | Path,
    target: str | Path,
    *,
    realism: float | None = None,
    layer: StoredLayer | None = None,
    overwrite: bool = False,
) -> Iterator[tuple[int, int]]:
    """Write one layer of a store to a file, yielding how many of how many blocks are done.

    Args:
        path: Folder of the store.
        target: Path of the result, which ends with ``.ome.zarr`` or ``.ome.tif``.
        realism: Realism of the denoised image, 0 to 1; None as for `open_store`.
        layer: "denoised" or "original"; None as for `open_store`.
        overwrite: Whether a finished result there is replaced.

    Raises:
        FileNotFoundError: If there is no store.
        FileExistsError: If there is a finished result and ``overwrite`` is false.
        ValueError: If it is no store, or the ending of the target is of no known format.
        StoreError: If a chunk is damaged, or the original was not kept.
    """
    source = store_source(path, realism, layer)
    todo = blocks(source, path)
    edge = max(max(block.y.stop - block.y.start, block.x.stop - block.x.start) for block in todo)
    tile = -(-edge // GRID) * GRID
    job = f"{layer} {realism} of {source.fingerprint()}"
    spec = OutputSpec(source.shape, source.metadata.axes, source.dtype, source.metadata, tile, job)
    sink = open_sink(target, spec, overwrite=overwrite)
    try:
        for done, block in enumerate(todo):
            yield done, len(todo)
            if not sink.is_done(block.plane, block.y.start, block.x.start):
                sink.write(*block, source.read(*block))
                sink.mark_done(block.plane, block.y.start, block.x.start)
        sink.finish()
    except BaseException:
        sink.abort()
        raise
    yield len(todo), len(todo)
