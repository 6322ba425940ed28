"""Coded chunks into the shards of a Zarr array: their bytes one after the other, then an index.

As the codec ``sharding_indexed`` of Zarr 3 reads them, the index at the end: offset and size of each chunk,
uint64, all ones where there is none, and its CRC-32C. Zarr's own writer would code each chunk again.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from napari_rdpdenoise.files import atomic
from napari_rdpdenoise.io.output.disk import sync
from napari_rdpdenoise.io.output.sharding import planes_together
from napari_rdpdenoise.store.container import StoreError

_SHARD_BYTES = 2**25  # of pixels: a file of a few MB
_MOST_CHUNKS = 256
_NONE = 2**64 - 1


def chunks_together(leading: tuple[int, ...], chunk_bytes: int) -> tuple[int, ...]:
    """How many planes along each leading axis share a shard, the last axes first.

    Args:
        leading: Sizes of the leading axes.
        chunk_bytes: Bytes of the pixels of one chunk.
    """
    return planes_together(leading, min(max(1, _SHARD_BYTES // chunk_bytes), _MOST_CHUNKS))


def put_chunks(chunks: Path, array: Any, folder: Path) -> None:
    """Put the files of coded chunks into the place of an array's chunks or shards.

    Args:
        chunks: Folder of a Zarr array of the same chunks without shards.
        array: Zarr array without pixels yet.
        folder: Its folder.
    """
    outer = array.shards or array.chunks
    size = [edge // chunk for edge, chunk in zip(outer, array.chunks, strict=True)]
    for place in np.ndindex(*(-(-length // edge) for length, edge in zip(array.shape, outer, strict=True))):
        first = [number * step for number, step in zip(place, size, strict=True)]
        inside = product(*(range(start, start + step) for start, step in zip(first, size, strict=True)))
        files = [chunks.joinpath("c", *map(str, chunk)) for chunk in inside]
        if not any(file.is_file() for file in files):
            continue
        target = folder.joinpath("c", *map(str, place))
        target.parent.mkdir(parents=True, exist_ok=True)
        with atomic(target) as fresh:
            if array.shards is None:
                shutil.copyfile(files[0], fresh)
            else:
                _write_shard(fresh, files)
        sync(target)


def _write_shard(path: Path, files: list[Path]) -> None:
    from numcodecs.checksum32 import CRC32C

    index = np.full((len(files), 2), _NONE, "<u8")
    at = 0
    with path.open("wb") as shard:
        for number, file in enumerate(files):
            if file.is_file():
                data = file.read_bytes()
                shard.write(data)
                index[number] = at, len(data)
                at += len(data)
        shard.write(bytes(CRC32C(location="end").encode(index)))


def read_chunks(folder: Path, array: Any) -> Iterator[tuple[tuple[int, ...], bytes]]:
    """Number along each axis and bytes of all chunks of an array that are there.

    Args:
        folder: Folder of the array.
        array: Zarr array.

    Raises:
        StoreError: If a shard is damaged.
    """
    outer = array.shards or array.chunks
    size = [edge // chunk for edge, chunk in zip(outer, array.chunks, strict=True)]
    for place in np.ndindex(*(-(-length // edge) for length, edge in zip(array.shape, outer, strict=True))):
        file = folder.joinpath("c", *map(str, place))
        if not file.is_file():
            continue
        data = file.read_bytes()
        if array.shards is None:
            yield place, data
            continue
        for inside, (start, length) in zip(np.ndindex(*size), _index_of(data, size), strict=True):
            if start != _NONE:
                first = (number * step for number, step in zip(place, size, strict=True))
                yield tuple(a + b for a, b in zip(first, inside, strict=True)), data[start : start + length]


def _index_of(data: bytes, size: list[int]) -> list[tuple[int, int]]:
    """Offset and size of each chunk of a shard."""
    from numcodecs.checksum32 import CRC32C

    length = 16 * math.prod(size) + 4
    try:
        index = np.frombuffer(CRC32C(location="end").decode(data[-length:]), "<u8").reshape(-1, 2)
    except (RuntimeError, ValueError) as error:
        raise StoreError(
            f"shard: expected an index of {math.prod(size)} chunks at its end, found another ({error}); copy "
            "the store again"
        ) from None
    return [(int(start), int(length)) for start, length in index]
