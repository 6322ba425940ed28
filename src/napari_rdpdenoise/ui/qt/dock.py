"""The dock: a list of sections, each of which shows a `DockState` and passes on what the user does.

All decisions are the session's. A new section is a file in `boxes`; those with a title are tabs.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import napari
from qtpy.QtCore import QEvent, QPoint, Qt, QTimer
from qtpy.QtWidgets import QApplication, QFrame, QScrollArea, QVBoxLayout, QWidget

from napari_rdpdenoise.ui.qt.boxes import files, finetune, image, more, run, verdict, view
from napari_rdpdenoise.ui.qt.boxes.check import CheckBox
from napari_rdpdenoise.ui.qt.parts.controls import single_shot, stack
from napari_rdpdenoise.ui.qt.parts.section import Section
from napari_rdpdenoise.ui.qt.parts.tabs import Tabs
from napari_rdpdenoise.ui.qt.parts.wheel import WheelGuard
from napari_rdpdenoise.ui.qt.preferences import open_cache, preferences
from napari_rdpdenoise.ui.qt.window import NapariWindow
from napari_rdpdenoise.ui.run.jobs import realism_note
from napari_rdpdenoise.ui.run.runs import Stream
from napari_rdpdenoise.ui.state import DockState

__all__ = ["DenoiseDock"]

_MIN_WIDTH = 320  # px; a dock without one opens too narrow for its labels
_LAID_OUT_MS = 400  # until a part that was opened is laid out
_WARM_UP_MS = 200  # after the dock is there: loading PyTorch holds up the window for a moment


class DenoiseDock(QWidget):
    """Preview, denoise and compare the chosen image layer.

    For scripts: `session` has ``preview()``, ``cancel()``, ``rate`` and ``realism``; `choose` takes a layer,
    `run` denoises it all, `wait` returns when everything is done.

    Args:
        viewer: Viewer whose layers are offered and that takes the results.
        stream: Function that does the work of a run; None for the engine. For tests.
        realism_question: Function that tells why a model offers no realism, or None; for tests.
        load: Function that gives the codec of a model and a device; for tests.

    Attributes:
        session: Session behind the dock.
        sections: Parts of the dock by name, from top to bottom.
    """

    def __init__(
        self,
        viewer: napari.viewer.Viewer,
        stream: Stream | None = None,
        realism_question: Callable[[str], str | None] = realism_note,
        load: Callable[[str, str], Any] | None = None,
    ) -> None:
        super().__init__()
        self._closed = False
        # napari hands plugins a proxy, whose layers are new proxies each time: they would never be the same
        viewer = getattr(viewer, "__wrapped__", viewer)
        chosen = preferences()
        cache = open_cache(chosen) if stream is None else None
        self._window = window = NapariWindow(
            viewer, stream=stream, cache=cache, load=load, realism_question=realism_question
        )
        self._image, self._more = image.section(window), more.section(window)
        self._run = run.section(window, self._image)
        looks = view.section(window)
        self.sections: dict[str, Section] = {
            "image": self._image,
            "view": looks,
            "verdict": verdict.section(window),
            "run": self._run,
            "check": CheckBox(window, looks),
            "train": finetune.section(window),
            "files": files.section(window),
            "more": self._more,
        }
        self._arrange()
        window.changed.connect(self._show)
        window.settled_view.connect(self._settled)
        window.counted.connect(lambda: window.companions.want(self._image.targets[1:]))
        self.session = session = window.session
        session.edit(model=chosen.model or "default")
        session.edit_settings(device=chosen.device or "auto")
        self._image.follow()
        self._show(session.state)
        # When the whole window is closed: not through self, which is gone by then
        companions = window.companions
        self.destroyed.connect(lambda: session.close())
        self.destroyed.connect(lambda: companions.end())
        QTimer.singleShot(_WARM_UP_MS, self._warm_up)

    @property
    def layer(self) -> napari.layers.Image | None:
        """The layer that is denoised."""
        return self._window.layer

    @property
    def preview_layer(self) -> napari.layers.Image | None:
        """The layer that shows the preview."""
        return self._window.preview_layer

    def choose(self, layer: napari.layers.Image) -> None:
        """Take a layer of the viewer; a ValueError says that the dock does not offer it."""
        self._image.choose(layer)

    def run(self, target: str | Path | None = None, *, overwrite: bool = False) -> None:
        """Denoise the whole layer in a thread, to a file or to a new layer.

        Takes and raises what `Session.run` does, and refuses a file that a layer of the viewer is read from.
        """
        self._run.run(None if target is None else Path(target), overwrite=overwrite)

    def wait(self, timeout_s: float = 600.0) -> None:
        """For scripts: keep the window alive until the preview is complete and no run is under way.

        Raises:
            TimeoutError: If that takes longer.
        """
        self._window.look_at_once()
        end = time.monotonic() + timeout_s
        while self.session.unsettled or self._window.companions.unsettled:
            if time.monotonic() > end:
                raise TimeoutError(f"the dock was not done after {timeout_s:g} s: {self.session.state.hint}")
            QApplication.processEvents()
            time.sleep(0.005)

    def open_tab(self, name: str) -> None:
        """Show the section of a tab by its name, "check", "train", "files" or "more"."""
        self._tabs.open(name)

    def _arrange(self) -> None:
        inside = QWidget()
        column = QVBoxLayout(inside)
        column.setContentsMargins(6, 6, 6, 6)
        for section in self.sections.values():
            if not section.title:
                column.addWidget(section)
        tabs = {name: section for name, section in self.sections.items() if section.title}
        titles = {name: section.title for name, section in tabs.items()}
        self._opening = single_shot(self, _LAID_OUT_MS, lambda: None)
        self._tabs = Tabs(dict(tabs), titles, self._opened)
        column.addWidget(self._tabs, stretch=1)
        self._scroll = scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(inside)
        scroll.verticalScrollBar().rangeChanged.connect(lambda low, high: self._bring_into_view())
        stack(self, scroll)
        self.setMinimumWidth(_MIN_WIDTH)
        WheelGuard(inside)

    def _opened(self, name: str) -> None:
        self.sections[name].opened()
        self._opening.start()  # until it is laid out
        self._bring_into_view()

    def _bring_into_view(self) -> None:
        """Scroll down to the end of the part that was opened, at most until its title is at the top."""
        if self._opening.isActive() and not self._closed:
            bar = self._scroll.verticalScrollBar()
            top = self._tabs.mapTo(self._scroll.widget(), QPoint(0, 0)).y()
            bar.setValue(max(bar.value(), min(top, bar.maximum())))

    def _warm_up(self) -> None:
        if self._closed:
            return
        for section in self.sections.values():
            section.layout().invalidate()  # heights from before napari's theme came
        self.session.view.warm_up()
        self._window.ask_realism()
        self._more.model.fill()

    def _settled(self) -> None:
        for name, section in self.sections.items():
            if not section.title or self._tabs.current == name:
                section.settled()

    def _show(self, state: DockState) -> None:
        if not self._closed:
            for section in self.sections.values():
                section.show_state(state)

    def event(self, event: QEvent) -> bool:
        """End everything when the dock is closed: napari then takes this widget out of its dock."""
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self._shut()
        return bool(super().event(event))

    def _shut(self) -> None:
        if self._closed:
            return
        self._closed = True
        for section in self.sections.values():
            section.shut()
        self._window.close()
