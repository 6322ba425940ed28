"""The session's window in napari: it watches the view, and shows the session's canvas as a layer."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import napari
from napari.utils.notifications import show_error
from qtpy.QtCore import QObject, Qt, QTimer, Signal

from napari_rdpdenoise.cache import LatentCache
from napari_rdpdenoise.jobs.job import Job
from napari_rdpdenoise.ui.preview.canvas import Canvas
from napari_rdpdenoise.ui.preview.viewport import LayerView
from napari_rdpdenoise.ui.qt.background import ask, start
from napari_rdpdenoise.ui.qt.layers import OURS, look_of, made_of, position_of, subject_of, view_of
from napari_rdpdenoise.ui.qt.parts.controls import single_shot
from napari_rdpdenoise.ui.qt.parts.links import Links
from napari_rdpdenoise.ui.run.jobs import realism_note
from napari_rdpdenoise.ui.run.runs import Event, Stream
from napari_rdpdenoise.ui.session import Session
from napari_rdpdenoise.ui.state import describe

__all__ = ["NapariWindow"]

_LOOK_MS = 60  # between a change of the view and a new aim: a drag changes it at every frame
_SETTLE_MS = 180  # without a change, until a new rate is tried
_POSITION = ("scale", "translate", "rotate", "shear", "affine", "units")  # of a layer
_FRAME_S = 0.025  # between two refreshes of the layer


class NapariWindow(QObject):
    """The viewer as the session needs it, and what the sections of the dock share.

    Args:
        viewer: Viewer that shows the layers.
        stream, cache, load: As `Session` takes them.
        realism_question: Function that tells why a model offers no realism, or None; for tests.

    Attributes:
        viewer: Viewer that shows the layers.
        layer: Chosen layer; None for none. `choose` takes another.
        preview_layer: Layer that shows the preview; None for none.
        session: Session of the dock.
        cache: Cache of latents that preview and runs share; None for none.
        changed: Signal with every new `DockState`.
        happened: Signal with each event of a run, after the session took it.
        settled_view: Signal: all in view was denoised, or another plane is shown.
        redrawn: Signal: pixels of the preview layer have changed.
        tuned: Signal with the folder of a new model.
    """

    changed = Signal(object)
    happened = Signal(object)
    settled_view = Signal()
    redrawn = Signal()
    tuned = Signal(str)
    _called = Signal(object)
    _numbers = itertools.count()

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
        self.viewer, self.cache, self._question = viewer, cache, realism_question
        self.layer: napari.layers.Image | None = None
        self.preview_layer: napari.layers.Image | None = None
        self._links, self._layer_links = Links(viewer), Links(viewer)
        self._keys: WeakKeyDictionary[napari.layers.Image, int] = WeakKeyDictionary()
        self._key = -1
        self._covered = False  # whether we have hidden the preview layer
        self._placing = False  # while we add or remove the preview layer ourselves
        self._placings = 0
        self._flat = False  # whether the preview layer shows again when the viewer is back from 3-D
        self._refreshed = 0.0
        self._called.connect(self._call, Qt.ConnectionType.QueuedConnection)
        self._look_timer = single_shot(self, _LOOK_MS, lambda: self.session.preview())
        self._settle_timer = single_shot(self, _SETTLE_MS, lambda: self.session.preview())
        self._frame_timer = single_shot(self, round(1000 * _FRAME_S), self._refresh_now)
        self.session = Session(self, self.changed.emit, stream=stream, cache=cache, load=load)
        camera = getattr(viewer, "scene", viewer).camera.events  # napari 0.9 has moved it
        dims = viewer.dims.events
        self._links.connect(dims.ndisplay, self._displayed)
        for event in (camera.zoom, camera.center, dims.point, dims.order, dims.ndisplay):
            self._links.connect(event, self._look_soon)
        self._links.connect(viewer.layers.events.removed, self._removed)

    def choose(self, layer: napari.layers.Image | None) -> None:
        """Take another layer."""
        if layer is not self.layer:
            self._watch(layer)
            self._choose_layer()

    def edit(self, **changes: Any) -> None:
        """Change fields of the state as a control does: the preview says what they do, so it is shown."""
        self.reveal()
        self.session.edit(**changes)

    def look_afresh(self) -> None:
        """Preview everything anew: nothing that was made of the layer holds any more."""
        if self.layer is not None:
            self.session.view.forget(self._key)
            self._keys[self.layer] = next(self._numbers)
            self._choose_layer()

    def look_at_once(self) -> None:
        """Do now what would be done soon."""
        self._settle_timer.stop()
        self._look_timer.stop()
        self.session.preview()

    @property
    def result_layer(self) -> napari.layers.Image | None:
        """What shows the result now: the newest run's layer where it covers the preview, else the preview."""
        if self.layer is None or (self.preview_layer is not None and not self._covered):
            return self.preview_layer
        made = [layer for layer in self.viewer.layers if _is_result(layer, self.layer.name)]
        return made[-1] if made else self.preview_layer

    def cover(self) -> None:
        """Hide the preview, because a result lies above it."""
        if self.preview_layer is not None and self.preview_layer.visible:
            self.preview_layer.visible = False
            self._covered = True

    def reveal(self) -> None:
        """Show the preview again after `cover`; what the user hid stays hidden."""
        layer, layers = self.preview_layer, self.viewer.layers
        if self._covered and layer is not None and layer in layers:
            layer.visible = True
            layers.move(layers.index(layer), len(layers))
        self._covered = False

    def close(self) -> None:
        """End everything; waits for the tile in work at most."""
        self._links.cut()
        self._watch(None)
        for timer in (self._look_timer, self._settle_timer, self._frame_timer):
            timer.stop()
        self.session.close()
        self.show_canvas(None)

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
        return view_of(self.viewer, self.layer, self.preview_layer)

    def show_canvas(self, canvas: Canvas | None) -> None:
        """Show this array as the preview layer, in place of the one before."""
        self._placings += 1
        number, self._placing = self._placings, True
        try:
            before, self.preview_layer = self.preview_layer, None
            if before is not None and before in self.viewer.layers:
                self.viewer.layers.remove(before)
            layer = self.layer
            # Removing may make the dock choose another layer, whose canvas is then shown already
            if canvas is not None and layer is not None and number == self._placings:
                active = self.viewer.layers.selection.active
                self.preview_layer = self.viewer.add_image(
                    canvas,
                    name=f"{layer.name} preview",
                    metadata={OURS: {"role": "preview", "source": layer.name}},
                    multiscale=False,
                    visible=self.viewer.dims.ndisplay == 2,  # in 3-D it would read the whole stack
                    projection_mode="none",  # napari's "mean" copies the plane for every refresh
                    **look_of(layer),
                )
                self._flat = True
                self.viewer.layers.selection.active = active or layer
        finally:
            self._placing = False

    def refresh(self) -> None:
        """Show what has changed in the canvas, not more often than the eye can see."""
        if time.monotonic() - self._refreshed >= _FRAME_S:
            self._refresh_now()
        elif not self._frame_timer.isActive():
            self._frame_timer.start()

    def look_again(self) -> None:
        """Preview when nothing has changed for a moment."""
        self._settle_timer.start()

    def ask_realism(self) -> None:
        """Find out in a thread what the chosen model offers."""
        model = self.session.state.model
        ask(self, lambda: self._question(model), lambda note: self.session.take_realism(model, note))

    def settled(self) -> None:
        """Tell the sections."""
        self.settled_view.emit()

    def start(self, job: Job) -> None:
        """Run a job in a thread."""
        start(self, lambda: self.session.runs.events(job), self._hear)

    # Inside

    def _hear(self, event: Event) -> None:
        if self.session.closed:  # with the whole window: what would show the event is deleted
            return
        self.session.runs.take(event)
        self.happened.emit(event)

    def _call(self, call: Callable[[], None]) -> None:
        call()

    def _watch(self, layer: napari.layers.Image | None) -> None:
        self._layer_links.cut()
        self.layer = layer
        if layer is not None:
            for name in ("data", "axis_labels"):
                self._layer_links.connect(getattr(layer.events, name), self.look_afresh)
            self._layer_links.connect(layer.events.name, self._renamed)
            for name in _POSITION:
                self._layer_links.connect(getattr(layer.events, name), self._moved)

    def _choose_layer(self) -> None:
        layer = self.layer
        if layer is None:
            self.session.choose(None)
            return
        self._key = self._keys.setdefault(layer, next(self._numbers))  # one that comes back keeps its own
        try:
            self.session.choose(subject_of(layer, self._key))
        except (TypeError, ValueError) as error:
            self.session.choose(None)
            self.session.tell(f"{layer.name}: {describe(error)}")
            show_error(describe(error))

    def _renamed(self) -> None:
        if self.layer is not None:
            self.session.choose(subject_of(self.layer, self._key))

    def _moved(self) -> None:
        """Another place, scale or unit: the preview goes with it, and files are to say so."""
        self._renamed()
        if self.layer is not None and self.preview_layer is not None:
            for name, value in position_of(self.layer).items():
                setattr(self.preview_layer, name, value)

    def _displayed(self) -> None:
        """In 3-D the preview layer would read the whole stack: it is hidden meanwhile."""
        if self.viewer.dims.ndisplay == 3:
            self._flat = self.preview_layer is not None and self.preview_layer.visible
            if self.preview_layer is not None:
                self.preview_layer.visible = False
        elif self._flat and self.preview_layer is not None:
            self.preview_layer.visible = True

    def _removed(self, event: Any) -> None:
        if event.value is self.preview_layer and not self._placing:
            self.preview_layer = None
            QTimer.singleShot(0, self._preview_deleted)  # its source may be going with it
        elif self._covered and self.layer is not None and _is_result(event.value, self.layer.name):
            self.reveal()
        elif event.value is self.layer:
            self.session.view.forget(self._key)
            self._watch(None)
            self._choose_layer()

    def _preview_deleted(self) -> None:
        if self.preview_layer is None and self.layer is not None:
            self.session.edit(preview=False)

    def _look_soon(self) -> None:
        if not self._look_timer.isActive():
            self._look_timer.start()

    def _refresh_now(self) -> None:
        self._frame_timer.stop()
        self._refreshed = time.monotonic()
        if self.preview_layer is not None and self.preview_layer in self.viewer.layers:
            self.preview_layer.refresh(thumbnail=False, highlight=False, extent=False)
            self.redrawn.emit()


def _is_result(layer: Any, source: str) -> bool:
    made = made_of(layer)
    return made.get("role") == "result" and made.get("source") == source
