"""Whether somebody wrote to files: names, sizes and times of change, of a folder as of a file.

A Zarr has as many files as chunks, so that looking at all of them takes seconds; it is done as few times as
can be, and no other way than by `folder_state`.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class FolderState:
    """What was found in a folder, at any depth, or of one file.

    Attributes:
        digest: Text that another name, size or time of change of any file makes another.
        stored: Sum of the sizes, bytes.
        odd: The first thing that is no plain file, in words with its path; empty for none.
    """

    digest: str
    stored: int
    odd: str


_looks: ContextVar[dict[Path, FolderState] | None] = ContextVar("looks", default=None)


@contextmanager
def one_look() -> Iterator[None]:
    """Look at each folder once in the block: who asks again is told what was found then."""
    token = _looks.set({})
    try:
        yield
    finally:
        _looks.reset(token)


def folder_state(path: Path) -> FolderState:
    """Look at all files of a folder, or at one file; links are followed.

    Raises:
        OSError: If a folder cannot be looked into.
    """
    known = _looks.get()
    if known is not None and path in known:
        return known[path]
    found = _looked_at(path)
    if known is not None:
        known[path] = found
    return found


def files_state(paths: Iterable[Path]) -> str:
    """What changes when somebody writes to files, or to files in folders: their number, sizes and times."""
    digest = hashlib.blake2b(digest_size=16)
    for path in sorted(paths):
        found = folder_state(path)
        digest.update(repr((str(path), found.digest, found.odd)).encode())
    return digest.hexdigest()


def _looked_at(path: Path) -> FolderState:
    digest, stored, odd = hashlib.blake2b(digest_size=16), 0, ""
    for where, file, state in _below(str(path)) if path.is_dir() else [(".", str(path), _state(path))]:
        if state is not None and stat.S_ISREG(state.st_mode):
            stored += state.st_size
            digest.update(repr((where, state.st_size, state.st_mtime_ns)).encode())
        elif not odd:
            odd = f"{'a link that leads nowhere' if state is None else 'a pipe or device'} at {file}"
    return FolderState(digest.hexdigest(), stored, odd)


def _state(entry: Path | os.DirEntry[str]) -> os.stat_result | None:
    """State of what an entry leads to; None where that is nothing."""
    try:
        return entry.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno == errno.ELOOP:
            return None
        raise


def _below(top: str) -> Iterator[tuple[str, str, os.stat_result | None]]:
    """Name in the whole, path and state of each file of a folder, then of those below it, one by one.

    What a link leads to is looked at once, so that links in a circle end.
    """
    linked, waiting = {_number(Path(top).stat())}, [(top, "")]
    while waiting:
        folder, name = waiting.pop()
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
        below = []
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                below.append(entry)
                continue
            state = _state(entry)
            if state is None or not stat.S_ISDIR(state.st_mode):
                yield name + entry.name, entry.path, state
            elif _number(state) not in linked:
                linked.add(_number(state))
                below.append(entry)
        waiting += [(entry.path, f"{name}{entry.name}/") for entry in reversed(below)]


def _number(state: os.stat_result) -> tuple[int, int]:
    return state.st_dev, state.st_ino
