"""Files: written whole or not at all, by one process at a time, and the folders that belong to the user.

Three things that every package needs and that the standard library has in parts only::

    with atomic(path) as fresh:     # readers of path find the old file or the whole new one
        fresh.write_text("...")
    with locked(path):              # any other process or thread is refused in words
        ...
    cache_folder(), models_folder(), backbones_folder()
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from filelock import FileLock

__all__ = [
    "BACKBONES_VARIABLE",
    "CACHE_VARIABLE",
    "LOCK_SUFFIX",
    "MODELS_VARIABLE",
    "PARTIAL_SUFFIX",
    "RECORD_SUFFIX",
    "UNFINISHED_SUFFIX",
    "InUseError",
    "atomic",
    "backbones_folder",
    "cache_folder",
    "locked",
    "models_folder",
    "remove",
    "user_data",
]

UNFINISHED_SUFFIX = ".new"
"""Ending of what `atomic` has not finished; a process that was killed leaves it, and nobody reads it."""

PARTIAL_SUFFIX = ".partial"
"""Ending of an output that is not complete; the same run continues it."""

RECORD_SUFFIX = ".job.json"
"""Ending of the file beside a result that says how it was made."""

LOCK_SUFFIX = ".lock"
"""Ending of the empty file that lies beside what is locked, for as long as it is locked."""

CACHE_VARIABLE = "RDPDENOISE_CACHE"
MODELS_VARIABLE = "RDPDENOISE_MODELS"
BACKBONES_VARIABLE = "RDPDENOISE_BACKBONES"


class InUseError(OSError):
    """Another process, or another thread of this one, is writing to the same place."""


@contextmanager
def atomic(path: Path | str) -> Iterator[Path]:
    """Write a file, or a folder that is not there yet, under another name and rename it when it is whole.

    The new file replaces an older one of the name. If the block raises, nothing has happened.

    Args:
        path: File to write; its folder exists.

    Yields:
        Path in the same folder to write to, ``NAME.xxxxxxxx.new``. No other writer has this one.

    Raises:
        OSError: If the block or the renaming cannot write.
    """
    target = Path(path)
    fresh = target.with_name(f"{target.name}.{uuid.uuid4().hex[:8]}{UNFINISHED_SUFFIX}")
    try:
        yield fresh
        fresh.replace(target)
    except BaseException:
        remove(fresh)
        raise


def is_zarr(folder: Path) -> bool:
    """Whether a folder is a zarr array or group."""
    return any((folder / name).exists() for name in ("zarr.json", ".zgroup", ".zarray"))


def remove(path: Path) -> None:
    """Remove a file or folder if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def locked(path: Path | str, what: str = "path", doing: str = "writing to it") -> Iterator[None]:
    """Keep a file or folder to one writer at a time, without waiting.

    The lock is the operating system's, on an empty file ``NAME.lock`` beside the path, which goes when the
    lock does. A process that dies holds nothing. Where the folder cannot be written to, nothing is locked:
    whatever writes there fails in its own words.

    Args:
        path: File or folder that is written to; it need not exist. Missing parents are made.
        what: Name of the parameter that chose it, for the refusal.
        doing: What the other one is doing there, for the refusal.

    Raises:
        InUseError: If another process, or another thread or run of this one, holds the lock.
        OSError: If there is a lock that cannot be opened.
    """
    from filelock import FileLock

    target = Path(path).resolve()
    file = target.with_name(target.name + LOCK_SUFFIX)
    # any user of a shared folder may ask for it, and another thread may give it back
    lock = FileLock(file, mode=0o666, thread_local=False)
    if not _acquired(lock, file):
        raise InUseError(
            f"{what}: expected a place that nobody else writes to, found another process, or another run in "
            f"this one, {doing}: {target}; wait for it, stop it or choose another name"
        )
    try:
        yield
    finally:
        if lock.is_locked:
            _give_back(file)
            lock.release()


def _acquired(lock: FileLock, file: Path) -> bool:
    """Whether nobody else has a lock, as far as it can be asked for."""
    from filelock import Timeout

    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(blocking=False)
    except Timeout:
        return False
    except OSError:
        if file.exists():  # whoever made it may hold it, but it cannot be opened
            raise
    return True


def _give_back(file: Path) -> None:
    """Remove the file of a lock that is still held, so that what is removed is never another one's.

    A file with content is another mechanism's, of file systems without locks: it removes that itself.
    """
    with suppress(OSError):  # Windows keeps files that are open, and its lock removes them
        if file.stat().st_size == 0:
            file.unlink()


def cache_folder() -> Path:
    """Folder of the disk cache: RDPDENOISE_CACHE if set, else in the platform's folder for caches."""
    from platformdirs import user_cache_path

    return _chosen(CACHE_VARIABLE) or user_cache_path("napari-rdpdenoise", appauthor=False) / "latents"


def models_folder() -> Path:
    """Folder of the user's own models: RDPDENOISE_MODELS if set, else in the platform's for user data."""
    return _chosen(MODELS_VARIABLE) or user_data("models")


def backbones_folder() -> Path:
    """Folder of the metrics' networks: RDPDENOISE_BACKBONES if set, else in the platform's for user data."""
    return _chosen(BACKBONES_VARIABLE) or user_data("backbones")


def user_data(name: str) -> Path:
    """This package's folder of a name in the platform's folder for user data."""
    from platformdirs import user_data_path

    return user_data_path("napari-rdpdenoise", appauthor=False) / name


def _chosen(variable: str) -> Path | None:
    """The folder that an environment variable names; None where it is not set, or empty."""
    chosen = os.environ.get(variable)
    return Path(chosen).expanduser() if chosen else None
