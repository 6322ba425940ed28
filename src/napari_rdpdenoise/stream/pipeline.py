"""The tile loop: a thread reads ahead, the caller's thread computes, a thread writes behind.

::

    source --reader thread--> queue --caller: encode | cache -> decode--> writer thread: blend --> sink

Every pixel is written by exactly one tile, whose halo covers what the network sees: no blending across
tiles, so tiles may come in any order and an interrupted run can go on.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace

import numpy as np
import torch

from napari_rdpdenoise.cache import LatentCache
from napari_rdpdenoise.codec import Codec, Decoded, load_model
from napari_rdpdenoise.codec.device import device_turns
from napari_rdpdenoise.io import ImageSource, SelectedSource, Sink
from napari_rdpdenoise.io.output.staging import Staging
from napari_rdpdenoise.settings import RunSettings
from napari_rdpdenoise.stream.loaded import LoadedTile, TileSink
from napari_rdpdenoise.stream.neighbours import PlaneRing
from napari_rdpdenoise.stream.plan import Order, Plan, Work, check_model, decoders_of, sampling_of
from napari_rdpdenoise.stream.prepare import make_plan
from napari_rdpdenoise.stream.reader import ReadAhead
from napari_rdpdenoise.stream.report import Counts, Progress, RunReport, Tally
from napari_rdpdenoise.stream.screen import ScreenedWindows
from napari_rdpdenoise.stream.tile import TileTask, copied

# Pixels per batch. On a CPU more only costs memory and makes Cancel wait; a GPU wants to be full.
_BATCH_PIXELS = {"cpu": 400_000}
_GPU_BATCH_PIXELS = 16_000_000
_WRITES_PENDING = 2
# What a device without memory says where it has no error class of its own.
_MEMORY_WORDS = ("out of memory", "can't allocate", "not enough memory", "alloc_failed")
_SMALLER = "a smaller tile (--tile on the command line, Block under More)"


def denoise_stream(
    source: ImageSource,
    sink: Sink,
    settings: RunSettings,
    *,
    codec: Codec | None = None,
    cache: LatentCache | None = None,
    order: Order | None = None,
    record: Callable[[RunReport], str] | None = None,
) -> Generator[Progress, None, RunReport]:
    """Denoise ``source`` into ``sink`` tile by tile, yielding progress; the report is the return value.

    Closing the generator stops within a batch of tiles; the sink keeps what is done, so that the same run
    continues there later. It does again what was made from other pixels than the source has by then.

    Args:
        source: Whole image; ``settings.channels`` and ``settings.time`` choose from it.
        sink: Sink made for ``output_spec(source, settings, codec)``.
        settings: Settings of the run.
        codec: Loaded model, None to load ``settings.model``.
        cache: Cache of latents, None for none.
        order: Function that puts the tiles in their order, for example nearest to the viewer first.
        record: Function from the report to the text of the file beside the output; None for no such file.

    Raises:
        DecoderMissing: If realism is asked of a model without a realism decoder.
        ValueError: if the sink does not fit.
        FileNotFoundError: if there is no such model.
    """
    began = time.monotonic()
    try:
        codec = (codec or load_model(settings.model, settings.device)).at(settings.precision)
        chosen = SelectedSource(source, settings.channels, settings.time)
        _check(chosen, sink, settings, codec)
        run = _Run(chosen, sink, settings, codec, cache)
        with device_turns(codec.device).run():
            plan = yield from _prepare(make_plan(source, settings, codec, order, cache))
            yield from run.tiles(plan)
        for note in sink.notes() if isinstance(sink, TileSink | Staging) else ():
            yield run.tally.progress(0, note)
        for told in run.tally.counts.found_words(settings.hot_pixels):
            yield run.tally.progress(0, told)

        reports: list[RunReport] = []

        def text() -> str:
            reports.append(run.tally.report(plan.reports(), time.monotonic() - began, codec.precision))
            return "" if record is None else record(reports[0])

        path = sink.finish(None if record is None else text)
        if not reports:
            text()
    except BaseException:
        sink.abort()
        raise
    return replace(reports[0], path=path)


def denoise_works(
    source: ImageSource,
    sink: Sink,
    settings: RunSettings,
    plan: Plan,
    *,
    codec: Codec,
    cache: LatentCache | None = None,
) -> Generator[Progress, None, Tally]:
    """Denoise the works of a plan that was made before, yielding progress; the counters are the return value.

    Whoever calls it ends the sink, also where this raises or is closed.

    Args:
        source: Whole image, as in `denoise_stream`.
        sink: Sink made for ``output_spec(source, settings, codec)``.
        settings: Settings of the run.
        plan: Plan whose works are done, all of them or a part.
        codec: Loaded model, at the precision to compute with.
        cache: Cache of latents, None for none.

    Raises:
        DecoderMissing: If realism is asked of a model without a realism decoder.
        ValueError: If the sink does not fit.
    """
    chosen = SelectedSource(source, settings.channels, settings.time)
    _check(chosen, sink, settings, codec)
    run = _Run(chosen, sink, settings, codec, cache)
    with device_turns(codec.device).run():
        yield from run.tiles(plan)
    return run.tally


def _check(source: SelectedSource, sink: Sink, settings: RunSettings, codec: Codec) -> None:
    if tuple(sink.spec.shape) != tuple(source.shape):
        raise ValueError(
            f"sink: expected shape {source.shape}, that of the chosen channels and times, "
            f"found {sink.spec.shape}; make it with output_spec(source, settings)"
        )
    check_model(codec, settings)


def _prepare(steps: Generator[str | Plan | None, None, None]) -> Generator[Progress, None, Plan]:
    with closing(steps):
        for step in steps:
            if isinstance(step, Plan):
                return step
            yield Progress(0, 0, 0.0, float("nan"), float("nan"), 0, 0, step)
    raise AssertionError("make_plan ends with a plan")


class _Run:
    """One run's state between batches."""

    def __init__(
        self,
        source: SelectedSource,
        sink: Sink,
        settings: RunSettings,
        codec: Codec,
        cache: LatentCache | None,
    ) -> None:
        self._source, self._sink, self._settings = source, sink, settings
        self._codec, self._cache = codec, cache
        self._limit = settings.batch
        self.tally = Tally(0)

    def tiles(self, plan: Plan) -> Generator[Progress, None, None]:
        """Do all works that the sink does not have yet."""
        tally = self.tally
        works = [w for w in plan.works if w.channel in plan.channels]
        self._copy([w for w in plan.works if w.channel not in plan.channels])
        marked = [w for w in works if self._sink.is_done(w.index, w.tile.y0, w.tile.x0)]
        tally.total, tally.done = len(works), len(marked)
        left_pixels = _pixels(works) - _pixels(marked)
        for message in plan.messages:
            yield tally.progress(left_pixels, message)
        source, screened = self._source, ScreenedWindows()
        if any(c.neighbours for c in plan.channels.values()) and PlaneRing.fits(source.whole):
            source = source.over(PlaneRing(source.whole))
            screened = ScreenedWindows.of(source.whole)
        task = TileTask(
            source,
            plan,
            self._codec,
            self._cache,
            decoders_of(self._settings),
            sampling=sampling_of(self._settings),
            quantity=self._settings.quantity,
            ensemble=self._settings.ensemble,
            screened=screened,
        )
        left: Sequence[Work] = works
        if marked:
            kept = yield from self._unchanged(task, marked, left_pixels)
            left = [w for w in works if w not in kept]
            left_pixels = _pixels(left)
        tally.restart_clock()
        reader = ReadAhead(left, task.read)
        pending: list[Future[int]] = []
        with ThreadPoolExecutor(1, "write-behind") as writer:
            try:
                for batch in reader.batches(self._batch_size):
                    changed = self._decode_batch(task, batch, writer, pending)
                    while len(pending) > _WRITES_PENDING:
                        tally.counts += Counts(clipped=pending.pop(0).result())
                    left_pixels -= _pixels(item.work for item in batch)
                    tally.troubles += [changed] if changed else []
                    yield tally.progress(left_pixels, changed)
                for future in pending:
                    tally.counts += Counts(clipped=future.result())
            finally:  # what is computed is still written: a run that is stopped has it when it goes on
                reader.close()

    def _copy(self, works: Sequence[Work]) -> None:
        """Write tiles of opacity, which is no light, as they are."""
        for work in works:
            self._sink.write(work.index, *work.tile.core, copied(self._source, work, self._sink.spec.dtype))

    def _unchanged(
        self, task: TileTask, marked: Sequence[Work], left_pixels: int
    ) -> Generator[Progress, None, set[Work]]:
        """Tiles done before that would be made from the same now; they are read again to know."""
        tally = self.tally
        message = f"continuing: {tally.done} of {tally.total} tiles are done already; looking whether their "
        yield tally.progress(left_pixels, f"{message}image has changed")
        kept = set()
        for work in marked:
            content, _, counted = self._sink.made_from(work.index, work.tile.y0, work.tile.x0).partition(";")
            if task.read(work).content == content:
                kept.add(work)
                tally.counts += Counts.from_word(counted)
            yield tally.progress(left_pixels)
        tally.done = len(kept)
        if len(kept) < len(marked):
            count = len(marked) - len(kept)
            message = f"the image or the precision has changed since: {count} tiles are denoised again"
            yield tally.progress(left_pixels, message)
        return kept

    def _batch_size(self, shape: tuple[int, int]) -> int:
        if self._limit is not None:
            return self._limit
        return max(1, _BATCH_PIXELS.get(self._codec.device, _GPU_BATCH_PIXELS) // (shape[0] * shape[1]))

    def _decode_batch(
        self,
        task: TileTask,
        batch: Sequence[LoadedTile],
        writer: ThreadPoolExecutor,
        pending: list[Future[int]],
    ) -> str | None:
        """Compute a batch and hand it to the writer; a message if memory made it change its ways.

        Tiles that come out as they went in are handed on as they are, but to a sink that keeps latents.
        """
        spared = [] if isinstance(self._sink, TileSink) else [item for item in batch if task.spares(item)]
        for item in spared:
            item.latents = None  # cached ones are of no use
            self.tally.counts += _counted(item)
            pending.append(writer.submit(self._write, task, item, None))
        self.tally.done += len(spared)
        self.tally.pixels += _pixels(item.work for item in spared)
        batch = [item for item in batch if not any(item is other for other in spared)]
        messages: list[str] = []
        start = 0
        while start < len(batch):
            size = min(self._limit or len(batch), len(batch) - start)
            part = batch[start : start + size]
            try:
                with device_turns(self._codec.device).turn():
                    decoded = self._compute(task, part)
            except (MemoryError, RuntimeError) as error:
                messages.append(self._smaller(size, error))
                decoded = None
            if decoded is None:  # not while the error holds on to the tensors of the failed attempt
                _free_device_memory()
                continue
            for item, result in zip(part, decoded, strict=True):
                pending.append(writer.submit(self._write, task, item, result))
            start += size
            self.tally.done += size
            self.tally.pixels += _pixels(item.work for item in part)
        return "; ".join(messages) or None

    def _compute(self, task: TileTask, part: Sequence[LoadedTile]) -> list[Decoded]:
        tally = self.tally
        tally.encoder_calls += task.encode(part)
        decoded = task.reconstruct(part)
        for item in part:
            tally.counts += _counted(item)
            item.forget()
        return decoded

    def _smaller(self, size: int, error: BaseException) -> str:
        """After a lack of memory: half the batch, then the CPU; anything else is raised."""
        text = str(error).lower()
        if not isinstance(error, MemoryError | torch.OutOfMemoryError) and not any(
            words in text for words in _MEMORY_WORDS
        ):
            raise error
        if size > 1:
            self._limit = size // 2
            return f"not enough memory for {size} tiles at once, going on with {self._limit}"
        if self._codec.device != "cpu":
            device = self._codec.device
            with device_turns(device).turn():  # the codec may be shared with a preview
                self._codec.to("cpu")
            return f"not enough memory on {device} for one tile, going on with the CPU; try {_SMALLER}"
        raise MemoryError(
            f"not enough memory for one tile of {self._settings.tile} px; use {_SMALLER}"
        ) from error

    def _write(self, task: TileTask, item: LoadedTile, decoded: Decoded | None) -> int:
        """In the writer thread: cache the latents, write the core; the number of clipped values.

        Without a decode the tile is written as it was read.
        """
        if decoded is None:
            image = np.asarray(item.raw, np.float32)
        else:
            task.keep(item)
            image = task.finished(item, decoded).blend(self._settings.realism)
        tile = item.work.tile
        if isinstance(self._sink, TileSink):
            clipped = self._sink.take(item, image)
        else:
            block, clipped = item.core(image, self._sink.spec.dtype, self._settings.quantity)
            self._sink.write(item.work.index, *tile.core, block)
        counts = _counted(item) + Counts(clipped=clipped)
        self._sink.mark_done(item.work.index, tile.y0, tile.x0, f"{item.content};{counts.word}")
        return clipped


def _counted(item: LoadedTile) -> Counts:
    """What is counted of a tile; bits are those of the tile itself, not of its mirror images."""
    found = Counts(defects=item.defects, unseen=item.unseen)
    if item.latents is None:  # it was not encoded
        return found
    return found + Counts(item.latents.bits, item.raw.size, cache_hits=int(not item.encoded))


def _pixels(works: Iterable[Work]) -> int:
    """Pixels that some tiles write."""
    return sum(math.prod(work.tile.core_shape) for work in works)


def _free_device_memory() -> None:
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
