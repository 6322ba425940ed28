"""Keeps the last decoded chunks of a TIFF, so that neighbouring tiles do not decode a strip again."""

from __future__ import annotations

import threading
from typing import Any

from cachetools import LRUCache
from zarr.abc.store import ByteRequest
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import WrapperStore


class ChunkCacheStore(WrapperStore[Any]):
    """Read-only wrapper around tifffile's store with a least-recently-used cache of decoded chunks.

    A tile and its halo touch a strip or file tile that its neighbours touch too, and each colour of an
    interleaved image needs the same chunk, so without this every chunk would be decoded several times.
    Of chunks larger than the whole budget the last one is kept.
    """

    def __init__(self, store: Any, limit_bytes: int = 64 * 2**20) -> None:
        super().__init__(store)
        self._chunks: LRUCache[str, Buffer] = LRUCache(limit_bytes, getsizeof=len)
        self._large: tuple[str, Buffer] | None = None
        self._lock = threading.Lock()
        self.decoded = 0
        """Number of chunks decoded so far (diagnostic)."""

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Decoded chunk of that key, None where the file has none."""
        with self._lock:
            kept = self._chunks.get(key)
            if kept is None and self._large is not None and self._large[0] == key:
                kept = self._large[1]
            if kept is not None:
                return kept
        value: Buffer | None = await self._store.get(key, prototype, byte_range)
        if value is not None and not key.endswith((".zarray", ".zattrs", ".zgroup")):
            self._keep(key, value)
        return value

    def _keep(self, key: str, value: Buffer) -> None:
        with self._lock:
            self.decoded += 1
            try:
                self._chunks[key] = value
            except ValueError:  # larger than the whole budget
                self._large = key, value
