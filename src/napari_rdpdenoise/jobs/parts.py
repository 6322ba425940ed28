"""A job in parts, for as many processes and machines as there are: each does a part, one finishes.

::

    run_part(1/3) --\
    run_part(2/3) ----> parts in TARGET.partial --finish_parts--> the result and its record
    run_part(3/3) --/

The result is the one that `runner.run` makes, to the byte, and so is its record, but for times and for how
many tiles the encoder was given at once.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from napari_rdpdenoise.cache import LatentCache
from napari_rdpdenoise.codec import Codec
from napari_rdpdenoise.io import ImageSource, OutputSpec, SelectedSource
from napari_rdpdenoise.io.output import parts
from napari_rdpdenoise.io.output.sink import Output, check_ending, check_free, finished_unseen
from napari_rdpdenoise.io.output.staging import Staging, partial_folder
from napari_rdpdenoise.jobs.inputs import FilesRead, check_places, opened_to_read
from napari_rdpdenoise.jobs.job import Job, Opened, Outcome
from napari_rdpdenoise.jobs.lines import said
from napari_rdpdenoise.jobs.models import fitted, named
from napari_rdpdenoise.jobs.record import read_report, record_path, record_text, same_job, with_model_named
from napari_rdpdenoise.jobs.results import file_output, model_words, spec_of
from napari_rdpdenoise.names import ADDED_IN_PARTS, check_length
from napari_rdpdenoise.stream import Plan, Progress, make_plan
from napari_rdpdenoise.stream.loaded import TileSink
from napari_rdpdenoise.stream.parts import Asked, Part, PartReport, SharedPlan, as_words, together
from napari_rdpdenoise.stream.pipeline import denoise_works
from napari_rdpdenoise.stream.plan import Work
from napari_rdpdenoise.stream.report import PartsLeft, Tally, defect_words

__all__ = ["Opening", "Part", "finish_parts", "opening", "run_part"]


def run_part(
    job: Job, part: Part, *, codec: Codec | None = None, cache: LatentCache | None = None
) -> Generator[Opened | Progress, None, Outcome]:
    """Denoise one part of an image, yielding progress; what came of the part is the return value.

    The first part to come makes the plan of all. Parts run in any order, at once or not, and each may be run
    again: one that is done is not done twice, and one that was stopped goes on. Closing the generator stops
    within a batch of tiles. Codec and cache are as in `runner.run`.

    Returns:
        Outcome whose report is of this part; its path is None, but where the job was finished before.

    Raises:
        ValueError: If other parts were begun with another image, model or settings, or in another number,
            the image changed while it was read, or as `runner.run` does.
        InUseError: If a run in one piece is at the target, or has left there what it had done.
        Exception: As `runner.run` does.
    """
    with opening(job, codec) as asked:
        if asked.codec is not codec:
            yield named(asked.codec)
        finished = asked.finished()
        if finished is not None:
            yield said("The job was finished before.")
            return finished
        shared = yield from _shared_plan(asked, part, cache)
        sink = parts.attempt(asked.output, part.number)
        if sink is None:
            return (yield from _done_before(asked, part, shared))
        try:
            yield Opened(None)
            tally = yield from _worked(asked, part, shared, sink, cache)
            asked.files.check_unchanged()
        except BaseException:
            sink.abort()
            raise
        if tally is None:
            sink.discard()
            parts.leave(asked.target)
            return (yield from _done_before(asked, part, shared))
        seconds = time.monotonic() - asked.began
        report = PartReport.of(tally, seconds, time.monotonic() - tally.started)
        parts.complete(sink, part.number, report.to_text())
        yield _left(_state(asked.target, part))
        return Outcome(report.report(shared, job.settings.hot_pixels), asked.spec)


def finish_parts(job: Job, *, codec: Codec | None = None) -> Generator[Progress, None, Outcome]:
    """Put the parts of a job together, all of them done; the result is the return value.

    It appears as that of `runner.run` does. A second call finds it finished.

    Raises:
        FileNotFoundError: If no part was begun.
        ValueError: If parts are missing, which the message names, or were begun with another image, model or
            settings, or as `runner.run` does.
        InUseError: If another process is finishing it.
        Exception: As `runner.run` does.
    """
    with opening(job, codec) as asked:
        finished = asked.finished()
        if finished is not None:
            yield said("The job was finished before.")
            return finished
        shared = asked.plan_there()
        if shared is None:
            raise FileNotFoundError(
                f"part: expected parts of {asked.target}, found none; run each with --part NUMBER/PARTS, or "
                "denoise_file(..., part=(NUMBER, PARTS)), before --finish"
            )
        count = shared.asked.parts
        asked.check(shared, count)
        _check_done(asked.target, count)
        yield said(f"putting {count} parts together" if count > 1 else "finishing the one part")
        with parts.collected(asked.output, count) as sink:
            if sink is not None:
                notes = sink.notes() if isinstance(sink, TileSink) else []
                for words in (*notes, *model_words(sink)):
                    yield said(words)
                reports = [PartReport.from_text(parts.read_part(asked.target, k + 1)) for k in range(count)]
                report = together(reports).report(shared, job.settings.hot_pixels, notes)
                path = sink.finish(lambda: record_text(asked.job, asked.codec, asked.spec, report))
                return Outcome(replace(report, path=path), asked.spec, path, record_path(path))
        return asked.finished_elsewhere()


@dataclass(frozen=True)
class Opening:
    """A job whose input is open: what it asks for, and where."""

    job: Job
    source: ImageSource
    files: FilesRead
    codec: Codec
    spec: OutputSpec
    output: Output
    began: float

    @property
    def target(self) -> Path:
        """Path of the result."""
        return self.output.target

    def asks(self, count: int) -> Asked:
        """What the job asks for, in so many parts."""
        settings = with_model_named(self.job.settings, self.codec.card)
        store = {"residual": self.job.residual, "embed_model": self.job.embed_model}
        further = {} if self.job.residual is None else store
        return Asked.of(settings, self.source.fingerprint(), self.codec.digest.hex(), count, **further)

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
    """Open the input of a job that is done in parts, and load its model; raises as `runner.run` does."""
    began = time.monotonic()
    target = job.target
    if target is None:
        raise ValueError("part: expected a file as target, found none; a result in memory has no parts")
    check_places(job)
    check_length(str(target), ADDED_IN_PARTS)
    check_ending(target)
    finished_unseen(target)
    with opened_to_read(job) as (source, files):
        job, codec = fitted(job, codec, source)
        spec = spec_of(job, source, codec)
        yield Opening(job, source, files, codec, spec, file_output(job, spec, codec), began)


def _shared_plan(
    asked: Opening, part: Part, cache: LatentCache | None
) -> Generator[Progress, None, SharedPlan]:
    """The plan that is there, or else one that is made and written now, unless another comes first."""
    shared = asked.plan_there()
    if shared is None:
        settings = asked.job.settings
        codec = asked.codec.at(settings.precision)
        made: str | Plan = ""
        for made in make_plan(asked.source, settings, codec, cache=cache):
            if isinstance(made, str):
                yield said(made)
        assert isinstance(made, Plan)
        mine = SharedPlan(asked.asks(part.of), codec.precision, made.channels, made.messages)
        asked.files.check_unchanged()
        note = parts.begin(asked.output, mine.to_text(), overwrite=settings.overwrite)
        if note:
            yield said(note)
        shared = asked.plan_there() or mine
    asked.check(shared, part.of)
    return shared


def _worked(
    asked: Opening, part: Part, shared: SharedPlan, sink: Staging, cache: LatentCache | None
) -> Generator[Progress, None, Tally | None]:
    """Do the works of a part; None where another process has done it meanwhile."""
    settings = asked.job.settings

    def shard_of(work: Work) -> tuple[int, ...]:
        return sink.shard_of(work.index, work.tile.y0, work.tile.x0)

    chosen = SelectedSource(asked.source, settings.channels, settings.time)
    plan = shared.plan(chosen, settings, part, shard_of)
    codec = asked.codec.at(shared.precision)
    running = denoise_works(asked.source, sink, settings, plan, codec=codec, cache=cache)
    try:
        while not parts.is_over(asked.target, part.number):
            try:
                yield next(running)
            except StopIteration as end:
                tally: Tally = end.value
                if defects := tally.counts.defects:
                    yield tally.progress(0, defect_words(defects, settings.hot_pixels))
                return tally
            except OSError:
                if not parts.is_over(asked.target, part.number):  # else its place went
                    raise
    finally:
        running.close()
    return None


def _done_before(asked: Opening, part: Part, shared: SharedPlan) -> Generator[Progress, None, Outcome]:
    """What came of a part that another process has done."""
    if not parts.is_done(asked.target, part.number):
        finished = asked.finished_elsewhere()
        yield said("The job was finished before.")
        return finished
    yield _left(f"part {part} was done before. {_state(asked.target, part)}")
    report = PartReport.from_text(parts.read_part(asked.target, part.number))
    return Outcome(report.report(shared, asked.job.settings.hot_pixels), asked.spec)


def _left(message: str) -> PartsLeft:
    return said(message, PartsLeft)


def _state(target: Path, part: Part) -> str:
    """What is left to do after a part, in words."""
    left = parts.missing(target, part.of)
    if not parts.read_plan(target):
        return "The job is finished."
    if not left:
        return f"All {part.of} parts are done: --finish makes {target.name} of them."
    return f"{part.of - len(left)} of {part.of} parts are done; left: {as_words(left)}."


def _check_done(target: Path, count: int) -> None:
    left = parts.missing(target, count)
    if not left:
        return
    busy = [number for number in left if parts.under_way(target, number)]
    working = f" (at work: {as_words(busy)})" if busy else ""
    raise ValueError(
        f"finish: expected all {count} parts of {target.name} to be done, found {as_words(left)} missing"
        f"{working}; run --part NUMBER/{count} for {'each' if len(left) > 1 else 'it'}, then --finish again"
    )
