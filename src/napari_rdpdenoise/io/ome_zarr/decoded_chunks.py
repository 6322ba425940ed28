"""Keeps decoded chunks of a zarr array, so that each is decoded once however many planes lie in it.

A chunk may hold a thousand time points of a part of a plane: without this all of them would be decoded for
each plane again. Where the chunks that one plane touches fit into memory they are kept there, else in a
temporary file each, which the system holds in memory as far as there is room.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import shutil
import tempfile
import threading
import weakref
from pathlib import Path
from typing import Any

import numpy as np
from cachetools import LRUCache

from napari_rdpdenoise.io.ome_zarr.inflation import check_inflation

_MEMORY = 512 * 2**20  # bytes of chunks, at most
_FREE_SHARE = 1 / 8  # of the free memory
_DISK_SHARE = 1 / 2  # of the free space for temporary files

Chunk = tuple[int, ...]


class DecodedChunks:
    """A zarr array that is sliced with one whole number or slice (of step 1) per axis, one plane at a time.

    Args:
        array: Array with ``shape``, ``dtype``, ``chunks`` and slicing.
        memory: Bytes of chunks to keep in memory; None for up to 512 MiB.
        chunks: Sizes of what is decoded at once; None for those of the array.
    """

    def __init__(self, array: Any, memory: int | None = None, chunks: tuple[int, ...] | None = None) -> None:
        self._array, self._asked = array, memory
        self.shape, self.dtype = tuple(array.shape), array.dtype
        self.chunks = tuple(chunks or array.chunks)
        self.decoded = 0
        """Number of chunks decoded so far (diagnostic)."""
        self._lock = threading.Lock()
        self._kept: LRUCache[Chunk, Any] = LRUCache(
            _memory() if memory is None else memory, getsizeof=lambda data: data.nbytes
        )
        self._folder: Path | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return DecodedChunks, (self._array, self._asked, self.chunks)

    def __getitem__(self, key: tuple[int | slice, ...]) -> np.ndarray:
        """Read a part; axes that are named by a whole number are left out, as in NumPy."""
        wanted = [
            range(part, part + 1) if isinstance(part, int) else range(*part.indices(size))
            for part, size in zip(key, self.shape, strict=True)
        ]
        out = np.empty([len(part) for part in wanted], self.dtype)
        touched = [
            range(part.start // chunk, -(-part.stop // chunk)) if len(part) else range(0)
            for part, chunk in zip(wanted, self.chunks, strict=True)
        ]
        for chunk in itertools.product(*touched):
            check_inflation(self._array, chunk)
        needed = math.prod(map(len, touched)) * math.prod(self.chunks) * self.dtype.itemsize
        if not self._can_keep(needed):
            return np.asarray(self._array[key])
        for chunk in itertools.product(*touched):
            starts = [number * size for number, size in zip(chunk, self.chunks, strict=True)]
            data = self._chunk(chunk)
            inner, outer = [], []
            for start, part, length in zip(starts, wanted, data.shape, strict=True):
                first, last = max(part.start, start), min(part.stop, start + length)
                inner.append(slice(first - start, last - start))
                outer.append(slice(first - part.start, last - part.start))
            out[tuple(outer)] = data[tuple(inner)]
        return out[tuple(0 if isinstance(part, int) else slice(None) for part in key)]

    def _can_keep(self, needed: int) -> bool:
        """Whether so many bytes of chunks can be kept at once; once memory is too small, in files."""
        with self._lock:
            if needed <= self._kept.maxsize:
                return True
            if self._folder is not None:
                return False
            folder = Path(tempfile.mkdtemp(prefix="rdpdenoise-chunks-"))
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
            self._folder = folder
            room = int(_DISK_SHARE * shutil.disk_usage(folder).free)
            self._kept = _Files(room, getsizeof=lambda data: data.nbytes)
            return needed <= room

    def _chunk(self, chunk: Chunk) -> np.ndarray:
        with self._lock:
            kept: np.ndarray | None = self._kept.get(chunk)
        if kept is not None:
            return kept
        region = tuple(
            slice(number * size, min((number + 1) * size, length))
            for number, size, length in zip(chunk, self.chunks, self.shape, strict=True)
        )
        data = np.asarray(self._array[region])
        with self._lock:
            self.decoded += 1
            if (already := self._kept.get(chunk)) is not None:
                return already  # another thread was faster; a file that is mapped must not be written again
            if self._folder is not None:
                data = _in_file(data, self._folder / f"{self.decoded}.npy")
            with contextlib.suppress(ValueError):  # larger than all that is kept
                self._kept[chunk] = data
        return data


class _Files(LRUCache[Chunk, Any]):
    """Chunks in files; the file of one that is no longer kept goes."""

    def popitem(self) -> tuple[Chunk, Any]:
        chunk, data = super().popitem()
        if isinstance(data, np.memmap):
            with contextlib.suppress(OSError):
                Path(str(data.filename)).unlink()
        return chunk, data


def _in_file(data: np.ndarray, path: Path) -> np.ndarray:
    """The same array, mapped from a file; as it is where there is no room for one."""
    try:
        np.save(path, data)
        return np.load(path, mmap_mode="r")
    except OSError:
        return data


def _memory() -> int:
    import psutil

    return min(_MEMORY, int(_FREE_SHARE * psutil.virtual_memory().available))
