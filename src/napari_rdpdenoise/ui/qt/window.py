"""The session's window in napari: it watches the view, and shows the session's canvas as a layer."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import napari
from napari.utils.notifications import show_error
from qtpy.QtCore import QObject, Qt, QTimer, Signal

from napari_rdpdenoise.cache import LatentCache
from napari_rdpdenoise.io.metadata import Channel
from napari_rdpdenoise.jobs.job import Job
from napari_rdpdenoise.ui.preview.canvas import Canvas
from napari_rdpdenoise.ui.preview.mosaic import Pyramid
from napari_rdpdenoise.ui.preview.viewport import LayerView
from napari_rdpdenoise.ui.preview.window import Subject
from napari_rdpdenoise.ui.qt.background import ask
from napari_rdpdenoise.ui.qt.companions import Companions
from napari_rdpdenoise.ui.qt.docks import Docks
from napari_rdpdenoise.ui.qt.drawing_context import DrawingContext
from napari_rdpdenoise.ui.qt.families import Families
from napari_rdpdenoise.ui.qt.family import Family
from napari_rdpdenoise.ui.qt.in_view import view_of
from napari_rdpdenoise.ui.qt.known_layers import KnownLayers
from napari_rdpdenoise.ui.qt.layers import channel_of, name_axes
from napari_rdpdenoise.ui.qt.mask import Mask
from napari_rdpdenoise.ui.qt.parts.controls import single_shot
from napari_rdpdenoise.ui.qt.parts.links import Links
from napari_rdpdenoise.ui.qt.preview_layer import PreviewLayer, preview_of
from napari_rdpdenoise.ui.qt.run_events import RunEvents
from napari_rdpdenoise.ui.qt.watched import WatchedLayer
from napari_rdpdenoise.ui.run.jobs import realism_note
from napari_rdpdenoise.ui.run.runs import Stream
from napari_rdpdenoise.ui.session import Session
from napari_rdpdenoise.ui.state import describe

__all__ = ["NapariWindow"]

_LOOK_MS = 60  # between a change of the view and a new aim: a drag changes it at every frame
_COVER_MS = 150  # after a change of other layers, until it is looked whether one covers ours
_SETTLE_MS = 180  # without a change, until a new rate is tried
_COVERING = ("inserted", "reordered", "visible", "opacity", "blending")  # events of layers


class NapariWindow(QObject):
    """The viewer as the session needs it, and what the sections of the dock share.

    Args:
        viewer: Viewer that shows the layers.
        stream, cache, load: As `Session` takes them.
        realism_question: Function that tells why a model offers no realism, or None; for tests.

    Attributes:
        viewer: Viewer that shows the layers.
        family: What was made of it, and which of it is shown; None for no layer.
        preview_layer: Layer that shows the preview; None for none.
        session: Session of the dock.
        mask: What is not image, by a labels layer: of the chosen layer, and of those denoised with it.
        companions: Previews of the layers that are denoised together with the chosen one.
        cache, load: As given.
        used: When the user last used this dock, seconds of a clock that only goes forward.
        changed: Signal with every new `DockState`.
        happened: Signal with each event of a run, after the session took it.
        settled_beside: Signal: all in view of one of these layers was denoised.
        settled_view: Signal: all in view was denoised, or another plane is shown.
        redrawn: Signal: pixels of the preview layer have changed.
        looked: Signal: something else of the layer is shown, or something covers it.
        tuned: Signal with the folder of a new model.
        counted: Signal: a run would take other layers than before.
    """

    changed = Signal(object)
    happened = Signal(object)
    settled_beside = Signal()
    settled_view = Signal()
    redrawn = Signal()
    looked = Signal()
    tuned = Signal(str)
    counted = Signal()
    _called = Signal(object)

    def __init__(
        self,
        viewer: napari.viewer.Viewer,
        *,
        stream: Stream | None = None,
        cache: LatentCache | None = None,
        load: Callable[[str, str], Any] | None = None,
        realism_question: Callable[[str], str | None] = realism_note,
    ) -> None:
        super().__init__()
        self.viewer, self._question = viewer, realism_question
        self.cache, self.load = cache, load
        self._watched = WatchedLayer(viewer, self.look_afresh, self._renamed, self._renamed, self._look_soon)
        self._links, self._drawing = Links(viewer), DrawingContext(viewer)
        self._known = KnownLayers()
        self._key = -1
        self.used = time.monotonic()
        self._preview = PreviewLayer(self, viewer, self.redrawn.emit, self._look_soon)
        self._families = Families(viewer, lambda noisy: self._docks.family_of(noisy), self.looked.emit)
        self._called.connect(self._call, Qt.ConnectionType.QueuedConnection)
        self._look_timer = single_shot(self, _LOOK_MS, lambda: self.session.preview())
        self._settle_timer = single_shot(self, _SETTLE_MS, lambda: self.session.preview())
        self._runs = RunEvents(self, lambda: self.session, self.happened.emit)
        self.session = Session(self, self.changed.emit, stream=stream, cache=cache, load=load)
        self.companions = Companions(self, self, preview_of)
        camera = getattr(viewer, "scene", viewer).camera.events  # napari 0.9 has moved it
        dims = viewer.dims.events
        # in 3-D the preview layer would read the whole stack: something else is shown meanwhile
        self._links.connect(dims.ndisplay, self._families.apply)
        for event in (camera.zoom, camera.center, dims.point, dims.order, dims.ndisplay, dims.thickness):
            self._links.connect(event, self._look_soon)
        self._links.connect(viewer.layers.events.removed, self._removed)
        self.mask = Mask(self, viewer, self._mask_anew)
        self._cover_timer = single_shot(self, _COVER_MS, self.looked.emit)
        self._links.connect(viewer.layers.events, self._may_cover)  # with those of every layer
        self._docks = Docks(self)

    @property
    def layer(self) -> napari.layers.Image | None:
        """Chosen layer; None for none. `choose` takes another."""
        return self._watched.layer

    def choose(self, layer: napari.layers.Image | None) -> None:
        """Take another layer."""
        if layer is not self.layer:
            self.use()
            before, own = self.layer, self.previews
            if layer is not None:
                name_axes(layer, self._known.origin_of(layer))
            self.companions.leave(layer)
            self._watched.watch(layer)
            if self.session.state.elsewhere:  # of the layer before
                self.session.edit(elsewhere=False, preview=True)
            self._choose_layer()
            if own:
                self._docks.give(before)

    def edit(self, **changes: Any) -> None:
        """Change fields of the state as a control does: the preview says what they do, so it is shown."""
        self.use()
        if self.session.state.elsewhere:
            self.session.edit(preview=True)
        self.reveal()
        self.session.edit(**changes)

    def use(self) -> None:
        """Note that the user has used this dock."""
        self.used = time.monotonic()

    def set_hidden(self, hidden: bool) -> None:
        """Denoise nothing for the eye while the dock is out of sight, and go on when it is seen again."""
        if hidden != self.session.state.hidden:
            self.session.edit(hidden=hidden)
            if hidden:
                self._docks.give(self.layer)
            else:
                self._docks.reclaim()

    def look_afresh(self) -> None:
        """Preview everything anew: nothing that was made of the layer holds any more."""
        if self.layer is not None:
            self.session.view.forget(self._key)
            self._known.renew(self.layer)
            self._choose_layer()

    def look_at_once(self) -> None:
        """Do now what would be done soon."""
        self._settle_timer.stop()
        self._look_timer.stop()
        self.session.preview()

    @property
    def family(self) -> Family | None:
        """What was made of the chosen layer, and which of it is shown; None for no layer."""
        return None if self.layer is None else self.family_of(self.layer)

    def family_of(self, noisy: napari.layers.Image) -> Family:
        """What was made of a layer of the viewer."""
        return self._families.of(noisy)

    @property
    def families(self) -> dict[napari.layers.Image, Family]:
        """What is known of layers, by noisy layer."""
        return self._families.known

    @property
    def previews(self) -> bool:
        """Whether there is a preview layer of the chosen layer, made here."""
        return self._preview.placed

    @property
    def shown_families(self) -> list[Family]:
        """The families that are compared together: that of the chosen layer, and of those beside it."""
        first = [] if self.family is None else [self.family]
        return [*first, *(other for other in self.companions.families if not other.hidden)]

    @property
    def preview_layer(self) -> napari.layers.Image | None:
        """Layer that shows the preview; None for none."""
        return self._preview.layer

    @property
    def result_layer(self) -> napari.layers.Image | None:
        """What shows the result now: that of the newest run until a slider moves, else the preview."""
        return None if self.family is None else self.family.result

    def reveal(self) -> None:
        """Show the preview in place of a run's result and of the noisy image."""
        for family in self.shown_families:
            family.show_preview()

    def close(self) -> None:
        """End everything; waits for the tile in work at most."""
        last = self.layer
        self._links.cut()
        self._watched.watch(None)
        for timer in (self._look_timer, self._settle_timer, self._cover_timer, self._preview, self._runs):
            timer.stop()
        self.session.close()
        self.mask.close()
        self.companions.close()
        self.show_canvas(None)
        self._families.close()
        self._drawing.close()
        self._docks.leave(last)

    # What the session asks for

    def post(self, call: Callable[[], None]) -> None:
        """Call in the viewer's thread, from any thread."""
        try:
            self._called.emit(call)
        except RuntimeError:  # Qt has deleted the window meanwhile: nobody is left to be told
            return

    def view(self) -> LayerView | None:
        """What the viewer shows of the chosen layer."""
        if self.layer is None or self.layer not in self.viewer.layers:
            return None
        return view_of(self.viewer, self.layer, self.family_of(self.layer).target)

    def show_canvas(self, canvas: Canvas | Pyramid | None) -> None:
        """Show this as the preview layer, in place of the one before."""

        def family() -> Family | None:
            self.session.edit(elsewhere=False)
            self._docks.take(self.layer)
            return self.family

        self._preview.place(canvas, family)

    def elsewhere(self, layer: napari.layers.Image) -> bool:
        """Whether another dock previews a layer."""
        return self._docks.have(layer)

    def refresh(self) -> None:
        """Show what has changed in the canvas, not more often than the eye can see."""
        self._preview.refresh()

    def look_again(self) -> None:
        """Preview when nothing has changed for a moment."""
        self._settle_timer.start()

    def ask_realism(self) -> None:
        """Find out in a thread what the model that is used for the chosen layer offers."""
        model = self.session.view.settings.model
        ask(self, lambda: self._question(model), lambda note: self.session.take_realism(model, note))

    def settled(self) -> None:
        """Tell the sections."""
        self.settled_view.emit()

    def shown_channel(self) -> Channel | None:
        """Colour and contrast of the chosen layer."""
        return None if self.layer is None else channel_of(self.layer)

    def start(self, job: Job) -> None:
        """Run a job in a thread."""
        self._runs.start(job)

    # Inside

    def _call(self, call: Callable[[], None]) -> None:
        call()

    def subject(self, layer: napari.layers.Image, *, fresh: bool = False) -> Subject:
        """A layer as the session takes it; ``fresh`` where its pixels are others. Raises as `layer_axes`."""
        if fresh:
            self._known.renew(layer)
        return replace(self._known.subject(layer), invalid=self.mask.of(layer))

    def _mask_anew(self) -> None:
        self.look_afresh()
        self.companions.renew()

    def _choose_layer(self) -> None:
        layer = self.layer
        if layer is None:
            self.session.choose(None)
            return
        self._key = self._known.key_of(layer)
        try:
            self.session.choose(self.subject(layer))
        except (TypeError, ValueError) as error:
            self.session.choose(None)
            self.session.edit(refused=True)
            self.session.tell(f"{layer.name}: {describe(error)}")
            show_error(describe(error))

    def _renamed(self) -> None:
        """Another name, place, scale or unit: files are to say so."""
        if self.layer is not None:
            self._choose_layer()

    def _may_cover(self, event: Any) -> None:
        """Something may lie over what we show, or not any more: look soon."""
        if event.type in _COVERING:
            self._cover_timer.start()

    def _removed(self, event: Any) -> None:
        layer = event.value
        self.companions.removed(layer)
        if layer is self.preview_layer and not self._preview.placing:
            # its source may be going with it, and another layer may have come by then
            QTimer.singleShot(0, partial(self._preview_deleted, self.layer))
        gone = self._families.removed(layer)
        if layer is self.layer:
            self.session.view.forget(self._key)
            self._watched.watch(None)
            self._choose_layer()
        if gone is not None:
            gone.end()

    def _preview_deleted(self, noisy: napari.layers.Image | None) -> None:
        if self.preview_layer is None and self.layer is not None and self.layer is noisy:
            self.session.edit(preview=False)

    def _look_soon(self, event: object = None) -> None:
        if not self._look_timer.isActive():
            self._look_timer.start()
