"""A job that is done in parts, its input open: what it asks for, and what is there of it. Loads no torch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from napari_rdpdenoise.codec.identity import KnownModel, identity_of
from napari_rdpdenoise.codec.library import DEFAULT, default_model
from napari_rdpdenoise.io import ImageSource, OutputSpec
from napari_rdpdenoise.io.output import parts
from napari_rdpdenoise.io.output.sink import Output, check_ending, check_free, finished_unseen
from napari_rdpdenoise.io.output.staging import partial_folder
from napari_rdpdenoise.jobs.inputs import FilesRead, check_places, opened_to_read
from napari_rdpdenoise.jobs.job import Job, Outcome
from napari_rdpdenoise.jobs.models import chosen, loaded
from napari_rdpdenoise.jobs.record import (
    read_report,
    read_settings,
    record_path,
    same_job,
    with_model_named,
)
from napari_rdpdenoise.jobs.results import file_output, spec_of
from napari_rdpdenoise.names import ADDED_IN_PARTS, check_length
from napari_rdpdenoise.stream.parts import Asked, SharedPlan

if TYPE_CHECKING:
    from napari_rdpdenoise.codec import Codec

__all__ = ["Opening", "opening"]


@dataclass(frozen=True)
class Opening:
    """A job whose input is open: what it asks for, and where.

    Attributes:
        job: Job, with the model that its settings mean for its image.
        source: Image.
        fingerprint: Its identity, asked for once: for arrays all pixels are read.
        files: Files that it lies in, as they were when it was opened.
        model: That model, which need not be loaded.
        load: Function that gives it loaded; it raises as `models.load_codec` does.
        spec: What the result holds.
        output: Output that is made.
        began: Start of the call, seconds of the monotonic clock.
    """

    job: Job
    source: ImageSource
    fingerprint: str
    files: FilesRead
    model: KnownModel
    load: Callable[[], Codec]
    spec: OutputSpec
    output: Output
    began: float

    @property
    def target(self) -> Path:
        """Path of the result."""
        return self.output.target

    def asks(self, count: int) -> Asked:
        """What the job asks for, in so many parts."""
        settings = with_model_named(self.job.settings, self.model.card)
        store = {"residual": self.job.residual, "embed_model": self.job.embed_model}
        further = {} if self.job.residual is None else store
        return Asked.of(settings, self.fingerprint, self.model.digest.hex(), count, **further)

    def check(self, shared: SharedPlan, count: int) -> None:
        """Refuse the plan of another job, or of another number of parts."""
        shared.asked.check(self.asks(count), str(partial_folder(self.target)))

    def plan_there(self) -> SharedPlan | None:
        """The plan that some part has written; None for none."""
        text = parts.read_plan(self.target)
        return None if text is None else SharedPlan.from_text(text, str(partial_folder(self.target)))

    def finished(self) -> Outcome | None:
        """The result, where the same job has made it; one of another is refused unless it may be replaced."""
        under_way, overwrite = parts.read_plan(self.target) is not None, self.job.settings.overwrite
        if under_way and overwrite:
            return None
        record = record_path(self.target)
        if self.target.exists() and record.exists() and same_job(self.target, self.spec):
            return Outcome(replace(read_report(record), path=self.target), self.spec, self.target, record)
        check_free(self.target, overwrite)
        return None

    def finished_elsewhere(self) -> Outcome:
        """The result, where the parts are not there any more."""
        finished = self.finished()
        if finished is None:
            raise FileNotFoundError(
                f"part: expected the parts of {self.target}, found that they were removed meanwhile; run all "
                "of them again"
            )
        return finished


@contextmanager
def opening(job: Job, codec: Codec | None) -> Iterator[Opening]:
    """Open the input of a job that is done in parts.

    Args:
        job: Job.
        codec: Its model where it is loaded; None for the settings', which is loaded when it is asked for.

    Raises:
        FileNotFoundError: If there is no such image or model.
        Exception: As `runner.run` does before it reads.
    """
    began = time.monotonic()
    target = job.target
    if target is None:
        raise ValueError("part: expected a file as target, found none; a result in memory has no parts")
    check_places(job)
    check_length(str(target), ADDED_IN_PARTS)
    check_ending(target)
    finished_unseen(target)
    with opened_to_read(job) as (source, files):
        if codec is None:
            job = _with_the_default_of_others(job, target, source)
        job, codec = chosen(job, codec, source)
        model: KnownModel = codec or identity_of(job.settings.model)
        load = partial(loaded, job.settings, codec)
        fingerprint = source.fingerprint()
        spec = spec_of(job, source, model, fingerprint)
        yield Opening(job, source, fingerprint, files, model, load, spec, file_output(job, spec, load), began)


def _with_the_default_of_others(job: Job, target: Path, source: ImageSource) -> Job:
    """A job that leaves the model to image and device, with the one that it was left to where it was begun.

    Parts may have been done on a GPU, and be finished where there is none.
    """
    if job.settings.model != DEFAULT:
        return job
    there = _model_there(target)
    defaults = {default_model(source.metadata.axes, source.shape, device) for device in ("cpu", "cuda")}
    return replace(job, settings=job.settings.replace(model=there)) if there in defaults else job


def _model_there(target: Path) -> str | None:
    """Name of the model of the parts that are there, or else of the result; None for neither."""
    text = parts.read_plan(target)
    try:
        if text is not None:
            return str(SharedPlan.from_text(text, "").asked.settings["model"])
        return read_settings(record_path(target)).model
    except (OSError, ValueError, KeyError):
        return None
