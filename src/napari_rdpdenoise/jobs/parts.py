"""A job in parts, for as many processes and machines as there are: each does a part, one finishes.

::

    run_part(1/3) --\
    run_part(2/3) ----> parts in TARGET.partial --finish.finish_parts--> the result and its record
    run_part(3/3) --/

The result is the one that `runner.run` makes, to the byte, and so is its record, but for times and for how
many tiles the encoder was given at once. Torch and the model are loaded where there is a part to do.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from napari_rdpdenoise.io import SelectedSource
from napari_rdpdenoise.io.output import parts
from napari_rdpdenoise.io.output.staging import Staging
from napari_rdpdenoise.jobs.job import Job, Opened, Outcome
from napari_rdpdenoise.jobs.lines import line, said
from napari_rdpdenoise.jobs.models import named
from napari_rdpdenoise.jobs.opening import Opening, opening
from napari_rdpdenoise.stream.parts import Part, PartReport, SharedPlan, as_words
from napari_rdpdenoise.stream.plan import Plan, Work
from napari_rdpdenoise.stream.report import PartsLeft, Progress, Tally

if TYPE_CHECKING:
    from napari_rdpdenoise.cache import LatentCache
    from napari_rdpdenoise.codec import Codec

__all__ = ["Part", "run_part"]


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
        finished = asked.finished()
        if finished is not None:
            yield said("The job was finished before.")
            return finished
        shared = asked.plan_there()
        if shared is not None and parts.is_over(asked.target, part.number):
            asked.check(shared, part.of)
            return (yield from _done_before(asked, part, shared))
        loaded = asked.load()
        if loaded is not codec:
            yield named(loaded)
        shared = shared or (yield from _shared_plan(asked, part, cache))
        asked.check(shared, part.of)
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


def _shared_plan(
    asked: Opening, part: Part, cache: LatentCache | None
) -> Generator[Progress, None, SharedPlan]:
    """A plan that is made and written now, or that of another who comes first."""
    from napari_rdpdenoise.stream.prepare import make_plan

    settings = asked.job.settings
    codec = asked.load().at(settings.precision)
    made: str | Plan | None = None
    with closing(make_plan(asked.source, settings, codec, cache=cache)) as steps:
        for made in steps:
            if not isinstance(made, Plan):
                yield said(made)
    assert isinstance(made, Plan)
    mine = SharedPlan(asked.asks(part.of), codec.precision, made.channels, made.messages)
    asked.files.check_unchanged()
    note = parts.begin(asked.output, mine.to_text(), overwrite=settings.overwrite)
    if note:
        yield said(note)
    return asked.plan_there() or mine


def _worked(
    asked: Opening, part: Part, shared: SharedPlan, sink: Staging, cache: LatentCache | None
) -> Generator[Progress, None, Tally | None]:
    """Do the works of a part; None where another process has done it meanwhile."""
    from napari_rdpdenoise.stream.pipeline import denoise_works

    settings = asked.job.settings

    def shard_of(work: Work) -> tuple[int, ...]:
        return sink.shard_of(work.index, work.tile.y0, work.tile.x0)

    chosen = SelectedSource(asked.source, settings.channels, settings.time)
    plan = shared.plan(chosen, settings, part, shard_of)
    codec = asked.load().at(shared.precision)
    running = denoise_works(asked.source, sink, settings, plan, codec=codec, cache=cache)
    try:
        while not parts.is_over(asked.target, part.number):
            try:
                yield next(running)
            except StopIteration as end:
                tally: Tally = end.value
                for text in tally.counts.found_words(settings.hot_pixels):
                    yield tally.progress(0, text)
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
    return line(PartsLeft, message)


def _state(target: Path, part: Part) -> str:
    """What is left to do after a part, in words."""
    left = parts.missing(target, part.of)
    if not parts.read_plan(target):
        return "The job is finished."
    if not left:
        return f"All {part.of} parts are done: --finish makes {target.name} of them."
    return f"{part.of - len(left)} of {part.of} parts are done; left: {as_words(left)}."
