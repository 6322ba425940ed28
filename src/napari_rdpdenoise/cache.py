"""LatentCache: bytes by content key, in memory first, then on disk.

A key names its value for good (`digest` of everything the value depends on), so a value never changes,
nothing has to be locked between processes, and losing an entry costs time only.

On disk each value is one file, `<folder>/ab/ab12...cd.lat`, named by the digest of its key::

    magic "RDPC", version byte, CRC-32 of name and value (little-endian), value

It is written beside and renamed, so a reader finds a whole file or none. Whatever fails its checksum is
a miss and is removed. The least recently used files go first when the size limit is reached; the
file's modification time is the time of its last use.
"""

from __future__ import annotations

import hashlib
import os
import re
import struct
import threading
import time
import warnings
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from cachetools import LRUCache

from napari_rdpdenoise.files import UNFINISHED_SUFFIX, atomic, cache_folder

__all__ = ["CacheStats", "LatentCache", "digest"]

MIB = 1024**2

_MAGIC = b"RDPC\x01"
_CRC = struct.Struct("<I")
_HEADER_BYTES = len(_MAGIC) + _CRC.size
# Only files of these names are ever removed, so a cache folder set to a folder with other files is harmless.
_OURS = re.compile(rf"[0-9a-f]{{32}}\.lat(\.[0-9a-f]+{re.escape(UNFINISHED_SUFFIX)})?")
# A write takes milliseconds: a temporary file of this age was left by a process that was killed.
_STALE_S = 600.0


@dataclass(frozen=True)
class CacheStats:
    """Counters of one cache object and the sizes it knows of.

    Attributes:
        hits: `get` calls that returned a value.
        misses: `get` calls that returned None.
        memory_bytes: Values held in memory.
        disk_bytes: Files on disk, of all processes as of the last look at the folder, and own writes since.
        entries: Values on disk, or in memory where there is no folder.
    """

    hits: int
    misses: int
    memory_bytes: int
    disk_bytes: int
    entries: int


def digest(*parts: bytes | str | npt.NDArray[Any]) -> str:
    """Return a key for a list of values: 32 hexadecimal digits (BLAKE2b, 128 bits).

    Each part enters with its kind and length, an array with dtype and shape: ("ab", "c") is not ("a", "bc").

    Raises:
        TypeError: If a part is neither bytes, text, nor an array of a dtype without Python objects.
    """
    state = hashlib.blake2b(digest_size=16)
    for part in parts:
        if isinstance(part, bytes):
            _feed(state, b"b", part)
        elif isinstance(part, str):
            _feed(state, b"s", part.encode())
        elif isinstance(part, np.ndarray) and not part.dtype.hasobject:
            _feed(state, b"a", f"{part.dtype.str}{part.shape}".encode())
            _feed(state, b"d", np.ascontiguousarray(part).reshape(-1).view(np.uint8))
        else:
            found = getattr(part, "dtype", type(part).__name__)
            raise TypeError(
                f"parts must be bytes, str or numeric arrays, got {found}; use repr() for numbers"
            )
    return state.hexdigest()


def _feed(state: Any, kind: bytes, content: bytes | npt.NDArray[np.uint8]) -> None:
    state.update(kind + len(content).to_bytes(8, "little"))
    state.update(content)


class LatentCache:
    """Bytes by key with a byte budget in memory and another on disk, least recently used out first.

    Safe to share between threads; any number of processes may use one folder. A folder that cannot be
    written to costs a warning, never the run.

    Args:
        memory_bytes: Budget for values in memory, bytes; 0 keeps none.
        disk_bytes: Limit of the folder, bytes; 0 keeps none. One process never exceeds it; each
            further process that writes at the same time may add a sixteenth until it looks again.
        folder: Folder of the files; "default" for `files.cache_folder()`, None for memory only.

    Raises:
        ValueError: If a budget is negative.
    """

    def __init__(
        self,
        memory_bytes: int = 256 * MIB,
        disk_bytes: int = 2048 * MIB,
        folder: Path | str | None = "default",
    ) -> None:
        for name, value in (("memory_bytes", memory_bytes), ("disk_bytes", disk_bytes)):
            if value < 0:
                raise ValueError(f"{name} must be 0 or more bytes, got {value}; use 0 to keep nothing there")
        if folder is not None:
            folder = cache_folder() if folder == "default" else Path(folder)
        self.folder: Path | None = folder
        self._memory: LRUCache[str, bytes] = LRUCache(memory_bytes, getsizeof=len)
        self._disk = None if folder is None else _Disk(folder, disk_bytes)
        self._lock = threading.Lock()
        self._hits = 0
        self._misses = 0

    def get(self, key: str) -> bytes | None:
        """Return the value of a key, or None if it is not held or its file is damaged."""
        with self._lock:
            value = self._memory.get(key)
        if self._disk is not None:
            if value is None:
                value = self._disk.read(digest(key))
            else:
                self._disk.touch(digest(key))
        with self._lock:
            if value is None:
                self._misses += 1
            else:
                self._hits += 1
                self._remember(key, value)
        return value

    def put(self, key: str, value: bytes) -> None:
        """Keep bytes under a key that names no other, see `digest`; any above a budget is not kept there."""
        if not isinstance(value, bytes):
            raise TypeError(f"value must be bytes, got {type(value).__name__}; convert it with bytes()")
        with self._lock:
            self._remember(key, value)
        if self._disk is not None:
            self._disk.write(digest(key), value)

    def drop(self, key: str) -> None:
        """Forget the value of a key that turned out not to be what its key names."""
        with self._lock:
            self._memory.pop(key, None)
        if self._disk is not None:
            self._disk.drop(digest(key))

    def _remember(self, key: str, value: bytes) -> None:
        self._memory.pop(key, None)  # older cachetools make room for both the old value and the new
        with suppress(ValueError):  # above the whole budget
            self._memory[key] = value

    def __contains__(self, key: str) -> bool:
        """Tell whether a value is held; neither counted nor checked for damage."""
        return key in self._memory or (self._disk is not None and self._disk.path(digest(key)).is_file())

    def clear(self) -> None:
        """Forget all values and remove their files, also those of other processes; the counters stay."""
        self.close()
        if self._disk is not None:
            self._disk.clear()

    def stats(self) -> CacheStats:
        """Return the counters and sizes; the first call looks through the folder."""
        disk_bytes, entries = (0, 0) if self._disk is None else self._disk.usage()
        with self._lock:
            if self._disk is None:
                entries = len(self._memory)
            return CacheStats(self._hits, self._misses, int(self._memory.currsize), disk_bytes, entries)

    def close(self) -> None:
        """Release the memory; the files stay for the next run, and the object can be used again."""
        with self._lock:
            self._memory.clear()


