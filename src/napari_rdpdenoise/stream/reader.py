"""Reading ahead in a thread: tiles in their order, grouped into batches."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence

from napari_rdpdenoise.stream.loaded import LoadedTile
from napari_rdpdenoise.stream.plan import Work

_QUEUE_PIXELS = 8_000_000


class ReadAhead:
    """Reads works in a thread; :meth:`batches` gives them in order, grouped.

    Args:
        works: Tiles in the order in which they are read.
        read: Reads one of them, `TileTask.read`.
    """

    def __init__(self, works: Sequence[Work], read: Callable[[Work], LoadedTile]) -> None:
        self._works, self._read = works, read
        largest = max((w.tile.outer_shape[0] * w.tile.outer_shape[1] for w in works), default=1)
        self._queue: queue.Queue[LoadedTile | BaseException | None] = queue.Queue(
            max(1, _QUEUE_PIXELS // largest)
        )
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read_all, name="read-ahead", daemon=True)
        self._thread.start()

    def batches(self, size_of: Callable[[tuple[int, int]], int]) -> Iterator[list[LoadedTile]]:
        """Lists of tiles of one channel, noise and outer shape, ``size_of(shape)`` long at most.

        Channels often alternate from plane to plane, so each kind of tile waits in a list of its own.
        """
        waiting: dict[tuple[int, tuple[int, ...]], list[LoadedTile]] = {}
        while True:
            item = self._queue.get()
            if isinstance(item, BaseException):
                raise item
            if item is None:
                break
            kind = (item.work.channel, item.raw.shape)
            batch = waiting.setdefault(kind, [])
            if batch and batch[0].plan.normalization != item.plan.normalization:
                yield batch  # planes whose noise is another do not come back to this one soon
                batch = waiting[kind] = []
            batch.append(item)
            if len(batch) >= size_of(item.work.tile.outer_shape):
                yield waiting.pop(kind)
        yield from waiting.values()

    def close(self) -> None:
        """Stop the thread and wait for it."""
        self._stop.set()
        while True:  # unblock a thread that waits for room
            try:
                self._queue.get_nowait()
            except queue.Empty:
                break
        self._thread.join()

    def _read_all(self) -> None:
        try:
            for work in self._works:
                if self._stop.is_set():
                    return
                if not self._put(self._read(work)):
                    return
            self._put(None)
        except BaseException as error:  # raised again in the thread that computes
            self._put(error)

    def _put(self, item: LoadedTile | BaseException | None) -> bool:
        while not self._stop.is_set():
            try:
                self._queue.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False
