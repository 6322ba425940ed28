"""How an output is cut into chunks, and these are put together in shards, each of which is a file."""

from __future__ import annotations

from typing import Any

from napari_rdpdenoise.io.output.spec import OutputSpec
from napari_rdpdenoise.io.output.storage import StoredLayout

MAX_CHUNK = 512
"""Edge of the largest chunk, px."""

_SMALL_PLANE = 2**18  # bytes; smaller planes share a shard, and so a file
_SHARED_SHARD, _MOST_TOGETHER = 2**22, 256  # bytes and number of planes in one file


def chunk_edge(tile: int) -> int:
    """Largest divisor of the tile's edge up to 512 pixels, so that tiles are whole chunks."""
    return next(edge for edge in range(min(tile, MAX_CHUNK), 0, -1) if tile % edge == 0)


def planes_per_shard(leading: tuple[int, ...], plane: tuple[int, int], spec: OutputSpec) -> tuple[int, ...]:
    """How many planes along each leading axis share a shard: one, but for small planes up to 256.

    Thousands of tiny frames would be thousands of files, each to be brought to the disk by itself.
    """
    size = plane[0] * plane[1] * spec.dtype.itemsize
    small = size <= _SMALL_PLANE and max(plane) <= min(spec.tile, MAX_CHUNK)
    return planes_together(leading, min(_SHARED_SHARD // size, _MOST_TOGETHER) if small else 1)


def planes_together(leading: tuple[int, ...], most: int) -> tuple[int, ...]:
    """How many planes along each leading axis go together, neighbours along the last axes first.

    Args:
        leading: Sizes of the leading axes.
        most: Number of planes that may go together, at least 1.
    """
    together = [1] * len(leading)
    for axis in reversed(range(len(leading))):
        together[axis] = max(1, min(leading[axis], most))
        most //= together[axis]
        if together[axis] < leading[axis]:
            break
    return tuple(together)


def create_array(
    group: Any,
    name: str,
    layout: StoredLayout,
    spec: OutputSpec,
    plane: tuple[int, int],
    together: tuple[int, ...] | None = None,
) -> Any:
    """Create one resolution in a zarr group, with ``plane`` as rows and columns; shards of it may be there.

    Chunks are at most 512 pixels, shards a plane (or so many ``together``) or, of larger planes, a tile.
    """
    from zarr.codecs import BloscCodec, BloscShuffle

    # Shards are whole chunks, and a block of the stream is whole shards: none is read back to be completed.
    chunks = tuple(min(chunk_edge(spec.tile), size) for size in plane)
    shards = tuple(
        -(-min(size, spec.tile) // chunk) * chunk for size, chunk in zip(plane, chunks, strict=True)
    )
    ones = (1,) * len(layout.shape[:-2])
    return group.create_array(
        name,
        shape=(*layout.shape[:-2], *plane),
        dtype=spec.dtype,
        chunks=(*ones, *chunks),
        shards=(*(together or ones), *shards),
        # a higher level saves at most 2 % of a denoised image, and takes ten times as long
        compressors=BloscCodec(cname="zstd", clevel=1, shuffle=BloscShuffle.bitshuffle),
        fill_value=0,
        dimension_names=tuple(layout.axes.lower()),
    )
