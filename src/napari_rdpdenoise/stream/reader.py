"""Reading ahead: raw tiles, their cache keys and cached latents, made in a thread and grouped into batches."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_rdpdenoise.cache import LatentCache, digest
from napari_rdpdenoise.codec import Latents
from napari_rdpdenoise.io import ImageSource
from napari_rdpdenoise.stream.prepare import ChannelPlan, Plan, Work, fill_missing

CACHE_VERSION = "1"  # of what is cached under a key
_QUEUE_PIXELS = 8_000_000


@dataclass
class Item:
    """A tile that was read, on its way through the run.

    ``latents`` come from the cache or, with ``fresh`` set, from the encoder; ``missing`` marks NaN of the input.
    """

    work: Work
    plan: ChannelPlan
    raw: NDArray[np.generic]
    missing: NDArray[np.bool_] | None
    key: str
    latents: Latents | None
    fresh: bool = False


class ReadAhead:
    """Reads works in a thread; :meth:`batches` gives them in order, grouped."""

    def __init__(
        self,
        source: ImageSource,
        works: Sequence[Work],
        plan: Plan,
        model_digest: bytes,
        cache: LatentCache | None,
    ) -> None:
        self._source, self._works, self._plan = source, works, plan
        self._digest, self._cache = model_digest, cache
        largest = max((w.tile.outer_shape[0] * w.tile.outer_shape[1] for w in works), default=1)
        self._queue: queue.Queue[Item | BaseException | None] = queue.Queue(max(2, _QUEUE_PIXELS // largest))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read_all, name="read-ahead", daemon=True)
        self._thread.start()

    def batches(self, size_of: Callable[[tuple[int, int]], int]) -> Iterator[list[Item]]:
        """Lists of tiles of one channel and outer shape, ``size_of(shape)`` long but for the last of a kind.

        Channels often alternate from plane to plane, so each kind of tile waits in a list of its own.
        """
        waiting: dict[tuple[int, tuple[int, ...]], list[Item]] = {}
        while True:
            item = self._queue.get()
            if isinstance(item, BaseException):
                raise item
            if item is None:
                break
            batch = waiting.setdefault((item.work.channel, item.raw.shape), [])
            batch.append(item)
            if len(batch) >= size_of(item.work.tile.outer_shape):
                yield waiting.pop((item.work.channel, item.raw.shape))
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
                if self._stop.is_set() or not self._put(self._read(work)):
                    return
            self._put(None)
        except BaseException as error:  # raised again in the thread that computes
            self._put(error)

    def _put(self, item: Item | BaseException | None) -> bool:
        while not self._stop.is_set():
            try:
                self._queue.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def _read(self, work: Work) -> Item:
        raw, missing = fill_missing(self._source.read(work.index, *work.tile.outer))
        plan = self._plan.channels[work.channel]
        n = plan.normalization
        numbers = (n.noise.gain, n.noise.offset, n.noise.read_noise, n.center, n.scale, plan.rate)
        key = digest(CACHE_VERSION, self._digest, np.array(numbers), raw)
        latents = None
        if self._cache is not None and (data := self._cache.get(key)) is not None:
            latents = Latents.from_bytes(data)
        return Item(work, plan, raw, missing, key, latents)
