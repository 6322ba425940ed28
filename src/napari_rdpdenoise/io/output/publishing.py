"""The last step of an output: result and record appear with one rename, and what a killed process left.

In the partial folder of a target lie, for the time of that step::

    complete            name of what is moved to the target, once that is whole, and whether there is a record
    record              text of the file beside the target
    replaced            former target, and its own record, while they are exchanged
"""

from __future__ import annotations

import os
from pathlib import Path

from napari_rdpdenoise.files import PARTIAL_SUFFIX, RECORD_SUFFIX, atomic, remove
from napari_rdpdenoise.io.output.disk import sync

_COMPLETE, _RECORD, _REPLACED, _REPLACED_RECORD = "complete", "record", "replaced", "replaced.record"


def publish(target: Path, folder: Path, name: str, record: str | None) -> None:
    """Move a finished file or folder to its path, its record beside it, in the place of what is there.

    Args:
        target: Path of the result.
        folder: Partial folder, which is removed at the end.
        name: Name of what is finished in that folder.
        record: Text of the file beside the result; None for no such file.
    """
    if record is not None:
        _write(folder / _RECORD, record)
    complete = name if record is None else f"{name} {_RECORD}"
    _write(folder / _COMPLETE, complete)
    try:
        exchange(target, folder, name)
    except Exception:
        _go_back(target, folder, complete)
        raise
    sync(target.parent)
    remove_partial(folder)


def settle(target: Path) -> bool:
    """Clear up what a process left that was killed while it moved a result to its path.

    Either the result is there, then its leftovers go; or what was there before comes back. To be called with
    the lock of the target, and without any for nothing to be done where nothing is left.

    Returns:
        Whether the target is a result whose leftovers went.
    """
    folder = target.with_name(target.name + PARTIAL_SUFFIX)
    try:
        complete = (folder / _COMPLETE).read_text(encoding="utf-8")
    except OSError:
        if folder.is_dir() and not (folder / "job.json").exists():  # half removed
            remove(folder)
        return False
    published = os.path.lexists(target) and not os.path.lexists(folder / complete.partition(" ")[0])
    if published:
        remove_partial(folder)
    else:
        _go_back(target, folder, complete)
    return published


def exchange(target: Path, folder: Path, name: str) -> None:
    """Former target and record away, record to its place, result to its path."""
    record = target.with_name(target.name + RECORD_SUFFIX)
    for old, kept in ((target, folder / _REPLACED), (record, folder / _REPLACED_RECORD)):
        remove(kept)
        if os.path.lexists(old):
            old.rename(kept)
    if (folder / _RECORD).exists():
        (folder / _RECORD).rename(record)
    (folder / name).rename(target)


def _go_back(target: Path, folder: Path, complete: str) -> None:
    """What `exchange` had done before it failed or was killed, undone; ``complete`` is of the folder."""
    record = target.with_name(target.name + RECORD_SUFFIX)
    if complete.endswith(f" {_RECORD}") and not (folder / _RECORD).exists() and record.is_file():
        record.rename(folder / _RECORD)
    for kept, old in ((folder / _REPLACED_RECORD, record), (folder / _REPLACED, target)):
        if os.path.lexists(kept):
            kept.rename(old)
    (folder / _COMPLETE).unlink()


def remove_partial(folder: Path) -> None:
    """Remove a partial folder; half removed, it is never taken for one that can be continued."""
    (folder / "job.json").unlink(missing_ok=True)
    if folder.is_dir():
        for path in folder.iterdir():
            if path.name != _COMPLETE:  # by which it is known that the result is there: last
                remove(path)
    remove(folder)


def _write(path: Path, text: str) -> None:
    """Write a file and bring it to the disk."""
    with atomic(path) as fresh:
        fresh.write_text(text, encoding="utf-8")
        sync(fresh)
