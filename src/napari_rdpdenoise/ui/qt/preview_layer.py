"""The layer that shows a preview: put into the viewer, taken out, and drawn anew as its pixels change."""

from __future__ import annotations

from collections.abc import Callable

import napari
from qtpy.QtCore import QObject

from napari_rdpdenoise.ui.preview.canvas import Canvas
from napari_rdpdenoise.ui.preview.mosaic import Pyramid
from napari_rdpdenoise.ui.qt.family import Family
from napari_rdpdenoise.ui.qt.layers import OURS, look_of
from napari_rdpdenoise.ui.qt.parts.controls import single_shot
from napari_rdpdenoise.ui.qt.parts.paced import Paced

__all__ = ["PreviewLayer", "preview_of"]

_FRAME_MS = 25  # between two drawings
_LEAVE_MS = 40  # after the next layer was added, which is drawn first


class PreviewLayer:
    """The preview layer of one noisy layer at a time.

    Args:
        owner: Qt object that it is for.
        viewer: Viewer that shows the layer.
        redrawn: Function called when the layer was drawn anew.
        sliced: Function called when napari shows another part or resolution of a large image.

    Attributes:
        placing: Whether the layer is added or removed just now, by us.
    """

    def __init__(
        self,
        owner: QObject,
        viewer: napari.viewer.Viewer,
        redrawn: Callable[[], object],
        sliced: Callable[[], object],
    ) -> None:
        self.placing = False
        self._viewer, self._redrawn, self._sliced = viewer, redrawn, sliced
        self._family: Family | None = None  # of which there is one
        self._leaving: tuple[Family, napari.layers.Image | None] | None = None  # that is to go, and its layer
        self._places = 0  # how many times it was placed
        # counted from when the event loop is reached: what comes before may take longer than the time itself
        self._wait = single_shot(owner, _LEAVE_MS, self._leave)
        self._turn = single_shot(owner, 0, self._wait.start)
        self._frames = Paced(owner, _FRAME_MS, lambda _: self._draw())

    @property
    def placed(self) -> bool:
        """Whether it was placed for a noisy layer; the user may have deleted it since."""
        return self._family is not None

    @property
    def layer(self) -> napari.layers.Image | None:
        """The layer; None for none."""
        return None if self._family is None else self._family.preview

    def place(self, canvas: Canvas | Pyramid | None, family: Callable[[], Family | None]) -> None:
        """Show an array in place of the one before.

        The layer of another noisy one goes a moment later: the window would stand still twice as long if
        napari added and removed a layer in one turn of the event loop.

        Args:
            canvas: Array, or its levels; None for none.
            family: Function that gives the family of its noisy layer, when the one before is gone.
        """
        self._places += 1
        number, self.placing = self._places, True
        try:
            before, self._family = self._family, None
            self._leave()
            chosen = None if canvas is None else family()
            if before is not None and chosen is not None and before is not chosen:
                self._leaving = before, before.preview
                self._turn.start()
            elif before is not None:
                before.drop_preview()
            # Removing may make the dock choose another layer, whose canvas is then shown already
            if canvas is not None and chosen is not None and number == self._places:
                self._family = chosen
                layer = preview_of(chosen.noisy, canvas)
                chosen.put_preview(layer)
                if layer.multiscale:  # napari decides when it draws which level that is, and how much of it
                    layer.events.set_data.connect(self._sliced)
        finally:
            self.placing = False

    def refresh(self) -> None:
        """Show what has changed in the array, not more often than the eye can see."""
        self._frames.ask()

    def stop(self) -> None:
        """Draw no more."""
        self._frames.stop()
        self._turn.stop()
        self._wait.stop()

    def _leave(self) -> None:
        """Take away the layer whose turn it is to go, unless another has come in its place."""
        self._turn.stop()
        self._wait.stop()
        (family, layer), self._leaving = self._leaving or (None, None), None
        if family is not None and family.preview is layer:
            family.drop_preview()

    def _draw(self) -> None:
        if self.layer is not None and self.layer in self._viewer.layers:
            self.layer.refresh(thumbnail=False, highlight=False, extent=False)
            self._redrawn()


def preview_of(layer: napari.layers.Image, canvas: Canvas | Pyramid) -> napari.layers.Image:
    """A layer that shows the preview of a noisy one."""
    several = isinstance(canvas, Pyramid)
    return napari.layers.Image(
        canvas.levels if isinstance(canvas, Pyramid) else canvas,
        name=f"{layer.name} preview",
        metadata={OURS: {"role": "preview", "source": layer.name}},
        multiscale=several,
        projection_mode="none",  # napari's "mean" copies the plane for every refresh
        **look_of(layer),
    )
