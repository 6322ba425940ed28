"""A noisy layer and the layers that we made of it: exactly one of them is visible, whatever their order.

Layers that show the same thing must not lie over each other: additive ones add up, opaque ones hide. So they
take turns. The user may do that too, by the eye in the layer list: what is shown by hand takes its turn, what
is hidden by hand stays hidden until something is chosen. All go where the noisy layer goes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import napari
import numpy as np
from napari.layers import Image, Layer

from napari_rdpdenoise.ui.compare.view import View
from napari_rdpdenoise.ui.qt.followers import Followers
from napari_rdpdenoise.ui.qt.parts.links import Links

__all__ = ["Family"]

_SHARED = (
    "contrast_limits",
    "gamma",
    "colormap",
    "interpolation2d",
    "interpolation3d",
    "blending",
    "opacity",
)
_SHARED_RGB = ("gamma", "interpolation2d", "interpolation3d", "blending", "opacity")
_ADD_UP = ("additive", "minimum", "multiplicative")  # blendings that do not hide what lies below


class Family:
    """A noisy layer with its preview, results of runs, and pictures of the difference.

    Layers are known by identity: names may change.

    Args:
        viewer: Viewer that holds the layers.
        noisy: Noisy layer.

    Attributes:
        noisy: Noisy layer.
        view: What is shown, or would be if it were there.
        hidden: Whether the user has hidden it.
        preview: Layer of the preview; None for none.
    """

    def __init__(self, viewer: napari.viewer.Viewer, noisy: Image) -> None:
        self.noisy = noisy
        self.view = View.DENOISED
        self.hidden = not noisy.visible
        self.preview: Image | None = None
        self._viewer = viewer
        self._listeners: list[Callable[[], None]] = []
        self._results: list[Image] = []  # of runs, the newest last
        self._current: Image | None = None  # of these the one that is shown; None for the preview
        self._pictures: dict[View, Image] = {}
        self._links: dict[int, Links] = {}
        self._busy = False
        self._followers = Followers(viewer, noisy)
        self._tie(noisy)

    # What there is

    @property
    def result(self) -> Image | None:
        """What shows the result: that of a run until the sliders move, else the preview; None for neither."""
        if self._current is not None:
            return self._current
        if self.preview is not None:
            return self.preview
        return self._results[-1] if self._results else None

    @property
    def is_run(self) -> bool:
        """Whether the result is that of a run."""
        return self.result in self._results

    @property
    def target(self) -> Image:
        """The one layer that is to be visible: the noisy one where there is nothing else to show.

        In 3-D only what holds whole stacks is shown.
        """
        result = self.result
        if self.view is View.NOISY or result is None:
            return self.noisy
        if self._viewer.dims.ndisplay == 3:
            return result if self.is_run else self.noisy
        return self._pictures.get(self.view, result)

    @property
    def seen(self) -> View | None:
        """What is really shown; None for nothing."""
        if self.hidden:
            return None
        target = self.target
        if target is self.noisy:
            return View.NOISY
        return next((view for view, layer in self._pictures.items() if layer is target), View.DENOISED)

    @property
    def members(self) -> list[Image]:
        """All layers of the family, the noisy one first."""
        preview = [] if self.preview is None else [self.preview]
        return [self.noisy, *preview, *self._results, *self._pictures.values()]

    def picture(self, view: View) -> Image | None:
        """The layer of one of the pictures, if it is there."""
        return self._pictures.get(view)

    def listen(self, changed: Callable[[], None]) -> None:
        """Call a function whenever something else is shown."""
        self._listeners.append(changed)

    def unlisten(self, changed: Callable[[], None]) -> None:
        """Call it no more."""
        self._listeners = [listener for listener in self._listeners if listener is not changed]

    # What comes and goes

    def put_preview(self, layer: Image) -> None:
        """Add the layer of the preview, in place of the one before."""
        self.drop_preview()
        self.preview = layer
        self._put(layer)

    def put_result(self, layer: Image) -> None:
        """Add the result of a run, and show it."""
        self._results.append(layer)
        self._current, self.hidden = layer, False
        if self.view is not View.SPLIT:
            self.view = View.DENOISED
        self._put(layer)

    def put_picture(self, view: View, layer: Image) -> None:
        """Add the layer of a picture, in place of the one before."""
        self.drop(view)
        self._pictures[view] = layer
        self._put(layer)

    def drop(self, view: View) -> None:
        """Take the layer of a picture out of the viewer, if it is there."""
        layer = self._pictures.pop(view, None)
        if layer is not None:
            self._remove(layer)

    def drop_preview(self) -> None:
        """Take the layer of the preview out of the viewer, if it is there."""
        layer, self.preview = self.preview, None
        if layer is not None:
            self._remove(layer)

    def forget(self, layer: Layer) -> bool:
        """Note that a layer was removed by somebody else; returns whether it was one of the family."""
        if all(layer is not member for member in self.members[1:]):
            return False
        if layer is self.preview:
            self.preview = None
        self._results = [result for result in self._results if result is not layer]
        lost = [view for view, picture in self._pictures.items() if picture is layer]
        for view in lost:
            del self._pictures[view]
        if self.view in lost:
            self.view = View.DENOISED
        if layer is self._current:
            self._current = None
        self._cut(layer)
        self.apply()
        return True

    def end(self) -> None:
        """Take away all but results, show the newest or else the noisy layer, and let go."""
        for view in list(self._pictures):
            self.drop(view)
        self.drop_preview()
        self.apply()
        for links in self._links.values():
            links.cut()
        self._links.clear()
        self._followers.end()

    # What is shown

    def choose(self, view: View) -> None:
        """Show something else, also if the user had hidden it all."""
        self.view, self.hidden = view, False
        self.apply()

    def show_preview(self) -> None:
        """Show the preview in place of a run's result, because it says what the sliders do now."""
        self.hidden, self._current = False, None
        if self.view is View.NOISY:
            self.view = View.DENOISED
        self.apply()

    def apply(self) -> None:
        """Make the one layer visible and all others not."""
        if self._busy:
            return
        self._busy = True
        try:
            target = self.target
            if not self.hidden and not target.visible:
                target.visible = True
            for layer in self.members:
                if layer.visible and (self.hidden or layer is not target):
                    layer.visible = False
        finally:
            self._busy = False
        for changed in self._listeners:
            changed()

    @property
    def cover(self) -> Layer | None:
        """A foreign layer that lies above and hides what is shown; None for none."""
        layers = self._viewer.layers
        if self.hidden or self.target not in layers:
            return None
        for layer in layers[layers.index(self.target) + 1 :]:
            if any(layer is member for member in self.members) or not _hides(layer):
                continue
            low, high = (np.asarray(layer.extent.world)[row][-2:] for row in (0, 1))
            first, last = (np.asarray(self.target.extent.world)[row][-2:] for row in (0, 1))
            if (low < last).all() and (first < high).all():
                return layer
        return None

    def raise_all(self) -> None:
        """Move the family above all other layers."""
        layers = self._viewer.layers
        for member in self.members:
            if member in layers:
                layers.move(layers.index(member), len(layers))

    # Inside

    def _put(self, layer: Image) -> None:
        """Add a layer just above the noisy one, where it takes its place; the selection stays."""
        layers = self._viewer.layers
        self._busy = True
        try:
            self._dress(layer)
            layer.visible = False
            if layer not in layers:
                selected, active = set(layers.selection), layers.selection.active
                at = layers.index(self.noisy) + 1 if self.noisy in layers else len(layers)
                layers.insert(at, layer)
                layers.selection = selected
                layers.selection.active = active
        finally:
            self._busy = False
        self._tie(layer)
        self._followers.add(layer)
        self.apply()
        if not layer.visible and self._shares(layer):
            layer.thumbnail = self.noisy.thumbnail  # napari draws none as long as it is not shown

    def _remove(self, layer: Image) -> None:
        self._cut(layer)
        busy, self._busy = self._busy, True
        try:
            if layer in self._viewer.layers:
                self._viewer.layers.remove(layer)
        finally:
            self._busy = busy
        self.apply()

    def _tie(self, layer: Image) -> None:
        links = self._links[id(layer)] = Links(self._viewer)
        links.connect(layer.events.visible, lambda event=None: self._looked(layer))
        if self._shares(layer):
            for name in self._names:
                links.connect(getattr(layer.events, name), partial(self._share, layer, name))

    def _cut(self, layer: Layer) -> None:
        self._followers.remove(layer)
        links = self._links.pop(id(layer), None)
        if links is not None:
            links.cut()

    def _looked(self, layer: Image) -> None:
        """The user showed or hid a layer by hand."""
        if self._busy:
            return
        if layer.visible:
            self.hidden = False
            self.view = self._view_of(layer)
            if layer in self._results:
                self._current = layer
            elif layer is self.preview:
                self._current = None
        elif layer is self.target:
            self.hidden = True
        self.apply()

    def _view_of(self, layer: Image) -> View:
        if layer is self.noisy:
            return View.NOISY
        return next((view for view, picture in self._pictures.items() if picture is layer), View.DENOISED)

    def _shares(self, layer: Image) -> bool:
        """Whether a layer looks as the noisy one does: all but pictures of other numbers than counts."""
        others = (View.REMOVED, View.TEXTURE, View.KEPT, View.ERROR)
        return all(layer is not self._pictures.get(view) for view in others)

    @property
    def _names(self) -> tuple[str, ...]:
        return _SHARED_RGB if self.noisy.rgb else _SHARED

    def _share(self, layer: Image, name: str, event: Any = None) -> None:
        """Give all others the look that one was given."""
        if self._busy:
            return
        self._busy = True
        try:
            for member in self.members:
                if member is not layer and self._shares(member):
                    _set(member, name, getattr(layer, name))
        finally:
            self._busy = False

    def _dress(self, layer: Image) -> None:
        if self._shares(layer):
            for name in self._names:
                _set(layer, name, getattr(self.noisy, name))


def _set(layer: Image, name: str, value: Any) -> None:
    if not np.array_equal(getattr(layer, name), value):
        setattr(layer, name, value)


def _hides(layer: Layer) -> bool:
    return bool(
        isinstance(layer, Image) and layer.visible and layer.opacity > 0.5 and layer.blending not in _ADD_UP
    )
