"""Chunks of a Zarr array that are more than their array says, refused before they are decoded.

A decoder takes what a chunk gives: three megabytes of zeros, packed by zlib, are three gigabytes. Chunks in
files are looked at first; those inside shards and on servers are not. What lies in the place of a file and is
none is refused as well.
"""

from __future__ import annotations

import math
import stat
import zlib
from pathlib import Path
from typing import Any

_OVERHEAD = 2, 2**16  # times its pixels, and bytes, that a chunk takes at most in its file
_RATIO = 1032  # bytes that one byte of DEFLATE becomes at most
_ALLOWED = 2**26  # bytes that may be decoded in vain
_STEP = 2**20  # bytes


def check_inflation(array: Any, chunk: tuple[int, ...]) -> None:
    """Refuse a chunk that would be decoded to far more than a chunk of its array, or whose file is none.

    Zarr takes a folder in the place of a chunk, or of the shard that it lies in, for a chunk that is empty.

    Args:
        array: Zarr array; anything else is passed over.
        chunk: Number of the chunk along every axis.

    Raises:
        ValueError: If it would, or a folder is there.
    """
    path = _file_of(array, chunk)
    try:
        state = None if path is None else path.stat()
    except (FileNotFoundError, NotADirectoryError):  # empty, and not written
        return
    if path is None or state is None:
        return
    if stat.S_ISDIR(state.st_mode):
        raise ValueError(f"a folder in the place of the file {path.name} of a chunk")
    if getattr(array, "shards", None) is not None or not stat.S_ISREG(state.st_mode):
        return
    expected, stored = math.prod(array.chunks) * array.dtype.itemsize, state.st_size
    times, more = _OVERHEAD
    if stored > times * expected + more:
        raise ValueError(f"{stored} bytes in the file of a chunk that has {expected}")
    window = _deflate_window(array)
    if window is not None and stored * _RATIO > expected + _ALLOWED:
        _check_deflate(path.read_bytes(), window, expected)


def _file_of(array: Any, chunk: tuple[int, ...]) -> Path | None:
    """File that holds a chunk, alone or with the others of its shard; None for an array without files."""
    root = getattr(getattr(array, "store", None), "root", None)
    encode = getattr(getattr(array, "metadata", None), "encode_chunk_key", None)
    if not isinstance(root, Path) or encode is None:
        return None
    if (shards := getattr(array, "shards", None)) is not None:
        sizes = zip(chunk, array.chunks, shards, strict=True)
        chunk = tuple(number * size // shard for number, size, shard in sizes)
    return root / array.path / encode(chunk)


def _deflate_window(array: Any) -> int | None:
    """Code that zlib has for the container of an array of DEFLATE chunks; else None."""
    last = (*array.compressors,)[-1:]
    names = [getattr(codec, "codec_id", type(codec).__name__).lower() for codec in last]
    return {"zlib": 15, "gzip": 31, "gzipcodec": 31}.get(names[0]) if names else None


def _check_deflate(data: bytes, window: int, expected: int) -> None:
    """Count what a chunk becomes, without keeping it, up to more than it may be."""
    reader, count = zlib.decompressobj(window), 0
    while data and not reader.eof:
        count += len(reader.decompress(data, _STEP))
        if count > expected:
            raise ValueError(f"a chunk of {expected} bytes that becomes more than {count}")
        if not (data := reader.unconsumed_tail):
            break
