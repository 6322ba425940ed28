"""Denoising a series that a microscope is still writing: what is complete is done, until it ends.

::

    growing image --look--> complete time points --in rounds--> a result that grows --end--> the result
                  ^                                  |
                  +------------ wait ----------------+

Noise, rates, neighbours and structure are chosen on the first time points and kept. A time point that looks
at those after it waits for them, so that every pixel is the one that the finished series gives.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from napari_rdpdenoise.cache import LatentCache, digest
from napari_rdpdenoise.codec import Codec
from napari_rdpdenoise.files import atomic
from napari_rdpdenoise.io import ImageSource, OutputSpec, SelectedSource
from napari_rdpdenoise.io.growing.opening import GrowingImage, open_growing
from napari_rdpdenoise.io.growing.sink import GrowingSink
from napari_rdpdenoise.io.output.sink import check_free, claim, finished_unseen
from napari_rdpdenoise.jobs.follow import Follow
from napari_rdpdenoise.jobs.inputs import check_places, masked
from napari_rdpdenoise.jobs.job import Job, Opened, Outcome
from napari_rdpdenoise.jobs.lines import said
from napari_rdpdenoise.jobs.models import codec_before, fitted, named
from napari_rdpdenoise.jobs.record import read_report, record_path, record_text, same_job, with_model_named
from napari_rdpdenoise.jobs.watch import Watch
from napari_rdpdenoise.names import check_length
from napari_rdpdenoise.settings import RESULT
from napari_rdpdenoise.stream import Plan, Progress, make_plan
from napari_rdpdenoise.stream.neighbours import planes_settled
from napari_rdpdenoise.stream.output import output_dtype
from napari_rdpdenoise.stream.parts import Asked, PartReport, SharedPlan, together
from napari_rdpdenoise.stream.pipeline import denoise_works
from napari_rdpdenoise.stream.plan import Work, check_model, in_series, plan_works
from napari_rdpdenoise.stream.report import Tally

__all__ = ["run_following"]

_PLAN = "follow.json"
_ROUND_PIXELS = 16_000_000  # that are done between two looks


def run_following(
    job: Job,
    follow: Follow,
    *,
    codec: Codec | None = None,
    cache: LatentCache | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Generator[Opened | Progress, None, Outcome]:
    """Denoise an image while it is being written, yielding progress; what came of it is the return value.

    It ends when the writer says so, when nothing new has come for a time, or when it is asked to stop; what
    was complete by then, or done when it was asked, is in the result, which appears as that of `runner.run`
    does. Closing the generator stops within a batch of tiles; the same job goes on there later. Codec and
    cache are as in `runner.run`.

    Args:
        job: Image, by path, and an OME-Zarr as target.
        follow: When time points are complete, and when the image has ended.
        codec: Loaded model; None for the settings'.
        cache: Cache of encoded tiles; None for none.
        stop: Function that tells whether to stop.

    Raises:
        FileNotFoundError: If nothing was complete at the end, or there is no such model.
        ValueError: If image, target or a setting cannot be followed.
        Exception: As `runner.run` does.
    """
    target = _checked(job)
    check_length(str(target))
    unseen = finished_unseen(target)
    if not unseen:
        check_free(target, job.settings.overwrite)
    if codec is None:
        codec = codec_before(job.settings)
        if codec is not None:
            yield named(codec)
    else:
        check_model(codec, job.settings)
    settings = job.settings
    growing = open_growing(
        str(job.input), settings.stack, job.axes or None, _number(settings.series), still=follow.still,
        marker=follow.until,
    )  # fmt: skip
    watch = Watch(growing, follow, stop)
    yield from watch.wait_for_first(job.name)
    check_places(job)
    known = codec
    with _opened(job, growing, 1) as source:
        job, codec = fitted(job, codec, source)
    if codec is not known:
        yield named(codec)
    first = _Beginning.of(job, growing, min(watch.count, follow.first_steps), codec)
    if unseen and same_job(target, first.spec):
        yield said("The result was finished when the run before was stopped.")
        record = record_path(target)
        return Outcome(replace(read_report(record), path=target), first.spec, target, record)
    run = _Following(job, watch, first, codec, cache)
    try:
        yield Opened(None)
        yield from run.to_the_end()
        return run.finished()
    except BaseException:
        run.sink.abort()
        raise


def _checked(job: Job) -> Path:
    """The target of a job that can be followed."""
    settings = job.settings
    if not isinstance(job.input, str | Path):
        raise ValueError(
            f"follow: expected the path of an image, found {type(job.input).__name__}; what is in memory "
            "does not grow"
        )
    if job.target is None or job.target.suffix.lower() != ".zarr" or job.residual is not None:
        found = "none" if job.target is None else "a store" if job.residual else job.target.name
        raise ValueError(
            f"follow: expected a result that ends with .ome.zarr, which can grow, found {found}; choose "
            "such a name, and convert the finished result if another format is wanted"
        )
    if settings.time is not None or settings.series == "all":
        found = "a time range" if settings.time is not None else "series 'all'"
        raise ValueError(f"follow: expected one image with all its time points, found {found}; leave it out")
    return job.target


def _number(series: int | Literal["all"] | None) -> int | None:
    return series if isinstance(series, int) else None


@contextmanager
def _opened(job: Job, growing: GrowingImage, count: int) -> Iterator[ImageSource]:
    """The first time points of the image, with the mask that is given beside it."""
    source = masked(growing.open(count), job)
    try:
        yield source
    finally:
        source.close()


@dataclass(frozen=True)
class _Beginning:
    """What is known from the first time points.

    Attributes:
        count: Number of the time points that all choices are made on.
        spec: What the result holds of them.
        asked: What tells this job from others.
    """

    count: int
    spec: OutputSpec
    asked: Asked

    @classmethod
    def of(cls, job: Job, growing: GrowingImage, count: int, codec: Codec) -> _Beginning:
        """That of a job whose first time points are complete."""
        settings = with_model_named(job.settings, codec.card)
        with _opened(job, growing, count) as source:
            image, dtype = _identity(source), output_dtype(source, settings)
            asked = Asked.of(settings, image, codec.digest.hex(), 1)
            text = f"{settings.deciding(*RESULT).model_dump_json()}|follow {image}|{codec.digest.hex()}"
            chosen = SelectedSource(source, settings.channels)
            spec = OutputSpec(chosen.shape, chosen.metadata.axes, dtype, chosen.metadata, settings.tile, text)
        return cls(count, spec, asked)


def _identity(source: ImageSource) -> str:
    """What tells a series from another while it grows: its kind, and the pixels of its first plane."""
    axes, shape = source.metadata.axes, source.shape
    others = [size for axis, size in zip(axes, shape, strict=True) if axis != "T"]
    rows, columns = (slice(0, size) for size in shape[-2:])
    plane = source.read((0,) * (len(shape) - 2), rows, columns)
    return digest(axes, repr(others), source.dtype.name, np.ascontiguousarray(plane))


class _Following:
    """One job: the result that grows, and what was counted of it."""

    _shared: SharedPlan

    def __init__(
        self, job: Job, watch: Watch, first: _Beginning, codec: Codec, cache: LatentCache | None
    ) -> None:
        assert job.target is not None
        self._job, self._watch, self._first, self._cache = job, watch, first, cache
        self._began, self._codec = time.monotonic(), codec
        self._counted = PartReport()
        self._done = 0
        target = job.target
        self.sink = claim(target, job.settings.overwrite, lambda: GrowingSink(target, first.spec))

    def to_the_end(self) -> Generator[Progress, None, None]:
        """Do what is complete, and wait for more, until it has ended."""
        if self.sink.note:
            yield said(self.sink.note)
        self._shared = shared = yield from self._plan()
        for message in shared.messages:
            yield said(message)
        watch, codec = self._watch, self._codec.at(shared.precision)
        waits = any(plan.neighbours == "T" for plan in shared.channels.values())
        told = False
        while True:
            watch.look(self._done >= self._ready(waits))
            if watch.over and not told:
                told = True
                yield self._state(f"ending: {watch.over}")
            last = self._last(waits)
            if self._done < last:
                yield from self._round(last, codec)
            elif watch.over:
                break
            else:
                yield from watch.wait(self._state, self._waiting(waits))
        yield self._state(f"finishing {_points(self._done)}")

    def _last(self, waits: bool) -> int:
        """The time point after the last that is done now; one waits for its neighbours unless it is over."""
        watch = self._watch
        ready = self._ready(waits)
        if watch.stopped and watch.count - self._done > max(1, watch.count - ready):
            return max(self._done, 1)
        return watch.count if watch.over else ready

    def _ready(self, waits: bool) -> int:
        """The time point after the last whose neighbours are there."""
        return planes_settled(self._watch.count) if waits else self._watch.count

    def _waiting(self, waits: bool) -> str:
        last = " but for the last, which wait for the next" if waits else ""
        return f"{_points(self._watch.count)} done{last}; waiting for more{self._watch.obstacle()}"

    def _plan(self) -> Generator[Progress, None, SharedPlan]:
        """The plan of an interrupted run of the same job, else one that is made of the first time points."""
        file, job = self.sink.folder / _PLAN, self._job
        try:
            shared = SharedPlan.from_text(file.read_text(encoding="utf-8"), str(file))
            if shared.asked == self._first.asked:
                return shared
        except (OSError, ValueError):
            pass
        codec = self._codec.at(job.settings.precision)
        made: str | Plan | None = None
        with (
            _opened(job, self._watch.growing, self._first.count) as source,
            closing(make_plan(source, job.settings, codec, cache=self._cache)) as steps,
        ):
            for made in steps:
                if isinstance(made, str):
                    yield said(f"{made} in the first {_points(self._first.count)}")
                elif made is None:
                    yield said(None)
        assert isinstance(made, Plan)
        messages = (*made.messages, *_of_later_noise(made))
        shared = SharedPlan(self._first.asked, codec.precision, made.channels, messages)
        with atomic(file) as fresh:
            fresh.write_text(shared.to_text(), encoding="utf-8")
        return shared

    def _round(self, last: int, codec: Codec) -> Generator[Progress, None, None]:
        """Do some time points, up to a last one; those of an interrupted run are looked at all at once."""
        job, settings = self._job, self._job.settings
        with _opened(job, self._watch.growing, self._watch.count) as source:
            chosen = SelectedSource(source, settings.channels)
            self.sink.fit(replace(self._first.spec, shape=chosen.shape, metadata=chosen.metadata))
            last = min(last, max(self._done + _steps_of_a_round(chosen), self._done_before(chosen)))

            channels = self._shared.channels

            def order(works: Iterable[Work]) -> list[Work]:
                return in_series(works, chosen.metadata.axes, channels)

            works = plan_works(chosen, settings, order, (self._done, last))
            plan = Plan(works, channels, ())
            tally = yield from self._shifted(
                denoise_works(source, self.sink, settings, plan, codec=codec, cache=self._cache)
            )
        self.sink.flush()
        counted = PartReport.of(tally, 0.0, time.monotonic() - tally.started)
        self._counted, self._done = together((self._counted, counted)), last

    def _done_before(self, chosen: SelectedSource) -> int:
        """The time point after the last that an interrupted run has done, at the first round; later 0."""
        if self._done:
            return 0
        axis, count = chosen.metadata.axes.index("T"), chosen.shape[chosen.metadata.axes.index("T")]
        for step in range(count):
            works = plan_works(chosen, self._job.settings, None, (step, step + 1))
            if not all(
                self.sink.is_done(work.index, work.tile.y0, work.tile.x0)
                for work in works
                if work.channel in self._shared.channels and work.index[axis] == step
            ):
                return step
        return count

    def _shifted(self, running: Generator[Progress, None, Tally]) -> Generator[Progress, None, Tally]:
        """Progress of a round as one of all rounds."""
        before = self._counted.tiles
        try:
            while True:
                try:
                    event = next(running)
                except StopIteration as end:
                    return end.value
                yield replace(event, done=event.done + before, total=event.total + before)
        finally:
            running.close()

    def _state(self, words: str) -> Progress:
        """A line, with what is done."""
        counts, tiles = self._counted.counts, self._counted.tiles
        nan = float("nan")
        hits, calls = counts.cache_hits, self._counted.encoder_calls
        return Progress(tiles, tiles, 0.0, nan, counts.bpp, hits, calls, words)

    def finished(self) -> Outcome:
        """The result at its path, and what is to be told of it."""
        job, settings = self._job, self._job.settings
        with _opened(job, self._watch.growing, self._done) as source:
            chosen = SelectedSource(source, settings.channels)
            spec = replace(self._first.spec, shape=chosen.shape, metadata=chosen.metadata)
        self.sink.fit(spec)
        counted = replace(self._counted, seconds=time.monotonic() - self._began)
        report = counted.report(self._shared, settings.hot_pixels)
        left = self._watch.growing.left_out()
        if (more := self._watch.count - self._done) > 0:
            left.append(f"{_points(more)} more were complete when it was stopped: left out")
        report = replace(report, messages=(*report.messages, *left))
        path = self.sink.finish(
            lambda: record_text(job, self._codec.at(self._shared.precision), spec, report)
        )
        return Outcome(replace(report, path=path), spec, path, record_path(path))


def _of_later_noise(plan: Plan) -> list[str]:
    """What to say where the noise changes from plane to plane: that of later time points is not measured."""
    if all(channel.trend is None for channel in plan.channels.values()):
        return []
    return [
        "later time points are denoised by the noise of the last of the first ones; where it goes on "
        "changing, denoise the finished series once more, so that each plane's own is measured"
    ]


def _steps_of_a_round(chosen: SelectedSource) -> int:
    """How many time points are done between two looks."""
    steps = chosen.shape[chosen.metadata.axes.index("T")]
    return max(1, _ROUND_PIXELS // (int(np.prod(chosen.shape, dtype=np.int64)) // steps))


def _points(count: int) -> str:
    return "1 time point" if count == 1 else f"{count} time points"
