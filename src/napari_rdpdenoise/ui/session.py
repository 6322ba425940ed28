"""The dock's controller: what the controls say, the preview, and runs. No Qt here.

All methods belong to the viewer's thread and return at once. Scripts use the same ones: `preview`, `run`,
`cancel`, and the properties `rate` and `realism`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from napari_rdpdenoise.jobs.job import Job
from napari_rdpdenoise.ui.layers.metadata import layer_metadata
from napari_rdpdenoise.ui.preview.viewing import Viewing
from napari_rdpdenoise.ui.preview.window import Stage
from napari_rdpdenoise.ui.run.controller import Cancelled, Controller
from napari_rdpdenoise.ui.run.jobs import JobStream
from napari_rdpdenoise.ui.run.recipes import Recipe
from napari_rdpdenoise.ui.state import PENDING, DockState

if TYPE_CHECKING:
    from napari_rdpdenoise.cache import LatentCache
    from napari_rdpdenoise.settings import RunSettings
    from napari_rdpdenoise.ui.run.controller import Event, Stream

__all__ = ["Session"]


class Session(Viewing):
    """Everything the dock does, for the dock and for scripts.

    Args:
        stage: the window.
        on_change: called with the new state after every change.
        stream: does the work of a run; None for the engine. For tests.
        cache: of latents, shared by preview and runs; None for none.
        load: gives the codec of a model and a device; None for the process's shared ones. For tests.
    """

    def __init__(
        self,
        stage: Stage,
        on_change: Callable[[DockState], None] = lambda state: None,
        *,
        stream: Stream | None = None,
        cache: LatentCache | None = None,
        load: Callable[[str, str], Any] | None = None,
    ) -> None:
        super().__init__(stage, Controller(stream or JobStream(cache), on_change), cache, load)
        self._job: Job | None = None

    @property
    def rate(self) -> float | Literal["auto"]:
        """Position on the model's rate curve, 0 to 1, or "auto"."""
        return "auto" if self.state.auto_rate else self.state.rate

    @rate.setter
    def rate(self, value: float | Literal["auto"]) -> None:
        auto = self.state.settings().replace(rate=value).rate == "auto"
        self.edit(auto_rate=auto, rate=self.state.rate if auto else float(value))

    @property
    def realism(self) -> float:
        """0 for the lowest error, 1 for the most natural texture."""
        return self.state.realism

    @realism.setter
    def realism(self, value: float) -> None:
        self.edit(realism=self.state.settings().replace(realism=value).realism)

    def edit(self, **changes: Any) -> None:
        """Change fields of the state; the preview follows.

        Realism is blended at once, without any network; everything else re-aims the preview, when nothing
        has changed for a moment.
        """
        if self._closed:
            return
        before = self.state
        self.controller.edit(**changes)
        self._follow(before)

    def take_settings(self, settings: RunSettings) -> None:
        """Set all controls that stand for run settings, as of a job file."""
        before = self.state
        self.controller.take_settings(settings)
        self._follow(before)

    def run(self, target: str | Path | None = None, *, overwrite: bool = False) -> None:
        """Denoise the whole layer, or the chosen channels and times of it, in a thread.

        Args:
            target: file of the result (.ome.zarr or .ome.tif); None adds a layer in memory.
            overwrite: whether a finished result at ``target`` is replaced.

        Raises:
            RuntimeError: if no layer is chosen or a run is under way.
        """
        self.controller.start()
        subject = self._subject
        assert subject is not None  # or it could not start
        settings = self.state.settings().replace(overwrite=overwrite)
        known = layer_metadata(
            subject.axes, subject.scale, subject.units, subject.name, subject.channel_names
        )
        self._job = Job(subject.data, None if target is None else Path(target), settings, known, subject.path)
        self._stage.start(self._job)

    def cancel(self) -> None:
        """Stop the run after the tile in work; what is done is kept."""
        self.controller.cancel()

    @property
    def job(self) -> Job | None:
        """The last run's job."""
        return self._job

    def recipe(self) -> Recipe:
        """What is needed to do again what the dock is set to."""
        subject, job, settings = self.subject, self._job, self.state.settings()
        mine = job is not None and subject is not None and job.input is subject.data
        if subject is not None and subject.path is None:
            settings = settings.replace(axes=subject.axes)  # a file knows its own, an array does not
        return Recipe(
            settings=settings,
            path=None if subject is None else subject.path,
            target=str(job.target) if job is not None and job.target and mine else None,
            layer=None if subject is None else subject.name,
        )

    @property
    def unsettled(self) -> bool:
        """Whether a run or a part of the preview is still to come."""
        return self.state.busy or (not self._settled and bool(self._sight.wishes) and not self._closed)

    def close(self, patience_s: float | None = 0.3) -> None:
        """Stop the run and the preview.

        Args:
            patience_s: how long to wait for the tile in work; None until it is done.
        """
        if not self._closed:
            self._closed = True
            self.controller.cancel()
            self._engine.close(patience_s)

    def take_realism(self, model: str, note: str | None) -> None:
        """Take the answer to `Stage.ask_realism`: why a model offers no realism, or None if it does."""
        if model == self.state.model:
            self.edit(realism_note=note)

    def take(self, event: Event) -> None:
        """Take one event of the run that `Stage.start` drains."""
        self.controller.apply(event)
        if isinstance(event, Cancelled) and self._job is not None and self._job.target is not None:
            kept = f"What is done is kept: start the same run again, to {self._job.target.name}, to go on."
            self.controller.edit(status=f"{self.state.status} {kept}")

    def _follow(self, before: DockState) -> None:
        """Show what a change of the state asks for."""
        now = self.state
        if now.shown_realism != before.shown_realism:
            self._blend()
        if now.model != before.model:
            self.controller.edit(realism_note=PENDING)
            self._stage.ask_realism()
        if now.preview != before.preview:
            self._aimed = None
            self._set_canvas()
            self.preview()
        if now.preview_settings() != before.preview_settings():
            self._aimed = self._device = None
            if self._canvas is not None:
                self._canvas.restart()
            self.controller.edit(outcome="", found_rate=None)
            self._stage.look_again()
