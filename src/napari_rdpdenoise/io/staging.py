"""An unfinished output: blocks in a zarr array beside the target, and a record of those that are complete.

    <target>.partial/
        job.json        what is being made; without it (it is written last) the folder is unusable
        progress.log    one line per complete block, appended after the block itself has reached the disk
        image/0/...     the blocks
        replaced        a former target while it is exchanged

Nothing appears at the target before the last step of ``finish``, which is a rename. As long as an output is
open it is locked (`files.locked`, ``<target>.lock``), so that no block of another run comes into it.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from abc import ABC, abstractmethod
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from napari_rdpdenoise.files import PARTIAL_SUFFIX, atomic, remove
from napari_rdpdenoise.io.source import Index
from napari_rdpdenoise.io.spec import OutputSpec
from napari_rdpdenoise.io.storage import StoredLayout

MAX_CHUNK = 512
_FLUSH_SECONDS = 0.5
_FORMAT = 1


def chunk_edge(tile: int) -> int:
    """Largest divisor of the tile's edge up to 512 pixels, so that tiles are whole chunks."""
    return next(edge for edge in range(min(tile, MAX_CHUNK), 0, -1) if tile % edge == 0)


def create_array(
    group: Any, name: str, layout: StoredLayout, spec: OutputSpec, plane: tuple[int, int]
) -> Any:
    """Create one resolution in a zarr group, with ``plane`` as rows and columns; one of the name is replaced.

    Chunks are at most 512 pixels, shards a plane or, of larger planes, a tile.
    """
    from zarr.codecs import BloscCodec, BloscShuffle

    # Shards are whole chunks, and a block of the stream is whole shards: none is read back to be completed.
    chunks = tuple(min(chunk_edge(spec.tile), size) for size in plane)
    shards = tuple(
        -(-min(size, spec.tile) // chunk) * chunk for size, chunk in zip(plane, chunks, strict=True)
    )
    ones = (1,) * len(layout.shape[:-2])
    return group.create_array(
        name,
        shape=(*layout.shape[:-2], *plane),
        dtype=spec.dtype,
        chunks=(*ones, *chunks),
        shards=(*ones, *shards),
        compressors=BloscCodec(cname="zstd", clevel=5, shuffle=BloscShuffle.bitshuffle),
        fill_value=0,
        dimension_names=tuple(layout.axes.lower()),
        overwrite=True,
    )


class Staging(ABC):
    """Collects the blocks of one output, laid down in stored axes; base of the file sinks.

    ``finish``, ``abort`` and ``discard`` end it: afterwards another may write to the target, whose lock,
    ``held``, they give back.
    """

    def __init__(self, target: Path, spec: OutputSpec, layout: StoredLayout) -> None:
        self.target, self.spec, self.layout = target, spec, layout
        self.folder = target.with_name(target.name + PARTIAL_SUFFIX)
        self.image = self.folder / "image"
        self.held = ExitStack()
        self._lock = threading.Lock()
        self._done: set[str] = set()
        self._pending: list[str] = []
        self._unsynced: set[Path] = set()
        self._last_flush = time.monotonic()
        self.array = self._resume() or self._start()

    def _identity(self) -> str:
        metadata = {key: _plain(value) for key, value in vars(self.spec.metadata).items()}
        spec = {key: _plain(value) for key, value in vars(self.spec).items() if key != "metadata"}
        return json.dumps({"format": _FORMAT, **spec, "metadata": metadata}, sort_keys=True)

    def _resume(self) -> Any:
        """The array of a partial result of the same job, None if there is none that can be used."""
        import zarr

        try:
            if (self.folder / "job.json").read_text(encoding="utf-8") != self._identity():
                return None
            array = zarr.open_array(self.image / "0", mode="r+")
            log = (self.folder / "progress.log").read_bytes()
        except (OSError, ValueError):
            return None
        whole = log[: log.rfind(b"\n") + 1]  # a line without its end was cut off by the interruption
        os.truncate(self.folder / "progress.log", len(whole))
        self._done = set(whole.decode().split("\n")[:-1])
        return array

    def _start(self) -> Any:
        import zarr

        self._clear()
        self.folder.mkdir(parents=True)
        group = zarr.create_group(self.image)
        rows, columns = self.layout.shape[-2:]
        array = create_array(group, "0", self.layout, self.spec, (rows, columns))
        (self.folder / "progress.log").touch()
        with atomic(self.folder / "job.json") as fresh:
            fresh.write_text(self._identity(), encoding="utf-8")
        return array

    def write(self, index: Index, y: slice, x: slice, block: np.ndarray) -> None:
        """Write one block of one plane: shape ``(rows, columns)``, the dtype of the spec."""
        self.spec.check_block(index, y, x, block)
        stored = self.layout.index(index)
        with self._lock:  # blocks that are not whole shards read and rewrite a shard they share
            self.array[(*stored, y, x)] = block
            self._unsynced.update(self._shard_files(stored, y, x))

    def _shard_files(self, stored: Index, y: slice, x: slice) -> set[Path]:
        rows, columns = (self.array.shards or self.array.chunks)[-2:]
        folder = self.image.joinpath("0", "c", *map(str, stored))
        return {
            folder / str(row) / str(column)
            for row in range(y.start // rows, -(-y.stop // rows))
            for column in range(x.start // columns, -(-x.stop // columns))
        }

    def is_done(self, index: Index, y0: int, x0: int) -> bool:
        """Whether the block that starts there is complete, now or from an interrupted run."""
        return _line(index, y0, x0) in self._done

    def mark_done(self, index: Index, y0: int, x0: int) -> None:
        """Record that the block that starts there is complete (on the disk within half a second's work)."""
        line = _line(index, y0, x0)
        with self._lock:
            self._done.add(line)
            self._pending.append(line)
            if time.monotonic() - self._last_flush > _FLUSH_SECONDS:
                self._flush()

    def _flush(self) -> None:
        """Bring blocks to the disk, then the record of them: it must never promise what is not there."""
        for path in self._unsynced | {file.parent for file in self._unsynced}:
            sync(path)
        self._unsynced.clear()
        if self._pending:
            with (self.folder / "progress.log").open("a", encoding="utf-8") as log:
                log.write("".join(f"{line}\n" for line in self._pending))
                log.flush()
                os.fsync(log.fileno())
        self._pending.clear()
        self._last_flush = time.monotonic()

    def finish(self) -> Path:
        """Complete the output, then move it to its path, replacing what is there."""
        with self.held:
            self.flush()
            return self._publish(self._complete())

    @abstractmethod
    def _complete(self) -> Path:
        """Turn the blocks into a finished file or folder inside the partial folder; return its path."""

    def _publish(self, finished: Path) -> Path:
        if self.target.exists() or self.target.is_symlink():
            replaced = self.folder / "replaced"
            remove(replaced)
            self.target.rename(replaced)
        finished.rename(self.target)
        sync(self.target.parent)
        self._clear()
        return self.target

    def flush(self) -> None:
        """Bring everything to the disk."""
        with self._lock:
            self._flush()

    def abort(self) -> None:
        """Stop; what was marked done stays for a later run of the same job."""
        with self.held:
            self.flush()

    def discard(self) -> None:
        """Stop and remove what was written."""
        with self.held:
            self._clear()

    def _clear(self) -> None:
        # first, so that a folder half removed is never taken for one that can be continued
        (self.folder / "job.json").unlink(missing_ok=True)
        remove(self.folder)


def sync(path: Path) -> None:
    """Bring a file or folder to the disk; pass over what is absent (an all-zero shard is not stored)."""
    with contextlib.suppress(FileNotFoundError, PermissionError):  # Windows does not open folders
        handle = os.open(path, os.O_RDWR if path.is_file() else os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _line(index: Index, y0: int, x0: int) -> str:
    return f"{','.join(str(int(i)) for i in index)} {int(y0)} {int(x0)}"


def _plain(value: Any) -> Any:
    if isinstance(value, np.dtype):
        return value.name
    return dict(value) if hasattr(value, "keys") else list(value) if isinstance(value, tuple) else value
