"""Between session and window: the chosen layer, and what the session needs of the window. No Qt here."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_rdpdenoise.axes import has_colours, without_colours
from napari_rdpdenoise.io import ImageSource, open_image
from napari_rdpdenoise.io.arrays import ArraySource
from napari_rdpdenoise.io.metadata import Channel
from napari_rdpdenoise.jobs.job import Job
from napari_rdpdenoise.ui.preview.canvas import Canvas
from napari_rdpdenoise.ui.preview.mosaic import Pyramid, needs_levels
from napari_rdpdenoise.ui.preview.viewport import LayerView

__all__ = ["PreviewWindow", "Subject", "Window", "canvas_of", "open_subject"]


@dataclass(frozen=True)
class Subject:
    """The chosen layer.

    Attributes:
        name: Name of the layer.
        key: Name of the layer *and* its content: it changes when the pixels are replaced.
        data: Full-resolution array.
        axes: One letter per axis of ``data``; colours last.
        path: File that holds just this image; None where it is in memory, stacked, cropped, or not known.
        file_axes: Axes that are read from that file; empty for none.
        file_channel: Channel of that file that this is; None for all of it.
        scale, units: Scale and units of the axes beside S.
        channel_names: Names, one per channel, or empty.
        channels: What its file says of them, one per channel, or empty.
        denoised: How this package denoised it, by its file; None where that does not say so.
        coarser: Arrays of the lower resolutions that the layer has, finest first.
        assumed: Whether axes are assumed because neither the layer nor its file names them.
        invalid: Mask of pixels that are not image, bool, of the shape of ``data`` or of its last axes, both
            without colours; None for none.
    """

    name: str
    key: Hashable
    data: Any
    axes: str
    path: str | None = None
    file_axes: str = ""
    file_channel: int | None = None
    scale: tuple[float, ...] = ()
    units: tuple[str, ...] = ()
    channel_names: tuple[str, ...] = ()
    channels: tuple[Channel, ...] = ()
    denoised: str | None = None
    coarser: tuple[Any, ...] = ()
    assumed: bool = False
    invalid: NDArray[np.bool_] | None = None

    @property
    def levels(self) -> tuple[Any, ...]:
        """Arrays of all resolutions, finest first."""
        return (self.data, *self.coarser)

    def invalid_at(self, level: int) -> NDArray[np.bool_] | None:
        """The mask in one resolution, with colours where there are some; None for none."""
        if self.invalid is None:
            return None
        shape, full = (self.levels[number].shape[: len(self.axes) - self.rgb] for number in (level, 0))
        count = self.invalid.ndim
        places = [np.arange(n) * whole // n for n, whole in zip(shape[-count:], full[-count:], strict=True)]
        mask = self.invalid[np.ix_(*places)] if level else self.invalid
        return np.broadcast_to(mask[..., None], (*mask.shape, self.data.shape[-1])) if self.rgb else mask

    @property
    def rgb(self) -> bool:
        """Whether the last axis holds colours."""
        return has_colours(self.axes)

    @property
    def facts(self) -> str:
        """Sizes in one line, such as "T 12 · C 2 · 512 × 512"."""
        sizes = dict(zip(self.axes, self.data.shape, strict=True))
        leading = [f"{axis} {sizes[axis]}" for axis in without_colours(self.axes) if axis not in "YX"]
        return " · ".join([*leading, f"{sizes['Y']} × {sizes['X']}{' RGB' if self.rgb else ''}"])


class PreviewWindow(Protocol):
    """What a preview needs of the window; all but ``post`` is called in the viewer's thread."""

    def post(self, call: Callable[[], None]) -> None:
        """Call soon in the viewer's thread; may come from any thread."""

    def view(self) -> LayerView | None:
        """What the viewer shows of the chosen layer; None for none."""

    def show_canvas(self, canvas: Canvas | Pyramid | None) -> None:
        """Show this as the preview layer, in place of the one before; None takes it away."""

    def refresh(self) -> None:
        """Pixels of the canvas have changed."""

    def look_again(self) -> None:
        """Call ``session.preview()`` when nothing has changed for a moment."""

    def settled(self) -> None:
        """All that is in view was denoised, or another plane is shown."""


class Window(PreviewWindow, Protocol):
    """What the session needs of the window, called in the viewer's thread."""

    def ask_realism(self) -> None:
        """Find out in a thread what the model of the layer offers, and tell ``session.take_realism``."""

    def shown_channel(self) -> Channel | None:
        """Colour and contrast of the chosen layer; None for none, and where it shows colours."""

    def start(self, job: Job) -> None:
        """Drain ``session.runs.events(job)`` in a thread, and hand each event to ``session.take``."""


def canvas_of(subject: Subject) -> Canvas | Pyramid:
    """The preview of a subject: one array, or levels where it has several resolutions or large planes."""
    dtype = None if subject.rgb else "float32"  # colours are drawn as they are, so their type has to stay
    if needs_levels(subject.levels, subject.axes):
        return Pyramid(subject.levels, subject.axes, dtype)
    return Canvas(subject.data, subject.axes, dtype)


def open_subject(subject: Subject, level: int = 0) -> ImageSource:
    """One resolution of the layer as an image source.

    A TypeError or ValueError says why the engine cannot read it.
    """
    data = subject.levels[level]
    if subject.invalid is not None:
        return ArraySource(data, subject.axes, invalid=subject.invalid_at(level))
    known = isinstance(data, np.ndarray) or hasattr(data, "dask")
    if known or type(data).__module__.partition(".")[0] == "zarr":
        return open_image(data, axes=subject.axes)
    return ArraySource(data, subject.axes)  # whatever else napari can slice
