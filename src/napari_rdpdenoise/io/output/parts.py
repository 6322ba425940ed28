"""An unfinished output that several processes make at once, on one machine or many, each a part of it.

    <target>.partial/
        job.json                what is being made, as in `staging`
        plan.json               what all parts share; with it the output is one of parts
        part-3.1f0a2b3c.new/    one attempt at part 3: blocks of its own, as in `staging`
        part-3/                 part 3, done: an attempt, renamed when it was complete
        whole/                  what `collected` puts together of the parts

No two processes write to the same file. The folder appears by one rename, with its plan: the first to come
has made it. So does a part, and an attempt that comes second is thrown away. A process that dies leaves an
attempt that the next one at the same part goes on with: attempts are locked as long as somebody is at work.
"""

from __future__ import annotations

import glob
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import product
from pathlib import Path

from napari_rdpdenoise.files import UNFINISHED_SUFFIX, InUseError, locked, remove
from napari_rdpdenoise.io.output.disk import refused, sync
from napari_rdpdenoise.io.output.publishing import remove_partial, settle
from napari_rdpdenoise.io.output.sink import PLAN, Output, check_free, is_in_parts
from napari_rdpdenoise.io.output.staging import Staging, partial_folder

__all__ = [
    "attempt",
    "begin",
    "collected",
    "complete",
    "finishing",
    "is_done",
    "is_over",
    "missing",
    "read_part",
    "read_plan",
    "under_way",
]

_REPORT = "part.json"
_PATIENCE = 10.0  # s, for a lock that others hold for a moment only
_STRAGGLERS = 60.0  # s, for attempts at parts that are done already, which end by themselves
_ASK_AGAIN = 0.05  # s


def read_plan(target: Path) -> str | None:
    """Text of the plan of an output in parts; None where there is no such output, or it is finished."""
    folder = partial_folder(target)
    try:
        text = (folder / PLAN).read_text(encoding="utf-8")
    except OSError:
        return None
    return text if is_in_parts(target) else None


def begin(output: Output, plan: str, *, overwrite: bool = False) -> str | None:
    """Begin an output in parts, unless another process has begun it meanwhile.

    Args:
        output: What is made.
        plan: Text of the plan.
        overwrite: Whether a finished result may be there.

    Returns:
        What was there before and is gone, in words; None for nothing.

    Raises:
        InUseError: If a run in one piece is writing to the target, or has left there what it had done.
        FileExistsError: If there is a finished result that is not to be replaced.
        OSError: If it cannot be written.
    """
    target = output.target
    folder = partial_folder(target)
    fresh = folder.with_name(f"{folder.name}.{uuid.uuid4().hex[:8]}{UNFINISHED_SUFFIX}")
    try:
        fresh.mkdir(parents=True)
    except OSError as error:
        raise refused(error, target) or error from error
    try:
        for name, text in (("job.json", output.identity), (PLAN, plan)):
            (fresh / name).write_text(text, encoding="utf-8")
            sync(fresh / name)
        with _locked_soon(target) as mine:
            if not mine:
                return None
            settle(target)
            check_free(target, overwrite)
            note = _make_room(folder, output.identity)
            fresh.rename(folder)
            sync(folder.parent)
            return note
    finally:
        remove(fresh)


@contextmanager
def _locked_soon(target: Path) -> Iterator[bool]:
    """Hold the lock of a target; False, without it, where the output in parts is there meanwhile."""
    until = time.monotonic() + _PATIENCE
    with ExitStack() as held:
        while not is_in_parts(target):
            try:
                held.enter_context(locked(target, "output"))
            except InUseError:
                if time.monotonic() > until:
                    raise
                time.sleep(_ASK_AGAIN)
            else:
                break
        yield not is_in_parts(target)


def _make_room(folder: Path, identity: str) -> str | None:
    """Remove what a run in one piece left of another job, and refuse to where it is of the same."""
    try:
        blocks = (folder / "progress.log").read_bytes().count(b"\n")
        same = (folder / "job.json").read_text(encoding="utf-8") == identity
    except OSError:
        blocks, same = 0, False
    if blocks and same:
        raise InUseError(
            f"part: expected no unfinished run at this place, found one of the same job in one piece, with "
            f"{blocks} blocks, in {folder}; give the command without --part to go on with it, or remove "
            "that folder"
        )
    remove_partial(folder)
    if not blocks:
        return None
    return f"{folder.name} held {blocks} blocks of another image, or of other settings: they are removed"


def is_done(target: Path, number: int) -> bool:
    """Whether a part, counted from 1, is complete."""
    return _done(target, number).is_dir()


def is_over(target: Path, number: int) -> bool:
    """Whether nothing is left to do at a part: it is complete, or the output is not there any more."""
    return is_done(target, number) or not is_in_parts(target)


def read_part(target: Path, number: int) -> str:
    """What is told of a part that is done.

    Raises:
        OSError: If it is not done.
    """
    return (_done(target, number) / _REPORT).read_text(encoding="utf-8")


