"""An unfinished output: blocks in a zarr array beside the target, and a record of those that are complete.

    <target>.partial/
        job.json        what is being made; without it (it is written last) the folder is unusable
        progress.log    one line per complete block, appended after the block itself has reached the disk
        image/0/...     the blocks

``finish`` ends with one rename, which moves the whole result to the target. Its record lies beside it by
then, and a former target does not any more: whenever it stops, a result that is there has its own record
(`publishing`). As long as an output is open it is locked (`files.locked`, ``<target>.lock``), so that no
block of another run comes into it.
"""

from __future__ import annotations

import errno
import math
import os
import shutil
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_rdpdenoise.files import PARTIAL_SUFFIX, atomic
from napari_rdpdenoise.io.limits import words
from napari_rdpdenoise.io.ome_zarr.decoded_chunks import DecodedChunks
from napari_rdpdenoise.io.output.disk import NoSpaceError, append, refused, size_of, sync
from napari_rdpdenoise.io.output.publishing import publish, remove_partial
from napari_rdpdenoise.io.output.sharding import create_array, planes_per_shard
from napari_rdpdenoise.io.output.spec import OutputSpec
from napari_rdpdenoise.io.output.storage import StoredLayout
from napari_rdpdenoise.io.source import Index

_FLUSH_SECONDS = 0.5
_FLUSH_SHARE = 10  # times what the last one took, until the next
_COLLECTED = 16  # shards of small planes that are held in memory, of each the planes that have come
_UNSAID = "-"  # in the place of what a block was made from


@dataclass
class _Collected:
    """A shard of small planes: its place, its pixels, which planes came, and whether there are new ones."""

    region: tuple[slice, ...]
    planes: np.ndarray
    came: set[Index]
    changed: bool = False


