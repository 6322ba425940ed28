"""The session's window in napari: it watches the view, and shows the session's canvas as a layer."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import napari
from napari.utils.notifications import show_error
from qtpy.QtCore import QObject, Qt, QTimer, Signal

from napari_rdpdenoise.ui.qt.background import ask, start
from napari_rdpdenoise.ui.qt.layers import OURS, look_of, position_of, subject_of, view_of
from napari_rdpdenoise.ui.run.jobs import realism_note
from napari_rdpdenoise.ui.session import Session
from napari_rdpdenoise.ui.state import describe

if TYPE_CHECKING:
    from napari_rdpdenoise.cache import LatentCache
    from napari_rdpdenoise.jobs.job import Job
    from napari_rdpdenoise.ui.preview.canvas import Canvas
    from napari_rdpdenoise.ui.preview.viewport import LayerView
    from napari_rdpdenoise.ui.run.runs import Event, Stream

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
        self._layer: napari.layers.Image | None = None
        self._keys: WeakKeyDictionary[napari.layers.Image, int] = WeakKeyDictionary()
        self._key = -1
        self._preview: napari.layers.Image | None = None
        self._covered = False  # whether we have hidden the preview layer
        self._placing = False  # while we add or remove the preview layer ourselves
        self._placings = 0
        self._flat = False  # whether the preview layer shows again when the viewer is back from 3-D
        self._refreshed = 0.0
        self._called.connect(self._call, Qt.ConnectionType.QueuedConnection)
        self._look_timer = _timer(self, _LOOK_MS, self._look)
        self._settle_timer = _timer(self, _SETTLE_MS, self._look)
        self._frame_timer = _timer(self, round(1000 * _FRAME_S), self._refresh_now)
        self.session = Session(self, self.changed.emit, stream=stream, cache=cache, load=load)
        camera = getattr(viewer, "scene", viewer).camera  # napari 0.9 has moved it
        self._watched = [
            camera.events.zoom,
            camera.events.center,
            viewer.dims.events.point,
            viewer.dims.events.order,
            viewer.dims.events.ndisplay,
        ]
        viewer.dims.events.ndisplay.connect(self._displayed)
        for event in self._watched:
            event.connect(self._look_soon)
        viewer.layers.events.removed.connect(self._removed)

    @property
    def layer(self) -> napari.layers.Image | None:
        """The chosen layer."""
        return self._layer

    @property
    def preview_layer(self) -> napari.layers.Image | None:
        """The layer that shows the preview."""
        return self._preview

    def choose(self, layer: napari.layers.Image | None) -> None:
        """Take another layer; the same again after its pixels or axes have changed."""
        if layer is self._layer:
            return
        self._watch(layer)
        self._choose_layer()

    def edit(self, **changes: Any) -> None:
        """Change fields of the state as a control does: the preview says what they do, so it is shown."""
        self.reveal()
        self.session.edit(**changes)

    def look_afresh(self) -> None:
        """Preview everything anew: nothing that was made of the layer holds any more."""
        self._replaced()

    def look_at_once(self) -> None:
        """Do now what would be done soon."""
        self._settle_timer.stop()
        self._look_timer.stop()
        self._look()

    @property
    def result_layer(self) -> napari.layers.Image | None:
        """What shows the result now: the newest run's layer where it covers the preview, else the preview."""
        if self._layer is None or (self._preview is not None and not self._covered):
            return self._preview
        made = [layer for layer in self.viewer.layers if _is_result(layer, self._layer.name)]
        return made[-1] if made else self._preview

    def cover(self) -> None:
        """Hide the preview, because a result lies above it."""
        if self._preview is not None and self._preview.visible:
            self._preview.visible = False
            self._covered = True

    def reveal(self) -> None:
        """Show the preview again after `cover`; what the user hid stays hidden."""
        layer, layers = self._preview, self.viewer.layers
        if self._covered and layer is not None and layer in layers:
            layer.visible = True
            layers.move(layers.index(layer), len(layers))
        self._covered = False

    def close(self) -> None:
        """End everything; waits for the tile in work at most."""
        for event in self._watched:
            event.disconnect(self._look_soon)
        self.viewer.dims.events.ndisplay.disconnect(self._displayed)
        self.viewer.layers.events.removed.disconnect(self._removed)
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
        if self._layer is None or self._layer not in self.viewer.layers:
            return None
        return view_of(self.viewer, self._layer, self._preview)

    def show_canvas(self, canvas: Canvas | None) -> None:
        """Show this array as the preview layer, in place of the one before."""
        self._placings += 1
        number, self._placing = self._placings, True
        try:
            before, self._preview = self._preview, None
            if before is not None and before in self.viewer.layers:
                self.viewer.layers.remove(before)
            layer = self._layer
            # Removing may make the dock choose another layer, whose canvas is then shown already
            if canvas is not None and layer is not None and number == self._placings:
                active = self.viewer.layers.selection.active
                self._preview = self.viewer.add_image(
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
        if self._layer is not None:
            self._layer.events.data.disconnect(self._replaced)
            self._layer.events.axis_labels.disconnect(self._replaced)
            self._layer.events.name.disconnect(self._renamed)
            for name in _POSITION:
                getattr(self._layer.events, name).disconnect(self._moved)
        self._layer = layer
        if layer is not None:
            layer.events.data.connect(self._replaced)
            layer.events.axis_labels.connect(self._replaced)
            layer.events.name.connect(self._renamed)
            for name in _POSITION:
                getattr(layer.events, name).connect(self._moved)

    def _choose_layer(self) -> None:
        layer = self._layer
        try:
            if layer is None:
                self.session.choose(None)
                return
            self._key = self._keys.setdefault(layer, next(self._numbers))  # one that comes back keeps its own
            self.session.choose(subject_of(layer, self._key))
        except (TypeError, ValueError) as error:
            self.session.choose(None)
            self.session.tell(f"{layer.name if layer else ''}: {describe(error)}")
            show_error(describe(error))

    def _replaced(self) -> None:
        """Other pixels or axes in the same layer: nothing that was known of it holds."""
        layer = self._layer
        if layer is None:
            return
        self.session.forget(self._key)
        self._keys[layer] = next(self._numbers)
        self._choose_layer()

    def _renamed(self) -> None:
        if self._layer is not None:
            self.session.choose(subject_of(self._layer, self._key))

    def _moved(self) -> None:
        """Another place, scale or unit: the preview goes with it, and files are to say so."""
        self._renamed()
        if self._layer is not None and self._preview is not None:
            for name, value in position_of(self._layer).items():
                setattr(self._preview, name, value)

    def _displayed(self) -> None:
        """In 3-D the preview layer would read the whole stack: it is hidden meanwhile."""
        if self.viewer.dims.ndisplay == 3:
            self._flat = self._preview is not None and self._preview.visible
            if self._preview is not None:
                self._preview.visible = False
        elif self._flat and self._preview is not None:
            self._preview.visible = True

    def _removed(self, event: Any) -> None:
        if event.value is self._preview and not self._placing:
            self._preview = None
            QTimer.singleShot(0, self._preview_deleted)  # its source may be going with it
        elif self._covered and self._layer is not None and _is_result(event.value, self._layer.name):
            self.reveal()
        elif event.value is self._layer:
            self.session.forget(self._key)
            self._watch(None)
            self._choose_layer()

    def _preview_deleted(self) -> None:
        if self._preview is None and self._layer is not None:
            self.session.edit(preview=False)

    def _look_soon(self) -> None:
        if not self._look_timer.isActive():
            self._look_timer.start()

    def _look(self) -> None:
        self.session.preview()

    def _refresh_now(self) -> None:
        self._frame_timer.stop()
        self._refreshed = time.monotonic()
        if self._preview is not None and self._preview in self.viewer.layers:
            self._preview.refresh(thumbnail=False, highlight=False, extent=False)
            self.redrawn.emit()


def _is_result(layer: Any, source: str) -> bool:
    made = layer.metadata.get(OURS)
    return isinstance(made, dict) and made.get("role") == "result" and made.get("source") == source


def _timer(parent: QObject, wait_ms: int, call: Callable[[], None]) -> QTimer:
    timer = QTimer(parent)
    timer.setSingleShot(True)
    timer.setInterval(wait_ms)
    timer.timeout.connect(call)
    return timer