def missing(target: Path, count: int) -> list[int]:
    """Numbers of the parts, from 1 to ``count``, that are not done."""
    return [number for number in range(1, count + 1) if not is_done(target, number)]


def under_way(target: Path, number: int) -> bool:
    """Whether some process is at work on a part, as far as locks tell."""
    return any(_is_locked(place) for place in _attempts(target, number))


def attempt(output: Output, number: int) -> Staging | None:
    """Open blocks of one part: those of a process that died, or new ones.

    Whoever opened it ends it: by `complete`, or by its own ``abort`` or ``discard``.

    Args:
        output: What is made, the whole of it.
        number: Number of the part, from 1.

    Returns:
        Blocks of the part; None where it `is_over`.
    """
    target = output.target
    folder = partial_folder(target)
    fresh = folder / f"part-{number}.{uuid.uuid4().hex[:8]}{UNFINISHED_SUFFIX}"
    for place in (*_attempts(target, number), fresh):
        with ExitStack() as held:
            try:
                held.enter_context(locked(place, "part"))
            except InUseError:
                continue
            if is_over(target, number):
                break
            if place != fresh and not place.is_dir():
                continue
            sink = output.blocks(place)
            sink.held = held.pop_all()
            return sink
    leave(target)
    return None


def complete(sink: Staging, number: int, report: str) -> bool:
    """End an attempt at a part: it is done now, unless another attempt was first.

    Args:
        sink: Blocks of the part, all of them written.
        number: Number of the part.
        report: Text of what is to be told of it.

    Returns:
        Whether this attempt is the one that counts.
    """
    with sink.held:
        try:
            sink.flush()
            (sink.folder / _REPORT).write_text(report, encoding="utf-8")
            sync(sink.folder / _REPORT)
            if not is_over(sink.target, number):
                sink.folder.rename(_done(sink.target, number))  # fails where there is a folder with files
                sync(sink.folder.parent)
                return True
        except OSError:
            if not is_over(sink.target, number):
                raise
        remove(sink.folder)
    leave(sink.target)
    return False


def leave(target: Path) -> None:
    """Remove the folder that a late writer has made again of an output that is finished."""
    with suppress(OSError):
        partial_folder(target).rmdir()  # only where it is empty


@contextmanager
def finishing(target: Path) -> Iterator[bool]:
    """Hold the lock of an output in parts, so that nobody else finishes it.

    Yields:
        Whether the parts are there; False where another process has finished meanwhile.

    Raises:
        InUseError: If another process is finishing it.
    """
    with ExitStack() as held:
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                held.enter_context(locked(target, "output", "finishing it"))
                break
            except InUseError:
                if time.monotonic() > until or _is_finishing(target):
                    raise
                time.sleep(_ASK_AGAIN)
        settle(target)
        yield is_in_parts(target)


@contextmanager
def collected(output: Output, count: int) -> Iterator[Staging]:
    """Put all parts together, within `finishing`; the parts stay until the result is at its path.

    Args:
        output: What is made.
        count: Number of the parts, all of them done.

    Yields:
        Blocks of the whole.

    Raises:
        OSError: If it cannot be written.
    """
    target = output.target
    folder = partial_folder(target)
    for begun in folder.parent.glob(f"{glob.escape(folder.name)}.*{UNFINISHED_SUFFIX}"):
        remove(begun)  # by a process that was killed while it made the plan
    _wait_for_stragglers(target, count)
    whole = folder / "whole"
    remove(whole)
    sink = output.blocks(whole)
    try:
        for number, place in product(range(1, count + 1), sink.block_folders):
            _link(_done(target, number) / place.relative_to(whole), place)
        yield sink
    except BaseException:
        if is_in_parts(target):
            remove(whole)
        raise


def _is_finishing(target: Path) -> bool:
    return (partial_folder(target) / "whole").is_dir()


def _wait_for_stragglers(target: Path, count: int) -> None:
    """Wait for those that are at parts which others have done: they notice, and clear up after themselves."""
    until = time.monotonic() + _STRAGGLERS
    for number in range(1, count + 1):
        for place in _attempts(target, number):
            while _is_locked(place) and time.monotonic() < until:
                time.sleep(_ASK_AGAIN)
            with suppress(OSError):
                remove(place)


def _link(source: Path, target: Path) -> None:
    """Shards of a part into the whole, without a second copy where the disk can do that."""
    for folder, _, files in os.walk(source):
        place = target / Path(folder).relative_to(source)
        for name in files:
            if not name.isdecimal():  # what a killed process was just writing
                continue
            place.mkdir(parents=True, exist_ok=True)
            try:
                (place / name).hardlink_to(Path(folder) / name)
            except OSError:
                shutil.copyfile(Path(folder) / name, place / name)
        sync(place)


def _done(target: Path, number: int) -> Path:
    return partial_folder(target) / f"part-{number}"


def _attempts(target: Path, number: int) -> list[Path]:
    return sorted(partial_folder(target).glob(f"part-{number}.*{UNFINISHED_SUFFIX}"))


def _is_locked(place: Path) -> bool:
    try:
        with locked(place, "part"):
            return False
    except InUseError:
        return True