class Staging(ABC):
    """Collects the blocks of one output, laid down in stored axes; base of the file sinks.

    ``finish``, ``abort`` and ``discard`` end it: afterwards another may write to the target, whose lock,
    ``held``, they give back. ``note`` says in words that an unfinished result of something else lay there and
    is gone; None where none did. ``copies`` is how many times its pixels a result takes on the disk at most.
    ``folder`` is where the blocks lie, below the partial folder of the target; None for that one itself.
    """

    copies: float

    def __init__(
        self, target: Path, spec: OutputSpec, layout: StoredLayout, folder: Path | None = None
    ) -> None:
        self.target, self.spec, self.layout = target, spec, layout
        self.folder = folder or partial_folder(target)
        self.image = self.folder / "image"
        self.held = ExitStack()
        self.note: str | None = None
        self._lock = threading.Lock()
        self._done: dict[str, str] = {}
        self._pending: list[str] = []
        self._unsynced: set[Path] = set()
        self._last_flush, self._flush_took = time.monotonic(), 0.0
        with self._space_told():
            self.array = self._resume() or self._start()
        self._together = tuple((self.array.shards or self.array.chunks)[:-2])
        self._collected: dict[Index, _Collected] = {}

    def notes(self) -> list[str]:
        """What is to be told of the blocks, once all are there, in words."""
        return []

    def _identity(self) -> str:
        """Text that tells what it is to become."""
        return self.spec.identity

    def _resume(self) -> Any:
        """The array of a partial result of the same job, None if there is none that can be used."""
        import zarr

        try:
            log = (self.folder / "progress.log").read_bytes()
            if (self.folder / "job.json").read_text(encoding="utf-8") != self._identity():
                if blocks := log.count(b"\n"):
                    self.note = (
                        f"{self.folder.name} holds {blocks} blocks of another image, or of other settings: "
                        "they are removed, and everything is done anew"
                    )
                return None
            array = zarr.open_array(self._blocks, mode="r+")
            whole = log[: log.rfind(b"\n") + 1]  # a line without its end was cut off by the interruption
            lines = [line.rsplit(" ", 1) for line in whole.decode("ascii").split("\n")[:-1]]
            self._done = {place: "" if content == _UNSAID else content for place, content in lines}
        except (OSError, ValueError):
            return None
        os.truncate(self.folder / "progress.log", len(whole))
        return array

    @property
    def _blocks(self) -> Path:
        """Where the array lies that blocks are collected in."""
        return self.image / "0"

    @property
    def block_folders(self) -> tuple[Path, ...]:
        """Folders whose files, named by numbers, are all that is written of blocks."""
        return (self._blocks / "c",)

    def _create_blocks(self) -> Any:
        """That array, new."""
        import zarr

        rows, columns = self.layout.shape[-2:]
        together = planes_per_shard(self.layout.shape[:-2], (rows, columns), self.spec)
        group = zarr.create_group(self.image)
        return create_array(group, "0", self.layout, self.spec, (rows, columns), together)

    def _start(self) -> Any:
        self._clear()
        self.folder.mkdir(parents=True)
        array = self._create_blocks()
        (self.folder / "progress.log").touch()
        with atomic(self.folder / "job.json") as fresh:
            fresh.write_text(self._identity(), encoding="utf-8")
        return array

    def write(self, index: Index, y: slice, x: slice, block: np.ndarray) -> None:
        """Write one block of one plane: shape ``(rows, columns)``, the dtype of the spec."""
        self.spec.check_block(index, y, x, block)
        stored = self.layout.index(index)
        # blocks that are not whole shards read and rewrite a shard they share
        with self._space_told(), self._lock:
            if math.prod(self._together) > 1:
                self._collect(stored, y, x, block)
            else:
                self.array[(*stored, y, x)] = block
                self._unsynced.update(self._written(stored, y, x, block))
            self._unsynced.update(self._shard_files(stored, y, x))

    def _written(self, index: Index, y: slice, x: slice, block: np.ndarray) -> set[Path]:
        """What is made of a stored block that was just written: files and folders that changed."""
        return set()

    def _collect(self, stored: Index, y: slice, x: slice, block: np.ndarray) -> None:
        """Put a block of a small plane to others of its shard, which is written when all its planes came."""
        place = self._shard_of(stored)
        shard = self._collected.get(place)
        if shard is None:
            if len(self._collected) >= _COLLECTED:
                self._store_collected()
                self._collected.clear()
            region = tuple(
                slice(number * size, min((number + 1) * size, length))
                for number, size, length in zip(place, self._together, self.layout.shape, strict=False)
            )
            shard = self._collected[place] = _Collected(region, np.asarray(self.array[region]), set())
        inside = tuple(number % size for number, size in zip(stored, self._together, strict=True))
        shard.planes[(*inside, y, x)] = block
        shard.came.add(inside)
        shard.changed = True
        if len(shard.came) == math.prod(shard.planes.shape[:-2]):
            self.array[shard.region] = shard.planes
            del self._collected[place]

    def _store_collected(self) -> None:
        """Write shards of which some planes came."""
        for shard in self._collected.values():
            if shard.changed:
                self.array[shard.region] = shard.planes
                shard.changed = False

    def shard_of(self, index: Index, y0: int, x0: int) -> tuple[int, ...]:
        """Which shard holds the block of a plane that starts there; only small planes share one."""
        return (*self._shard_of(self.layout.index(index)), y0, x0)

    def whole_shards(self) -> Any:
        """The blocks as an array that keeps what it has decoded, where small planes share a shard."""
        if math.prod(self._together) == 1:
            return self.array
        return DecodedChunks(self.array, chunks=self.array.shards)

    def _shard_of(self, stored: Index) -> Index:
        return tuple(number // size for number, size in zip(stored, self._together, strict=True))

    def _shard_files(self, stored: Index, y: slice, x: slice) -> set[Path]:
        rows, columns = (self.array.shards or self.array.chunks)[-2:]
        folder = self._blocks.joinpath("c", *map(str, self._shard_of(stored)))
        return {
            folder / str(row) / str(column)
            for row in range(y.start // rows, -(-y.stop // rows))
            for column in range(x.start // columns, -(-x.stop // columns))
        }

    def is_done(self, index: Index, y0: int, x0: int) -> bool:
        """Whether the block that starts there is complete, now or from an interrupted run."""
        return _place(index, y0, x0) in self._done

    def made_from(self, index: Index, y0: int, x0: int) -> str:
        """What the block that starts there was marked to be made from; empty where nothing was said."""
        return self._done.get(_place(index, y0, x0), "")

    def mark_done(self, index: Index, y0: int, x0: int, content: str = "") -> None:
        """Record that the block that starts there is complete; on the disk within about half a second.

        Args:
            index: Plane of the block.
            y0: First row, px.
            x0: First column, px.
            content: Word without blanks for what the block was made from; empty for none.
        """
        place = _place(index, y0, x0)
        with self._space_told(), self._lock:
            self._done[place] = content
            self._pending.append(f"{place} {content or _UNSAID}")
            if time.monotonic() - self._last_flush > max(_FLUSH_SECONDS, _FLUSH_SHARE * self._flush_took):
                self._flush()

    def _flush(self) -> None:
        """Bring blocks to the disk, then the record of them: it must never promise what is not there."""
        began = time.monotonic()
        self._store_collected()
        for path in self._unsynced | {file.parent for file in self._unsynced}:
            sync(path)
        self._unsynced.clear()
        if self._pending:
            append(self.folder / "progress.log", "".join(f"{line}\n" for line in self._pending))
        self._pending.clear()
        self._last_flush = time.monotonic()
        self._flush_took = self._last_flush - began

    def finish(self, record: Callable[[], str] | None = None) -> Path:
        """Complete the output, then move it to its path, replacing what is there.

        Args:
            record: Function that gives the text of the file beside it, once it is complete; None for no file.
        """
        with self.held, self._space_told():
            self.flush()
            finished, folder = self._complete(), partial_folder(self.target)
            name = finished.relative_to(folder).as_posix()
            publish(self.target, folder, name, None if record is None else record())
            return self.target

    @abstractmethod
    def _complete(self) -> Path:
        """Turn the blocks into a finished file or folder inside the partial folder; return its path."""

    def flush(self) -> None:
        """Bring everything to the disk."""
        with self._space_told(), self._lock:
            self._flush()

    def abort(self) -> None:
        """Stop; what was marked done stays for a later run of the same job, and nothing stays of none."""
        with self.held:
            self.flush()
            if not self._done:
                self._clear()

    def discard(self) -> None:
        """Stop and remove what was written."""
        with self.held:
            self._clear()

    def _clear(self) -> None:
        remove_partial(self.folder)

    @contextmanager
    def _space_told(self) -> Iterator[None]:
        """Say how much is needed where the disk is full, and why a place cannot be written to."""
        try:
            yield
        except OSError as error:
            if (words_of := refused(error, self.target)) is not None:
                raise words_of from error
            if error.errno not in (errno.ENOSPC, errno.EDQUOT) or isinstance(error, NoSpaceError):
                raise
            needed = math.prod(self.layout.shape) * self.spec.dtype.itemsize * self.copies
            free = shutil.disk_usage(self.target.parent).free
            raise NoSpaceError(
                error.errno,
                f"output: expected room on the disk for {self.target}, found none: the result may take up to "
                f"{words(needed)} in all while it is made, {words(size_of(self.folder))} are written, "
                f"{words(free)} are free; make room there and run the same again, which goes on where this "
                "stopped, or choose another place",
            ) from error


def partial_folder(target: Path) -> Path:
    """Folder beside a target in which it grows."""
    return target.with_name(target.name + PARTIAL_SUFFIX)


def _place(index: Index, y0: int, x0: int) -> str:
    return f"{','.join(str(int(i)) for i in index)} {int(y0)} {int(x0)}"
