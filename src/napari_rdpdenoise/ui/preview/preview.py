"""The preview: the chosen layer, what is in view, the array that shows it. No Qt here.

::

    viewer ──choose, look──▶ Preview ──aim──▶ PreviewEngine (its own thread)
                                │  ◀──tiles, noise, rate (by Window.post, in the viewer's thread)──┘
                                └──▶ Canvas, the array of the preview layer
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from napari_rdpdenoise.cache import LatentCache
from napari_rdpdenoise.noise import NoiseModel
from napari_rdpdenoise.settings import RunSettings
from napari_rdpdenoise.stream.plan import ChannelPlan, for_image
from napari_rdpdenoise.tiles import Tile
from napari_rdpdenoise.ui.layers.stacks import Box
from napari_rdpdenoise.ui.preview.canvas import Canvas
from napari_rdpdenoise.ui.preview.decoded_tiles import DecodedTile
from napari_rdpdenoise.ui.preview.engine import PreviewEngine, PreviewView
from napari_rdpdenoise.ui.preview.events import ChannelReady, Event, Failed, TileReady, Working
from napari_rdpdenoise.ui.preview.found import Found
from napari_rdpdenoise.ui.preview.mosaic import Mosaic, Pyramid
from napari_rdpdenoise.ui.preview.plans import Series, SeriesKey
from napari_rdpdenoise.ui.preview.resolutions import Resolutions
from napari_rdpdenoise.ui.preview.scene import Place, Scene
from napari_rdpdenoise.ui.preview.shown import Shown, box_around, within
from napari_rdpdenoise.ui.preview.viewport import Sight, look_at, preview_tile
from napari_rdpdenoise.ui.preview.where import described, device_of, mean_bits
from napari_rdpdenoise.ui.preview.window import PreviewWindow, Subject, canvas_of
from napari_rdpdenoise.ui.state import DockState, StateStore, describe

if TYPE_CHECKING:
    from napari_rdpdenoise.codec.choice import RateChoice

__all__ = ["Preview"]


class Preview:
    """What is seen of one layer. Methods belong to the viewer's thread and return at once.

    Args:
        window: Window that shows it.
        store: Holder of the state that is shown.
        cache: Cache of latents, shared with runs; None for none.
        load: Function that gives the codec of a model and a device; None for the process's shared ones.

    Attributes:
        subject: Chosen layer; None for none.
        canvas: Array of the preview layer, or its levels; None for none.
    """

    def __init__(
        self,
        window: PreviewWindow,
        store: StateStore,
        cache: LatentCache | None,
        load: Callable[[str, str], Any] | None,
    ) -> None:
        self._window, self._store = window, store
        self._engine = PreviewEngine(
            lambda tile: window.post(lambda: self._add_tile(tile)),
            lambda event: window.post(lambda: self._hear(event)),
            cache=cache,
            load=load,
        )
        self.subject: Subject | None = None
        self._resolutions = Resolutions()
        self.canvas: Canvas | Pyramid | None = None
        self._aimed: tuple[Any, ...] | None = None
        self._sight = Sight()
        self._found, self._scene = Found(), Scene()
        self._device: str | None = None  # once it was used
        self._settled = False  # whether all requests of the last aim were dealt with
        self._closed = False

    @property
    def plan(self) -> ChannelPlan | None:
        """Noise, normalisation and rate of the channel in view; None while they are not known."""
        requests = self._sight.requests
        told = self._told(requests[0].channel) if requests else None
        return None if told is None else told.plan

    @property
    def choice(self) -> RateChoice | None:
        """What the search of the rate has found for the channel in view, also where another is set."""
        requests = self._sight.requests
        if not requests or self.subject is None:
            return None
        return self._found.choice(self._series_key(), requests[0].channel)

    @property
    def settings(self) -> RunSettings:
        """Settings of a run; their model is named where that of the chosen layer is not the usual default."""
        settings = self._store.state.settings()
        finest = self._resolutions.finest
        return settings if finest is None else for_image(settings, finest)

    def choose(self, subject: Subject | None) -> None:
        """Take another layer, or the same with other content; the preview follows.

        Raises as `open_subject`; no layer is chosen then.
        """
        before = self.subject
        self._store.edit(status=self._store.state.status if self._store.state.busy else "")
        if before is not None and subject is not None and before.key == subject.key:
            self.subject = subject  # another name
            self._store.edit(layer=subject.name)
            return
        self.subject = self.canvas = None
        self._resolutions.close()
        self._aimed, self._sight = None, Sight()
        self._scene.forget()
        self._engine.aim(None)
        self._store.edit(layer=None, refused=False, facts="", axes="", axes_assumed=False, found_rate=None)
        self._store.edit(
            no_rate="", outcome="", preview_note="", notes=(), working="", scope="", shown=0, requested=0
        )
        if subject is not None:
            self._resolutions.open(subject)
            self.subject = subject
            self._store.edit(layer=subject.name, facts=subject.facts)
            self._store.edit(axes=subject.axes, axes_assumed=subject.assumed)
        self.canvas = self._new_canvas()
        self.look()  # before the layer is there: napari takes a while to add one, and the thread may begin
        self._window.show_canvas(self.canvas)
        self.look()

    def forget(self, key: Hashable) -> None:
        """Let go of everything of a layer that was deleted or whose pixels were replaced."""
        self._engine.forget(key)
        self._found.forget(key)

    def look(self) -> None:
        """Denoise what is in view, nearest its centre first; called whenever the view has changed."""
        if self._closed:
            return
        view = self._window.view() if self.canvas is not None and self._store.state.looked_at else None
        if view is None or self.subject is None:
            if self._aimed is not None:
                self._aimed, self._sight = None, Sight()
                self._engine.aim(None)
                self._store.edit(shown=0, requested=0, scope="")
            return
        self._resolutions.look(view)
        settings = self._store.state.settings()
        sight = look_at(view, preview_tile(view.plane, settings.tile), settings.halo)
        series = self._series(self.subject)
        aim = (series.key, sight.requests)
        moved = self._aimed is None or _plane_of(self._aimed[1]) != _plane_of(sight.requests)
        self._store.edit(scope=sight.scope)  # which may change where what is previewed does not
        if self._aimed is not None and aim == self._aimed:
            return
        self._sight, self._aimed, self._settled = sight, aim, False
        self._store.edit(preview_note=sight.note or "", notes=self._notes(sight), requested=sight.visible)
        self._engine.aim(PreviewView(series, sight.requests, sight.ahead) if sight.requests else None)
        self._count()
        if moved:
            self._window.settled()

    def shown(self) -> Shown | None:
        """What is shown at the moment, as arrays; None while there is no preview."""
        canvas, subject = self.canvas, self.subject
        held = [] if self._closed else self._engine.held_view()
        if canvas is None or subject is None or not held or self._aimed is None:
            return None
        index, key, frame = self._sight.requests[0].index, self._series_key(), self._frame()
        held = [(tile, decoded) for tile, decoded in held if within(tile, frame)]
        if not held:
            return None
        scene = self._scene.of(Place(key, index, frame), lambda: self._noisy(index, frame), held)
        bpp = mean_bits([decoded.bpp for _, decoded in held])
        return replace(
            scene,
            alpha=self._store.state.shown_realism,
            plan=self.plan,
            bpp=bpp,
            level=self._resolutions.level,
            reduction=self._resolutions.reduction,
        )

    def _frame(self) -> Box:
        """Rows and columns of the plane that are held as arrays: of a large one those in view."""
        requests = self._sight.requests[: self._sight.visible]
        if isinstance(self.canvas, Pyramid) and requests:
            return box_around(request.tile for request in requests)
        height, width = self._resolutions.previewed.shape[-2:]
        return slice(0, height), slice(0, width)

    def _noisy(self, index: tuple[int, ...], frame: Box) -> NDArray[Any]:
        """A part of a noisy plane; of a large one what is drawn already, without reading it again."""
        if isinstance(self.canvas, Pyramid):
            return self.canvas.levels[self._resolutions.level].noisy.region(index, *frame)
        return self._resolutions.previewed.read(index, *frame)

    @property
    def _board(self) -> Canvas | Mosaic | None:
        """What is denoised of that resolution."""
        return None if self.canvas is None else self.canvas.board(self._resolutions.level)

    def noise_of(self, channel: int, index: tuple[int, ...] | None = None) -> NoiseModel | None:
        """The noise model of a channel of the chosen layer, or of one of its planes; None while unknown."""
        told = self._told(channel)
        plan = None if told is None else told.plan if index is None else told.plan.at(index)
        return None if plan is None else plan.normalization.noise

    def warm_up(self) -> None:
        """Load the model before it is needed."""
        self._engine.warm_up(self.settings)

    @property
    def unsettled(self) -> bool:
        """Whether a part of what is in view is still to come."""
        return not self._settled and bool(self._sight.requests) and not self._closed

    def follow(self, before: DockState, now: DockState) -> None:
        """Show what a change of the state asks for.

        Realism is blended at once, without any network; everything else re-aims the preview, when nothing has
        changed for a moment. While the dock is hidden nothing is denoised; what was stays to be seen.
        """
        if now.shown_realism != before.shown_realism:
            self._blend()
        if now.preview != before.preview:
            self._aimed = None
            self._set_canvas()
            self.look()
        elif now.hidden != before.hidden:
            if self.canvas is None:  # of a layer that was chosen meanwhile
                self._set_canvas()
            self.look()
        if now.preview_settings() != before.preview_settings():
            self._aimed = self._device = None
            if self._board is not None:
                self._board.restart(self._sight.requests)
            self._store.edit(outcome="", found_rate=None, no_rate="", working="")
            self._window.look_again()

    def close(self, patience_s: float | None) -> None:
        """End the engine, as `PreviewEngine.close`."""
        self._closed = True
        self._engine.close(patience_s)

    # Inside

    def _add_tile(self, tile: TileReady) -> None:
        board = self._board
        if self._closed or board is None or tile.generation != self._engine.generation:
            return
        index = tile.request.index
        self._scene.add(self._series_key(), index, tile.request.tile, tile.decoded)
        self._blend_tile(board, index, tile.request.tile, tile.decoded)
        if not tile.decoded.provisional and self._aimed is not None:  # else of settings that hold no more
            self._store.edit(working="")
            board.mark(index, (tile.request.tile,))
            self._count()
        self._describe()
        self._window.refresh()

    def _hear(self, event: Event) -> None:
        if self._closed:
            return
        if isinstance(event, ChannelReady):
            self._found.take(event)
            self._describe()
            self._store.edit(notes=self._notes(self._sight))
        elif event.generation != self._engine.generation or self._aimed is None:
            return  # of a view, or of settings, that are no more
        elif isinstance(event, Working):
            self._store.edit(working=event.words)
        elif isinstance(event, Failed):
            self._store.edit(preview_note=f"No preview: {describe(event.error)}", working="")
        else:
            self._settled = True
            self._window.settled()

    def _blend(self) -> None:
        """Show another realism; planes that were seen before have the former one, and are done no more."""
        board, requests = self._board, self._sight.requests
        if board is None or not requests:
            return
        board.restart(requests)
        requested = {(request.index, request.tile) for request in requests}
        for index in dict.fromkeys(request.index for request in requests):  # of colours several
            held = self._engine.held_view(index)
            for tile, decoded in held:
                if isinstance(board, Canvas) or (index, tile) in requested:
                    self._blend_tile(board, index, tile, decoded)
            if self._aimed is not None:  # else they are of a rate that is to be replaced
                board.mark(index, [tile for tile, decoded in held if not decoded.provisional])
        self._window.refresh()

    def _blend_tile(
        self, board: Canvas | Mosaic, index: tuple[int, ...], tile: Tile, decoded: DecodedTile
    ) -> None:
        """Draw a tile with the realism that is asked for; with none where only its fidelity was decoded.

        A provisional tile may have no more, and no tile of a model without such a decoder has.
        """
        realism = 0.0 if decoded.images.natural is None else self._store.state.shown_realism
        self._engine.blend_tile(tile, decoded, realism, board.part(index, tile))

    def _set_canvas(self) -> None:
        self.canvas = self._new_canvas()
        self._window.show_canvas(self.canvas)

    def _new_canvas(self) -> Canvas | Pyramid | None:
        subject = self.subject
        return canvas_of(subject) if subject is not None and self._store.state.looked_at else None

    def _series(self, subject: Subject) -> Series:
        shown = self._resolutions
        return Series(subject.key, shown.previewed, self.settings, shown.level)

    def _series_key(self) -> SeriesKey:
        assert self.subject is not None
        return self._series(self.subject).key

    def _told(self, channel: int) -> ChannelReady | None:
        return None if self.subject is None else self._found.of(self._series_key(), channel)

    def _notes(self, sight: Sight) -> tuple[str, ...]:
        """What to know of the channel in view."""
        told = self._told(sight.requests[0].channel) if sight.requests else None
        return () if told is None else told.messages

    def _count(self) -> None:
        sight, board = self._sight, self._board
        if board is not None and sight.requests:
            visible = sight.requests[: sight.visible]
            shown = sum(board.share_done(request.index, (request.tile,)) == 1.0 for request in visible)
            self._store.edit(shown=shown)

    def _describe(self) -> None:
        """Device, bits per pixel and rate of what is in view."""
        if self.subject is not None:
            if self._device is None:  # asked for once something was computed, because it takes torch
                self._device = device_of(self._store.state.base)
            plan, bpps = self.plan, [decoded.bpp for _, decoded in self._engine.held_view()]
            self._store.state = described(self._store.state, self.subject.facts, plan, bpps, self._device)


def _plane_of(requests: tuple[Any, ...]) -> tuple[int, ...] | None:
    return requests[0].index if requests else None
