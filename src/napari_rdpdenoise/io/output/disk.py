"""What reaches the disk, and what is said when it is full."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


class NoSpaceError(OSError):
    """The disk is full; the text says how much is needed."""

    def __str__(self) -> str:
        return str(self.strerror)


def sync(path: Path) -> None:
    """Bring a file or folder to the disk; pass over what is absent (an all-zero shard is not stored)."""
    with contextlib.suppress(FileNotFoundError, PermissionError):  # Windows does not open folders
        handle = os.open(path, os.O_RDWR if path.is_file() else os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def append(path: Path, text: str) -> None:
    """Append whole lines to a file, on the disk, or nothing."""
    before = path.stat().st_size
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        os.truncate(path, before)
        raise


def size_of(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
