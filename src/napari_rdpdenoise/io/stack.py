"""Many files of equal images as one image, a new axis through them."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from cachetools import LRUCache

from napari_rdpdenoise.io.source import ImageSource, Index

_OPEN_FILES = 32


class _Closing(LRUCache[int, ImageSource]):
    """Open files, the one used longest ago closed for a new one."""

    def popitem(self) -> tuple[int, ImageSource]:
        number, source = super().popitem()
        source.close()
        return number, source


class StackSource:
    """Files of equal shape and dtype as one ImageSource; its first axis counts the files.

    Args:
        paths: Files in their order.
        axis: Letter of the new axis.
        open_one: Function that opens one of them.

    Raises:
        ValueError: If the first has that axis already, or the last is unlike the first. Others are checked
            when they are read.
    """

    def __init__(self, paths: Sequence[str], axis: str, open_one: Any) -> None:
        self._paths, self._open_one = tuple(paths), open_one
        self._sources = _Closing(_OPEN_FILES)
        self._lock = threading.Lock()
        first = open_one(self._paths[0])
        self._sources[0] = first
        self._axes, self._shape = first.metadata.axes, first.shape
        self.dtype = first.dtype
        if axis in self._axes:
            raise ValueError(
                f"stack: expected files without the axis {axis}, found {self._axes} in {self._paths[0]}; "
                "choose another letter, or denoise the files one by one"
            )
        self.shape = (len(self._paths), *first.shape)
        self.metadata = replace(first.metadata, axes=axis + self._axes).fitted(axis + self._axes, self.shape)
        self._at(len(self._paths) - 1)

    def _at(self, number: int) -> ImageSource:
        source = self._sources.get(number)
        if source is None:
            source = self._open_one(self._paths[number])
            found = source.metadata.axes, source.shape, source.dtype
            if found != (self._axes, self._shape, self.dtype):
                source.close()
                raise ValueError(
                    f"stack: expected files alike, {self._axes} {self._shape} {self.dtype} as in "
                    f"{self._paths[0]}, found {found[0]} {found[1]} {found[2]} in {self._paths[number]}"
                )
            self._sources[number] = source
        return source

    def read(self, index: Index, y: slice, x: slice) -> np.ndarray:
        """Read one block of one plane of one file."""
        if not 0 <= index[0] < len(self._paths):
            raise IndexError(f"index: expected a file from 0 to {len(self._paths) - 1}, found {index[0]}")
        with self._lock:  # a file must not be closed while it is read
            return self._at(index[0]).read(index[1:], y, x)

    def close(self) -> None:
        """Close all files."""
        with self._lock:
            for source in self._sources.values():
                source.close()
            self._sources.clear()

    def fingerprint(self) -> str:
        """Identity from names, sizes and times of change of the files."""
        digest = hashlib.blake2b(repr((self.metadata.axes, self.shape)).encode(), digest_size=16)
        for path in self._paths:
            state = Path(path).stat()
            digest.update(repr((Path(path).name, state.st_size, state.st_mtime_ns)).encode())
        return digest.hexdigest()