class _Disk:
    """Files by name within a size limit. Reading takes no lock, writing one per object."""

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder = folder
        self._limit = limit
        self._lock = threading.Lock()
        self._bytes = self._entries = 0
        # Bytes written since the folder was last looked through; None: never looked.
        self._unseen: int | None = None
        self._warned = False

    def path(self, name: str) -> Path:
        return self._folder / name[:2] / f"{name}.lat"

    def read(self, name: str) -> bytes | None:
        path = self.path(name)
        try:
            data = path.read_bytes()
        except OSError:
            return None
        value = data[_HEADER_BYTES:]
        if data[:_HEADER_BYTES] != _header(name, value):
            self.drop(name)
            return None
        self.touch(name)
        return value

    def drop(self, name: str) -> None:
        with suppress(OSError):
            self.path(name).unlink(missing_ok=True)

    def touch(self, name: str) -> None:
        # Explicit nanoseconds: the kernel's own "now" is too coarse to keep the order of quick hits.
        now = time.time_ns()
        with suppress(OSError):
            os.utime(self.path(name), ns=(now, now))

    def write(self, name: str, value: bytes) -> None:
        size = _HEADER_BYTES + len(value)
        # A whole file of this name has this value, whoever wrote it; reading it also removes a damaged one.
        if size > self._limit or self.read(name) is not None:
            return
        with self._lock:
            try:
                self._make_room(size)
                _write(self.path(name), _header(name, value) + value)
            except OSError as error:
                self._warn(error)
                return
            self._bytes += size
            self._entries += 1
            self._unseen = (self._unseen or 0) + size

    def usage(self) -> tuple[int, int]:
        with self._lock:
            if self._unseen is None:
                self._look()
            return self._bytes, self._entries

    def clear(self) -> None:
        with self._lock:
            self._remove(self._look(), 0)

    def _make_room(self, size: int) -> None:
        """Remove files until `size` more bytes fit.

        The folder is looked through when the own count says it is full, and every sixteenth of the
        limit, because other processes write too. An eighth is freed at once, so this stays rare.
        """
        due = self._unseen is None or self._unseen + size > self._limit // 16
        if due or self._bytes + size > self._limit:
            files = self._look()
            if self._bytes + size > self._limit:
                self._remove(files, max(self._limit * 7 // 8 - size, 0))

    def _look(self) -> list[tuple[int, str, int]]:
        """Count the files, sweep stale temporary ones, return (last use in ns, path, bytes) of each value."""
        values: list[tuple[int, str, int]] = []
        self._bytes = 0
        stale_ns = time.time_ns() - int(_STALE_S * 1e9)
        for entry in self._files():
            with suppress(OSError):  # another process removed it
                info = entry.stat()
                if entry.name.endswith(UNFINISHED_SUFFIX) and info.st_mtime_ns < stale_ns:
                    Path(entry.path).unlink()
                    continue
                self._bytes += info.st_size
                if entry.name.endswith(".lat"):
                    values.append((info.st_mtime_ns, entry.path, info.st_size))
        self._entries = len(values)
        self._unseen = 0
        return values

    def _files(self) -> Iterator[os.DirEntry[str]]:
        for number in range(256):
            with suppress(OSError), os.scandir(self._folder / f"{number:02x}") as entries:
                yield from (entry for entry in entries if _OURS.fullmatch(entry.name))

    def _remove(self, values: list[tuple[int, str, int]], goal: int) -> None:
        """Remove the least recently used values until the files have at most `goal` bytes."""
        for _, path, size in sorted(values):
            if self._bytes <= goal:
                return
            with suppress(PermissionError):  # held open by a reader (Windows): the next one, then
                Path(path).unlink(missing_ok=True)
                self._bytes -= size
                self._entries -= 1

    def _warn(self, error: OSError) -> None:
        """Say once that the folder cannot be used."""
        text = f"cache folder {self._folder} cannot be written ({error}); going on without it. "
        text += "Free space there or set RDPDENOISE_CACHE to another folder"
        if not self._warned:
            self._warned = True
            warnings.warn(text, RuntimeWarning, stacklevel=4)


def _write(path: Path, data: bytes) -> None:
    """Write a file, whose last use is now."""
    path.parent.mkdir(parents=True, exist_ok=True)
    now = time.time_ns()
    with atomic(path) as fresh:
        fresh.write_bytes(data)
        os.utime(fresh, ns=(now, now))


def _header(name: str, value: bytes) -> bytes:
    """First bytes of a file; the name is in the checksum, so a misplaced file is a miss too."""
    return _MAGIC + _CRC.pack(zlib.crc32(value, zlib.crc32(name.encode())))
