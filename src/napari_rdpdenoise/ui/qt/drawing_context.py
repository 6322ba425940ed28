"""The OpenGL context that a viewer draws with: current while layers are removed.

When a layer is removed, napari has its textures and buffers deleted at once (its pull request 8122), in
whatever OpenGL context is current. Outside a drawing that is the one in which Qt puts the window together.
What was deleted there is still bound in the viewer's own context, where the next layer gets the same numbers:
its second drawing then ended the process (napari 0.9.2, Mesa).
"""

from __future__ import annotations

import napari

from napari_rdpdenoise.ui.qt.parts.links import Links

__all__ = ["DrawingContext"]


class DrawingContext:
    """Makes the context of a viewer's canvas current before napari deletes what a layer was drawn with.

    Args:
        viewer: Viewer whose layers are removed, by whomever.
    """

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        self._viewer = viewer
        self._links = Links(viewer)
        # napari calls what was connected last first: all this comes before its own canvas. A list that is
        # cleared tells the canvas at the end of the batch.
        for event in (viewer.layers.events.removed, viewer.layers.events.end_batch):
            self._links.connect(event, self._make_current)

    def close(self) -> None:
        """Leave the viewer as napari has it."""
        self._links.cut()

    def _make_current(self, event: object = None) -> None:
        try:
            # napari offers its canvas nowhere else; without one, or elsewhere in a later version, there is
            # nothing to make current
            self._viewer.window._qt_viewer.canvas.native.makeCurrent()
        except (AttributeError, RuntimeError):  # or Qt has deleted it: the viewer is closed
            return
