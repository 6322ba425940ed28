"""What reaches the disk, and what is said when it is full."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

_REFUSED = {
    errno.EROFS: "one on a file system that is read-only",
    errno.EACCES: "one that you may not write to",
    errno.EPERM: "one that you may not write to",
    errno.EFBIG: "one whose file system, or a limit of the session, does not take files that large",
    errno.ENOTDIR: "a file in its place",
}


class NoSpaceError(OSError):
    """The disk is full; the text says how much is needed."""

    def __str__(self) -> str:
        return str(self.strerror)


class NotWritableError(OSError):
    """A place cannot be written to; the text says why."""

    def __str__(self) -> str:
        return str(self.strerror)


def refused(error: OSError, target: Path) -> NotWritableError | None:
    """The same in words of what its user can change; None for what is no refusal of the place of a result."""
    why = _REFUSED.get(error.errno or 0)
    if why is None or isinstance(error, NotWritableError):
        return None
    return NotWritableError(
        error.errno,
        f"output: expected a folder for {target.name} that can be written to, found {why}: "
        f"{target.parent}; choose another folder",
    )


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
