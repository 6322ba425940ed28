"""What is in the dock: sections, each of which shows a `DockState` and passes on what the user does.

All decisions are the session's. A new section is a file in `boxes`; those with a title are tabs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import napari
from qtpy.QtCore import QPoint, Qt, QTimer
from qtpy.QtWidgets import QApplication, QFrame, QScrollArea, QVBoxLayout, QWidget

from napari_rdpdenoise.ui.qt.boxes import files, finetune, image, more, run, verdict, view
from napari_rdpdenoise.ui.qt.boxes.check import CheckBox
from napari_rdpdenoise.ui.qt.parts.controls import single_shot, stack
from napari_rdpdenoise.ui.qt.parts.focus_ring import FocusRing
from napari_rdpdenoise.ui.qt.parts.laid_out import LaidOut
from napari_rdpdenoise.ui.qt.parts.section import Section
from napari_rdpdenoise.ui.qt.parts.tabs import Tabs
from napari_rdpdenoise.ui.qt.parts.wheel import WheelGuard
from napari_rdpdenoise.ui.qt.parts.wide_enough import WideEnough
from napari_rdpdenoise.ui.qt.preferences import Preferences, open_cache, preferences
from napari_rdpdenoise.ui.qt.window import NapariWindow
from napari_rdpdenoise.ui.run.jobs import realism_note
from napari_rdpdenoise.ui.run.runs import Stream
from napari_rdpdenoise.ui.state import DockState

__all__ = ["Contents", "Given", "preferences"]

_LAID_OUT_MS = 400  # until a part that was opened is laid out
_WARM_UP_MS = 200  # after the dock is there: loading PyTorch holds up the window for a moment

Given = tuple[Stream | None, Callable[[str], str | None] | None, Callable[[str, str], Any] | None]
"""``stream``, ``realism_question`` and ``load`` of `DenoiseDock`."""


class Contents(QWidget):
    """The sections from top to bottom; they are made by `build`.

    Args:
        dock: Dock that it is in.
        viewer: Viewer whose layers are offered and that takes the results.
        chosen: What the user has set in napari's preferences.
        given: What takes the place of the engine, see there.

    Attributes:
        viewer_window: What the sections share.
        session: Session behind the dock.
        sections: Parts of the dock by name.
        tabs: Those of which one shows at a time.
    """

    tabs: Tabs

    def __init__(
        self, dock: QWidget, viewer: napari.viewer.Viewer, chosen: Preferences, given: Given
    ) -> None:
        super().__init__(dock)
        self._closed, self._chosen, self._dock = False, chosen, dock
        stream, question, load = given
        cache = open_cache(chosen) if stream is None else None
        self.viewer_window = NapariWindow(
            viewer, stream=stream, cache=cache, load=load, realism_question=question or realism_note
        )
        self.session = session = self.viewer_window.session
        self.sections: dict[str, Section] = {}
        self._opening = single_shot(self, _LAID_OUT_MS, lambda: None)
        self._inside = QWidget()
        self._scroll = QScrollArea()
        # When the whole window is closed: not through self, which is gone by then
        companions = self.viewer_window.companions
        self.destroyed.connect(lambda: session.close())
        self.destroyed.connect(lambda: companions.end())

    def build(self) -> Iterator[None]:
        """Make everything in steps, of which the window's thread may do one in a turn."""
        column = self._lay_out()
        for name, section in self._made():
            self.sections[name] = section
            if section.title:
                section.setParent(self._inside)
            else:
                column.addWidget(section)
            for part in (section, *section.findChildren(QWidget)):
                part.ensurePolished()
            yield
        tabs = {name: section for name, section in self.sections.items() if section.title}
        titles = {name: section.title for name, section in tabs.items()}
        self.tabs = Tabs(dict(tabs), titles, self._opened)
        column.addWidget(self.tabs, stretch=1)
        WheelGuard(self._inside)
        FocusRing(self._inside)
        LaidOut(self)
        WideEnough(self._dock, self._scroll, tabs.values)
        yield
        self._connect()

    def _made(self) -> Iterator[tuple[str, Section]]:
        """Name and section, in the order in which they lie."""
        window = self.viewer_window
        self._image = image.section(window)
        yield "image", self._image
        looks = view.section(window)
        yield "view", looks
        yield "verdict", verdict.section(window)
        self._run = run.section(window, self._image)
        yield "run", self._run
        yield "check", CheckBox(window, looks)
        yield "train", finetune.section(window)
        yield "files", files.section(window)
        self._more = more.section(window)
        yield "more", self._more

    def _lay_out(self) -> QVBoxLayout:
        """An empty column that is scrolled."""
        column, scroll = QVBoxLayout(self._inside), self._scroll
        column.setContentsMargins(6, 6, 6, 6)
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(self._inside)
        scroll.verticalScrollBar().rangeChanged.connect(lambda low, high: self._bring_into_view())
        stack(self, scroll)
        return column

    def _connect(self) -> None:
        """Begin: follow the viewer."""
        window, session, chosen = self.viewer_window, self.session, self._chosen
        window.changed.connect(self._show)
        window.settled_view.connect(self._settled)
        window.counted.connect(lambda: window.companions.want(self._image.targets[1:]))
        session.edit(model=chosen.model or "default")
        session.edit_settings(device=chosen.device or "auto")
        self._image.follow()
        self._show(session.state)
        QTimer.singleShot(_WARM_UP_MS, self._warm_up)

    def choose(self, layer: napari.layers.Image) -> None:
        """As `DenoiseDock.choose`."""
        self._image.choose(layer)

    def run(self, target: Path | None, *, overwrite: bool) -> None:
        """As `DenoiseDock.run`."""
        self._run.run(target, overwrite=overwrite)

    def wait(self, timeout_s: float) -> None:
        """As `DenoiseDock.wait`."""
        self.viewer_window.look_at_once()
        end = time.monotonic() + timeout_s
        while self.session.unsettled or self.viewer_window.companions.unsettled:
            if time.monotonic() > end:
                raise TimeoutError(f"the dock was not done after {timeout_s:g} s: {self.session.state.hint}")
            QApplication.processEvents()
            time.sleep(0.005)

    def set_hidden(self, hidden: bool) -> None:
        """Let the preview rest while the dock is out of sight; then take what the user has selected since."""
        if not hidden and not self._closed and "image" in self.sections:
            self._image.take_selected()
        if not self._closed:
            self.viewer_window.set_hidden(hidden)

    def shut(self) -> None:
        """End everything, also what is not complete yet."""
        if self._closed:
            return
        self._closed = True
        for section in self.sections.values():
            section.shut()
        self.viewer_window.close()

    def _opened(self, name: str) -> None:
        self.sections[name].opened()
        self._opening.start()  # until it is laid out
        self._bring_into_view()

    def _bring_into_view(self) -> None:
        """Scroll down to the end of the part that was opened, at most until its title is at the top."""
        if self._opening.isActive() and not self._closed:
            bar = self._scroll.verticalScrollBar()
            top = self.tabs.mapTo(self._scroll.widget(), QPoint(0, 0)).y()
            bar.setValue(max(bar.value(), min(top, bar.maximum())))

    def _warm_up(self) -> None:
        if self._closed:
            return
        for section in self.sections.values():
            section.layout().invalidate()  # heights from before napari's theme came
        self.session.view.warm_up()
        self.viewer_window.ask_realism()
        self._more.model.fill()

    def _settled(self) -> None:
        for name, section in self.sections.items():
            if not section.title or self.tabs.current == name:
                section.settled()

    def _show(self, state: DockState) -> None:
        if not self._closed:
            for section in self.sections.values():
                section.show_state(state)
