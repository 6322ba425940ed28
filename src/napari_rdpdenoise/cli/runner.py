"""One denoising job after the other, with one loaded model: open, run, report, and keep a record."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from napari_rdpdenoise.cli.console import say
from napari_rdpdenoise.cli.progress import follow, summary
from napari_rdpdenoise.jobs.batch import Job

if TYPE_CHECKING:
    from napari_rdpdenoise.codec import Codec
    from napari_rdpdenoise.io import ImageSource, OutputSpec, Sink
    from napari_rdpdenoise.settings import RunSettings
    from napari_rdpdenoise.stream import RunReport


@dataclass(frozen=True)
class Opened:
    """A job whose input was opened and whose output is ready."""

    job: Job
    source: ImageSource
    sink: Sink


class Runner:
    """Runs jobs of one command.

    Args:
        settings: of all of them.
        use_cache: whether encoded tiles are taken from and kept in the user's cache.
    """

    def __init__(self, settings: RunSettings, use_cache: bool = True) -> None:
        from napari_rdpdenoise.cache import LatentCache

        self._settings = settings
        self._cache = LatentCache() if use_cache else None

    @cached_property
    def codec(self) -> Codec:
        """The model, loaded when it is needed first.

        Raises:
            FileNotFoundError: if there is no such model.
            ValueError: if it cannot be used as the settings ask.
        """
        from napari_rdpdenoise.codec import load_model
        from napari_rdpdenoise.stream.prepare import check_realism

        codec = load_model(self._settings.model, self._settings.device)
        check_realism(self._settings, codec)
        say(f"model {codec.card.name} on {codec.device}")
        return codec

    def open(self, job: Job) -> Opened:
        """Open input and output of a job.

        Raises:
            FileExistsError: if there is a finished result and it is not to be replaced.
            FileNotFoundError, ValueError, TypeError: if the input or a setting does not fit.
        """
        self._refuse_finished(job)
        source = self._open_source(job)
        try:
            return Opened(job, source, self._open_sink(job, source))
        except BaseException:
            source.close()
            raise

    def denoise(self, opened: Opened) -> RunReport:
        """Run an opened job to its end."""
        from napari_rdpdenoise.jobs.record import write_record
        from napari_rdpdenoise.stream import denoise_stream

        job, source, sink = opened.job, opened.source, opened.sink
        try:
            running = denoise_stream(source, sink, self._settings, codec=self.codec, cache=self._cache)
            report = follow(running, job.name)
        except KeyboardInterrupt:
            say(f"{job.name}: what is done is kept, the same command goes on there")
            raise
        finally:
            source.close()
        write_record(
            job.target,
            source=job.source,
            codec=self.codec,
            settings=self._settings,
            spec=sink.spec,
            report=report,
        )
        for line in summary(report, sink.spec.dtype.name):
            say(f"{job.name}: {line}")
        return report

    def denoise_once(self, job: Job) -> None:
        """Run a job of a batch, unless an earlier run of the same command has finished it."""
        from napari_rdpdenoise.jobs.record import same_job

        if job.target.exists() and not self._settings.overwrite:
            source = self._open_source(job)
            try:
                finished = same_job(job.target, self._spec(source))
            finally:
                source.close()
            if finished:
                say(f"{job.name}: done before with the same settings, kept")
                return
        self.denoise(self.open(job))

    def _open_source(self, job: Job) -> ImageSource:
        from napari_rdpdenoise.io import open_image

        return open_image(job.source, self._settings.axes)

    def _open_sink(self, job: Job, source: ImageSource) -> Sink:
        from napari_rdpdenoise.io import open_sink

        spec = self._spec(source)
        job.target.parent.mkdir(parents=True, exist_ok=True)
        return open_sink(job.target, spec, overwrite=self._settings.overwrite)

    def _spec(self, source: ImageSource) -> OutputSpec:
        from napari_rdpdenoise.stream import output_spec

        return output_spec(source, self._settings, self.codec)

    def _refuse_finished(self, job: Job) -> None:
        if job.target.exists() and not self._settings.overwrite:
            raise FileExistsError(
                f"OUT: expected no file, found a finished one at {job.target}; "
                "choose another name or allow replacing it with --overwrite"
            )
