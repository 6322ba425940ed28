"""Reading ahead: raw tiles, their cache keys and cached latents, in a thread, grouped into batches."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_rdpdenoise.cache import LatentCache, digest
from napari_rdpdenoise.codec import Latents
from napari_rdpdenoise.io import ImageSource, to_output
from napari_rdpdenoise.stream.prepare import ChannelPlan, Plan, Work, fill_missing

CACHE_VERSION = "2"  # of what is cached under a key
_QUEUE_PIXELS = 8_000_000


@dataclass
class Item:
    """A tile that was read, on its way through the run.

    ``latents`` come from the cache or, with ``fresh`` set, from the encoder; ``missing`` holds NaN and
    infinities of the input, 0 elsewhere.
    """

    work: Work
    plan: ChannelPlan
    raw: NDArray[np.generic]
    missing: NDArray[Any] | None
    key: str
    latents: Latents | None
    fresh: bool = False

    def core(self, image: NDArray[np.float32], dtype: np.dtype) -> tuple[NDArray[np.generic], int]:
        """The part of the denoised ``image`` that is written, as ``dtype``; how many values were clipped."""
        place = self.work.tile.core_in_outer
        block, clipped = to_output(image[place], dtype)
        if self.missing is not None and block.dtype.kind == "f":
            lost = self.missing[place]
            np.copyto(block, lost, where=~np.isfinite(lost), casting="same_kind")
        return block, clipped


def read_item(
    source: ImageSource, work: Work, plan: Plan, model_digest: bytes, cache: LatentCache | None
) -> Item:
    """Read one tile with its halo, and its latents where they are cached."""
    raw, missing = fill_missing(source.read(work.index, *work.tile.outer))
    channel = plan.channels[work.channel]
    n = channel.normalization
    numbers = (n.noise.gain, n.noise.offset, n.noise.read_noise, n.center, n.scale, channel.rate)
    key, latents = "", None
    if cache is not None:
        key = digest(CACHE_VERSION, model_digest, np.array(numbers), raw)
        data = cache.get(key)
        latents = Latents.from_bytes(data) if data is not None else None
    return Item(work, channel, raw, missing, key, latents)


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
                if self._stop.is_set():
                    return
                item = read_item(self._source, work, self._plan, self._digest, self._cache)
                if not self._put(item):
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
