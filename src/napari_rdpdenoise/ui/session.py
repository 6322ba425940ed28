"""The dock's session: what the controls say, a preview, and runs. No Qt here.

All methods belong to the viewer's thread and return at once. Scripts use the same ones: `preview`, `run`,
`cancel`, and the properties `rate` and `realism`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from napari_rdpdenoise.cache import LatentCache
from napari_rdpdenoise.io.metadata import Channel
from napari_rdpdenoise.jobs.job import Job
from napari_rdpdenoise.settings import RunSettings
from napari_rdpdenoise.store.settings import store_settings
from napari_rdpdenoise.store.tile.terms import Residual
from napari_rdpdenoise.ui import state as transitions
from napari_rdpdenoise.ui.layers.metadata import layer_metadata
from napari_rdpdenoise.ui.preview.preview import Preview
from napari_rdpdenoise.ui.preview.shown import Shown
from napari_rdpdenoise.ui.preview.window import Subject, Window
from napari_rdpdenoise.ui.run.as_text import Request
from napari_rdpdenoise.ui.run.jobs import denoise_job
from napari_rdpdenoise.ui.run.runs import Runs, Stream
from napari_rdpdenoise.ui.state import PENDING, DockState, StateStore

__all__ = ["Session"]


class Session:
    """Everything the dock does, for the dock and for scripts: it owns a preview and runs.

    Args:
        window: Window that shows it.
        on_change: Function called with the new state after every change.
        stream: Function that does the work of a run; None for the engine. For tests.
        cache: Cache of latents, shared by preview and runs; None for none.
        load: Function that gives the codec of a model and a device; None for the process's shared ones.

    Attributes:
        view: Preview of the chosen layer.
        runs: Runs of jobs.
        closed: Whether `close` was called.
    """

    def __init__(
        self,
        window: Window,
        on_change: Callable[[DockState], None] = lambda state: None,
        *,
        stream: Stream | None = None,
        cache: LatentCache | None = None,
        load: Callable[[str, str], Any] | None = None,
    ) -> None:
        self._window = window
        self._store = StateStore(on_change)
        self.view = Preview(window, self._store, cache, load)
        self.runs = Runs(self._store, stream or partial(denoise_job, cache=cache))
        self.closed = False
        self._asked = self.state.model  # model of which it is asked what it offers

    @property
    def state(self) -> DockState:
        """What the dock shows."""
        return self._store.state

    @property
    def rate(self) -> float | Literal["auto", "compact"]:
        """Position on the model's rate curve, 0 to 1, or how it is chosen, as `RunSettings` has it."""
        return self.state.automatic if self.state.auto_rate else self.state.rate

    @rate.setter
    def rate(self, value: float | Literal["auto", "compact"]) -> None:
        rate, base = self.state.settings().replace(rate=value).rate, self.state.base
        if isinstance(rate, str):
            self.edit(auto_rate=True, base=base.replace(rate=rate))
        else:
            self.edit(auto_rate=False, rate=rate)

    @property
    def realism(self) -> float:
        """0 for the lowest error, 1 for the most natural texture."""
        return self.state.realism

    @realism.setter
    def realism(self, value: float) -> None:
        self.edit(realism=self.state.settings().replace(realism=value).realism)

    def edit(self, **changes: Any) -> None:
        """Change fields of the state; the preview follows, see `Preview.follow`."""
        if self.closed:
            return
        before = self.state
        self._store.edit(**changes)
        self._follow(before)

    def edit_settings(self, **changes: Any) -> None:
        """Change settings that have no field of the state, such as the tile; raises as `RunSettings`."""
        self.edit(base=self.state.base.replace(**changes))

    def take_settings(self, settings: RunSettings) -> None:
        """Set all controls that stand for run settings, as of a job file."""
        before = self.state
        self._store.state = transitions.with_settings(before, settings)
        self._follow(before)

    def tell(self, status: str) -> None:
        """Show a line to the reader, in the place of that of the last run."""
        self._store.edit(status=status)

    def _follow(self, before: DockState) -> None:
        """Show what a change of the state asks for."""
        now = self.state
        self.view.follow(before, now)
        self._ask_of_another_model()

    def _ask_of_another_model(self) -> None:
        """Ask what the model that is used offers, where it is another than before."""
        model = self.view.settings.model
        if model != self._asked:
            self._asked = model
            self._store.edit(realism_note=PENDING)
            self._window.ask_realism()

    def take_realism(self, model: str, note: str | None) -> None:
        """Take the answer to `Window.ask_realism`: why a model offers no realism, or None if it does."""
        if model == self._asked:
            self.edit(realism_note=note)

    # The preview, see there

    def choose(self, subject: Subject | None) -> None:
        """Take another layer, or the same with other content; raises as `Preview.choose`."""
        self.view.choose(subject)
        self._ask_of_another_model()

    def preview(self) -> None:
        """Denoise what is in view, nearest its centre first; called whenever the view has changed."""
        self.view.look()

    def shown(self) -> Shown | None:
        """What is shown at the moment, as arrays; None while there is no preview."""
        return self.view.shown()

    # Runs

    def run(
        self,
        target: str | Path | None = None,
        *,
        overwrite: bool = False,
        residual: Residual | None = None,
    ) -> None:
        """Denoise the whole layer, or the chosen channels and times of it, in a thread.

        Args:
            target: File of the result (.ome.zarr or .ome.tif); None adds a layer in memory.
            overwrite: Whether a finished result at ``target`` is replaced.
            residual: How much of the original a store at ``target`` keeps, as of ``create_store``; None for
                a result that is no store.

        Raises:
            RuntimeError: If no layer is chosen or a run is under way.
        """
        self._window.start(self.runs.start(lambda: self._job_to(target, overwrite, residual)))

    def _job_to(self, target: str | Path | None, overwrite: bool, residual: Residual | None) -> Job:
        subject = self.view.subject
        assert subject is not None  # or it could not start
        known = layer_metadata(
            subject.axes, subject.scale, subject.units, subject.name, subject.channel_names
        )
        known = replace(known, channels=self._channels(subject))
        settings = self.state.settings().replace(overwrite=overwrite)
        if residual is not None:
            settings = store_settings(settings)
        path = subject.path if subject.file_channel is None else None  # the file holds more than the layer
        place, invalid = None if target is None else Path(target), subject.invalid_at(0)
        return Job(subject.data, place, settings, known, path, invalid, residual)

    def _channels(self, subject: Subject) -> tuple[Channel, ...]:
        """What is known of the channels: by the file, and of one also by how the layer is shown."""
        shown = None if "C" in subject.axes or subject.rgb else self._window.shown_channel()
        if shown is None:
            return subject.channels
        known = subject.channels[0] if len(subject.channels) == 1 else shown
        return (replace(known, color=known.color or shown.color, window=known.window or shown.window),)

    def cancel(self) -> None:
        """Stop the run after the tile in work; what is done is kept."""
        self.runs.cancel()

    def request(self) -> Request:
        """What is needed to do again what the dock is set to.

        Raises:
            ValueError: If it cannot be said in a text or a job file.
        """
        subject, job, settings = self.view.subject, self.runs.job, self.view.settings
        if subject is not None and subject.invalid is not None:
            raise ValueError(
                "mask: expected none, found a mask layer, which is in no file; in Python, give its data to "
                "denoise(image, invalid=mask), or set the masked pixels to one value and save the image"
            )
        mine = job is not None and subject is not None and job.input is subject.data
        if subject is not None and subject.axes != subject.file_axes:
            settings = settings.replace(axes=subject.axes)  # a file knows its own, an array does not
        if subject is not None and subject.file_channel is not None:
            settings = settings.replace(channels=(subject.file_channel,), axes=None)
        return Request(
            settings=settings,
            path=None if subject is None else subject.path,
            target=str(job.target) if job is not None and job.target and mine else None,
            residual=job.residual if job is not None and mine else None,
            layer=None if subject is None else subject.name,
        )

    @property
    def unsettled(self) -> bool:
        """Whether a run or a part of the preview is still to come."""
        return self.state.busy or self.view.unsettled

    def close(self, patience_s: float | None = 0.3) -> None:
        """Stop the run and the preview; waits so long for the tile in work, None until it is done."""
        if not self.closed:
            self.closed = True
            self.runs.cancel()
            self.view.close(patience_s)
