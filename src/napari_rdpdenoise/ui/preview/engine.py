"""The preview's engine: one thread that denoises what is in view, nearest the centre first. No Qt here.

::

    aim(view) ──requests──▶ thread: read -> encode | latent cache -> decode ──on_tile──▶ viewer
    blend_view(realism, out) ◀── decoded tiles: no network, in the thread that asks

Each `aim` replaces the requests and raises the generation. Work is dropped between tiles, never within one: a
tile in work is finished and kept, though not reported if it is no longer wanted. While the rate is being
searched for, a provisional tile shows the way; it is held only as long as it is asked for, because nothing
would replace it after that.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Hashable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from napari_rdpdenoise.cache import LatentCache
from napari_rdpdenoise.imports import short_turns
from napari_rdpdenoise.settings import RunSettings
from napari_rdpdenoise.stream.plan import ChannelPlan
from napari_rdpdenoise.threads import start_thread
from napari_rdpdenoise.tiles import Tile
from napari_rdpdenoise.ui.preview.agenda import Agenda, Task
from napari_rdpdenoise.ui.preview.decode import TileDecoder
from napari_rdpdenoise.ui.preview.decoded_tiles import Blender, DecodedTile, DecodedTiles, TileKey
from napari_rdpdenoise.ui.preview.events import (
    CHOOSING,
    LOADING,
    MEASURING,
    ChannelReady,
    Event,
    Failed,
    PreviewView,
    Settled,
    Target,
    TileReady,
    Working,
)
from napari_rdpdenoise.ui.preview.plans import SeriesKey
from napari_rdpdenoise.ui.preview.viewport import TileRequest

if TYPE_CHECKING:
    from napari_rdpdenoise.codec import Codec

__all__ = ["ChannelReady", "Failed", "PreviewEngine", "PreviewView", "Settled", "TileReady"]

MIB = 1024**2

_LOG = logging.getLogger(__name__)


class _Stale(Exception):
    """What is in work is not wanted any more."""


class PreviewEngine:
    """Denoises views in one thread of its own.

    Callbacks come from that thread, must be quick, and may call `aim`; what they raise is logged.

    Args:
        on_tile: Function for every tile of the current generation; a generation may end meanwhile, so compare
            ``generation`` with the engine's where it matters.
        on_event: Function for everything else.
        cache: Cache of latents, shared with runs; None for none.
        tile_bytes: Budget for decoded tiles, bytes; a megapixel with both decodes takes 8 MB.
        load: Function that gives the codec of a model and a device; None for the process's shared ones.

    Raises:
        ValueError: If the budget is negative.
    """

    def __init__(
        self,
        on_tile: Callable[[TileReady], None],
        on_event: Callable[[Event], None] = lambda event: None,
        *,
        cache: LatentCache | None = None,
        tile_bytes: int = 512 * MIB,
        load: Callable[[str, str], Codec] | None = None,
    ) -> None:
        self._on_tile, self._on_event = on_tile, on_event
        self._decoded = DecodedTiles(tile_bytes)
        self._decoding = TileDecoder(cache, load)
        self._agenda = Agenda()
        self._thread: threading.Thread | None = None
        self._blender = Blender()

    # What the viewer's thread calls: all of it returns at once

    @property
    def generation(self) -> int:
        """Number of the last `aim`."""
        return self._agenda.generation

    def aim(self, view: PreviewView | None) -> int:
        """Work on this view from the next tile on, and on nothing else; None rests. Returns the generation.

        Another rate than before drops the decoded tiles of the layer's earlier rate.

        Raises:
            RuntimeError: If the engine was closed.
        """
        with self._agenda.lock:
            self._check_open()
            before = self._agenda.target
            generation = self._agenda.aim(view)
            if view is not None:
                self._decoded.drop_provisional(view.series.key, {(w.index, w.tile) for w in view.requests})
            self._start()
        if before is not None and view is not None:
            old, new = before.view.series.key, view.series.key
            if (old.layer, old.level) == (new.layer, new.level) and old != new:
                self._decoded.drop(lambda key: key == old)
        return generation

    def warm_up(self, settings: RunSettings) -> None:
        """Load the model before it is needed; a failure is told when it is."""
        self._check_open()
        self._do_soon(lambda: self._warm_up(settings))

    def forget(self, layer: Hashable) -> None:
        """Drop everything of a layer that was deleted or whose pixels have changed; rest if it is in view."""
        if self._agenda.closed:
            return
        target = self._agenda.target
        if target is not None and target.view.series.layer == layer:
            self.aim(None)
        self._drop_decoded(layer)
        self._do_soon(lambda: self._forget(layer))  # once more, after the tile in work

    def blend_view(
        self, realism: float, out: NDArray[Any], index: tuple[int, ...] | None = None
    ) -> tuple[Tile, ...]:
        """Write the blend of all decoded tiles of a plane in view, and return them; calls no network.

        Args:
            realism: Realism, 0 to 1.
            out: Whole plane (height, width), float32 for speed, or any supported dtype.
            index: Plane, as `TileRequest` has it; None for the first one that is requested.

        Raises:
            DecoderMissing: If ``realism`` is above 0 with a model without a realism decoder.
        """
        held = self.held_view(index)
        self._blender.blend(held, realism, out)
        return tuple(tile for tile, _ in held)

    def held_view(self, index: tuple[int, ...] | None = None) -> list[tuple[Tile, DecodedTile]]:
        """Decoded tiles of a plane in view, by its index; None for the first one that is requested."""
        target = self._agenda.target
        if target is None or not target.view.requests:
            return []
        wanted = target.view.requests[0].index if index is None else index
        return self._decoded.of_plane(target.view.series.key, wanted)

    def blend_tile(self, tile: Tile, decoded: DecodedTile, realism: float, out: NDArray[Any]) -> None:
        """Write the blend of one tile into an array of its core, as `blend_view` does for all of a plane."""
        self._blender.blend_core(tile, decoded, realism, out)

    def close(self, patience_s: float | None = None) -> None:
        """End the thread after the tile in work, and let go of everything; may be repeated.

        Waits so many seconds for the thread, None until it has ended.
        """
        self._agenda.close()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(patience_s)
        self._decoded.drop(lambda key: True)

    # The thread

    def _check_open(self) -> None:
        if self._agenda.closed:
            raise RuntimeError("the preview engine was closed; make a new one")

    def _do_soon(self, chore: Callable[[], None]) -> None:
        with self._agenda.lock:
            self._agenda.add(chore)
            self._start()

    def _start(self) -> None:
        """Have a thread that looks what there is to do; with the lock held."""
        if self._thread is None:
            self._thread = start_thread(self._work, lambda: self.close(0), "preview")

    def _work(self) -> None:
        while (found := self._agenda.take()) is not None:
            try:
                with short_turns():
                    if not isinstance(found, Task):
                        found()
                    elif found.asked:
                        self._serve(found.target, found.request)
                    else:
                        self._prepare(found.target, found.request)
            except Exception:  # of a chore: a tile's are told where they happen
                _LOG.exception("preview: a task failed")

    def _serve(self, target: Target, request: TileRequest) -> None:
        from napari_rdpdenoise.codec.device import GivenUp

        try:
            self._denoise(target, request)
        except (_Stale, GivenUp):
            pass
        except Exception as error:
            self._tell(self._on_event, Failed(target.generation, error))
        if self._agenda.is_current(target) and self._agenda.settled:
            self._tell(self._on_event, Settled(target.generation))

    def _denoise(self, target: Target, request: TileRequest) -> None:
        series, key = target.view.series, TileKey(target.view.series.key, request.index, request.tile)
        held = self._decoded.get(key)
        if held is not None and not held.provisional:
            self._deliver(target, request, held, cached=True)
            return
        decoding = self._decoding
        if not decoding.is_loaded(series.settings):
            self._work_on(target, LOADING)
        codec = self._need(target, lambda: decoding.codec(series.settings))
        decoding.wait_for_runs(codec, lambda: self._is_stale(target))
        if not decoding.plans.is_known(series, request.channel):
            self._work_on(target, MEASURING)
        plan, final = self._need(target, lambda: decoding.plans.quick(series, request.channel, codec))
        if not final:
            if held is None:
                self._make(target, request, plan, codec, provisional=True)
            self._work_on(target, CHOOSING)
            between = self._watch(target, request.channel, codec)
            plan = self._need(target, lambda: decoding.plans.choose(series, request.channel, codec, between))
            if self._is_stale(target):
                return
        self._make(target, request, plan, codec, provisional=False)
        self._announce(target, request.channel, plan, codec)

    def _prepare(self, target: Target, request: TileRequest) -> None:
        """Denoise a tile that may be requested next, where it takes no search; nothing is told of it."""
        from napari_rdpdenoise.codec.device import GivenUp

        series, key = target.view.series, TileKey(target.view.series.key, request.index, request.tile)
        if self._decoded.get(key) is None and self._decoding.plans.is_known(series, request.channel):
            with suppress(GivenUp):
                codec = self._decoding.codec(series.settings)
                self._decoding.wait_for_runs(codec, lambda: self._is_stale(target))
                plan, _ = self._decoding.plans.quick(series, request.channel, codec)
                self._decode(target, request, plan, codec, provisional=False)

    def _need(self, target: Target, make: Callable[[], Any]) -> Any:
        """What every tile of the view needs: without it the rest of the requests would only fail alike."""
        try:
            return make()
        except Exception:
            self._agenda.give_up(target)
            raise

    def _make(
        self, target: Target, request: TileRequest, plan: ChannelPlan, codec: Codec, *, provisional: bool
    ) -> None:
        """Denoise one tile, keep it and report it."""
        decoded = self._decode(target, request, plan, codec, provisional=provisional)
        self._deliver(target, request, decoded, cached=False)

    def _decode(
        self, target: Target, request: TileRequest, plan: ChannelPlan, codec: Codec, *, provisional: bool
    ) -> DecodedTile:
        """Denoise one tile and keep it."""
        series = target.view.series
        stale = lambda: self._is_stale(target)  # noqa: E731
        decoded = self._decoding.make(series, request, plan, codec, stale, provisional=provisional)
        with self._agenda.lock:  # no other view is aimed at in between
            if not self._agenda.closed and not (provisional and stale()):
                self._decoded.put(TileKey(series.key, request.index, request.tile), decoded)
        return decoded

    def _deliver(self, target: Target, request: TileRequest, decoded: DecodedTile, *, cached: bool) -> None:
        if not self._is_stale(target):
            self._tell(self._on_tile, TileReady(target.generation, request, decoded, cached))

    def _work_on(self, target: Target, words: str) -> None:
        if not self._is_stale(target):
            self._tell(self._on_event, Working(target.generation, words))

    def _announce(self, target: Target, channel: int, plan: ChannelPlan, codec: Codec) -> None:
        """After the channel's first tile, because its checks take a while."""
        series, plans = target.view.series, self._decoding.plans
        if self._agenda.closed or plans.was_told(series, channel):
            return
        messages = plans.doubts(series, channel, plan, codec)
        self._tell(self._on_event, ChannelReady(target.generation, series.key, channel, plan, messages))

    def _watch(self, target: Target, channel: int, codec: Codec) -> Callable[[], None]:
        """For the search of the rate: lets runs go first, and ends when nobody wants the rate any more."""

        def unwanted() -> bool:
            now = self._agenda.target
            if now is None or now.view.series.key != target.view.series.key:
                return True
            return all(request.channel != channel for request in now.view.requests)

        def between() -> None:
            self._decoding.wait_for_runs(codec, unwanted)
            if unwanted():
                raise _Stale

        return between

    def _warm_up(self, settings: RunSettings) -> None:
        try:
            self._decoding.codec(settings)
        except Exception as error:  # told when the model is needed
            _LOG.info("preview: the model could not be loaded yet: %s", error)

    def _forget(self, layer: Hashable) -> None:
        self._decoding.plans.forget(layer)
        self._drop_decoded(layer)

    def _drop_decoded(self, layer: Hashable) -> None:
        self._decoded.drop(lambda key: isinstance(key, SeriesKey) and key.layer == layer)

    def _is_stale(self, target: Target) -> bool:
        return not self._agenda.is_current(target)

    def _tell(self, listener: Callable[[Any], None], event: object) -> None:
        try:
            listener(event)
        except Exception:
            _LOG.exception("preview: a listener failed")
