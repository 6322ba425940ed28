"""The dock: an empty frame at first, which its contents come into.

They take a thousand functions of ours and of SciPy. These are imported in a thread, and the sections are made
one in each turn of the event loop, so that the window does not stand still when the dock is opened. A script
that asks for any part of it gets it complete.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import napari
from qtpy.QtCore import QEvent, Qt
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_rdpdenoise.imports import no_collections
from napari_rdpdenoise.ui.qt.background import ask
from napari_rdpdenoise.ui.qt.in_sight import InSight
from napari_rdpdenoise.ui.qt.parts.controls import single_shot, stack, text_label

if TYPE_CHECKING:
    from napari_rdpdenoise.ui.qt.contents import Contents, Given
    from napari_rdpdenoise.ui.qt.parts.section import Section
    from napari_rdpdenoise.ui.qt.preferences import Preferences
    from napari_rdpdenoise.ui.run.runs import Stream
    from napari_rdpdenoise.ui.session import Session

__all__ = ["DenoiseDock"]

_MIN_WIDTH = 320  # px; a dock without one opens too narrow for its labels


class DenoiseDock(QWidget):
    """Preview, denoise and compare the chosen image layer.

    For scripts: `session` has ``preview()``, ``cancel()``, ``rate`` and ``realism``; `choose` takes a layer,
    `run` denoises it all, `wait` returns when everything is done.

    Args:
        viewer: Viewer whose layers are offered and that takes the results.
        stream: Function that does the work of a run; None for the engine. For tests.
        realism_question: Function that tells why a model offers no realism, or None; for tests.
        load: Function that gives the codec of a model and a device; for tests.
    """

    def __init__(
        self,
        viewer: napari.viewer.Viewer,
        stream: Stream | None = None,
        realism_question: Callable[[str], str | None] | None = None,
        load: Callable[[str, str], Any] | None = None,
    ) -> None:
        super().__init__()
        self._closed = False
        # napari hands plugins a proxy, whose layers are new proxies each time: they would never be the same
        self._viewer = getattr(viewer, "__wrapped__", viewer)
        self._given = stream, realism_question, load
        self._contents: Contents | None = None
        self._steps: Iterator[None] | None = None
        self._note = text_label("Opening…")
        self._note.setAlignment(Qt.AlignmentFlag.AlignTop)
        # or napari would leave room below, and the contents would come under that
        self._note.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        stack(self, self._note)
        self.setMinimumWidth(_MIN_WIDTH)
        self._turn = single_shot(self, 0, self._step)
        self._loading = _Loading()
        self._hidden = False
        InSight(self, self._in_sight)
        ask(self, self._loading.load, lambda _: self._turn.start(), self._told)

    @property
    def complete(self) -> bool:
        """Whether all of it is there; it is for whoever asks for any of the rest."""
        return self._steps is None and self._contents is not None

    @property
    def session(self) -> Session:
        """Session behind the dock."""
        return self._completed().session

    @property
    def sections(self) -> dict[str, Section]:
        """Parts of the dock by name, from top to bottom."""
        return self._completed().sections

    @property
    def layer(self) -> napari.layers.Image | None:
        """The layer that is denoised."""
        return self._completed().viewer_window.layer

    @property
    def preview_layer(self) -> napari.layers.Image | None:
        """The layer that shows the preview."""
        return self._completed().viewer_window.preview_layer

    def choose(self, layer: napari.layers.Image) -> None:
        """Take a layer of the viewer; a ValueError says that the dock does not offer it."""
        self._completed().choose(layer)

    def run(self, target: str | Path | None = None, *, overwrite: bool = False) -> None:
        """Denoise the whole layer in a thread, to a file or to a new layer.

        Takes and raises what `Session.run` does, and refuses a file that a layer of the viewer is read from.
        """
        self._completed().run(None if target is None else Path(target), overwrite=overwrite)

    def wait(self, timeout_s: float = 600.0) -> None:
        """For scripts: keep the window alive until the preview is complete and no run is under way.

        A dock that is hidden, or behind the tab of another, previews nothing until it is seen again.

        Raises:
            TimeoutError: If that takes longer.
        """
        self._completed().wait(timeout_s)

    def open_tab(self, name: str) -> None:
        """Show the section of a tab by its name, "check", "train", "files" or "more"."""
        self._completed().tabs.open(name)

    def _completed(self) -> Contents:
        """The contents; what is missing is made now."""
        if not self.complete:
            if self._closed:
                raise RuntimeError(
                    "the dock: expected one that is open, found one that was closed; open another"
                )
            self._loading.wait()
            while not self.complete:
                self._build()
        assert self._contents is not None
        return self._contents

    def _step(self) -> None:
        """Make a part of the contents, in a turn of the event loop."""
        if not self._closed and not self.complete:
            self._build()
            if not self.complete:
                self._turn.start()

    def _build(self) -> None:
        if self._steps is None:
            self._contents = self._loading.contents(self, self._viewer, self._given)
            self._contents.set_hidden(self._hidden)
            self._steps = self._contents.build()
        elif next(self._steps, self) is self:
            self._steps = None
            self.layout().addWidget(self._contents)
            self._note.hide()

    def _told(self, error: Exception | None) -> None:
        """Say why nothing opens, and let napari say it too."""
        if error is not None:
            self._note.setText(f"The dock cannot be opened: {error}")
            raise error

    def _in_sight(self, seen: bool) -> None:
        """Let the preview rest while the dock is hidden, or behind another one."""
        self._hidden = not seen
        if self._contents is not None and not self._closed:
            self._contents.set_hidden(self._hidden)

    def event(self, event: QEvent) -> bool:
        """End everything when the dock is closed: napari then takes this widget out of its dock."""
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self._closed = True
            if self._contents is not None:
                self._contents.shut()
        return bool(super().event(event))


class _Loading:
    """Imports what the contents need, in any thread, and reads what the user has set.

    napari looks through the manifests of all plugins for that.
    """

    def __init__(self) -> None:
        self._done = threading.Event()
        self._error: Exception | None = None
        self._type: type[Contents] | None = None
        self._chosen: Preferences | None = None

    def load(self) -> None:
        """Do it; raises what an import raises."""
        try:
            with no_collections():
                from napari_rdpdenoise.ui.qt import contents

                self._type, self._chosen = contents.Contents, contents.preferences()
        except Exception as error:
            self._error = error
            raise
        finally:
            self._done.set()

    def wait(self) -> None:
        """Return when it is done; raises what it raised."""
        self._done.wait()
        if self._error is not None:
            raise self._error

    def contents(self, dock: QWidget, viewer: napari.viewer.Viewer, given: Given) -> Contents:
        """Make the contents, once it is done."""
        assert self._type is not None
        assert self._chosen is not None
        return self._type(dock, viewer, self._chosen, given)
