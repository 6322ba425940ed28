"""The one run that command line, dock and Python share: open, denoise, write, record.

::

    job --check--> source, codec --> sink --Opened--> tiles: Progress ... --> record --> Outcome
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

from napari_rdpdenoise.cache import LatentCache
from napari_rdpdenoise.codec import Codec
from napari_rdpdenoise.io import ArraySink
from napari_rdpdenoise.io.arrays import ArraySource
from napari_rdpdenoise.io.output.sink import check_free, finished_unseen
from napari_rdpdenoise.io.output.staging import Staging
from napari_rdpdenoise.jobs.inputs import as_given, check_places, is_array, opened_source, opened_to_read
from napari_rdpdenoise.jobs.job import Job, Opened, Outcome
from napari_rdpdenoise.jobs.lines import said
from napari_rdpdenoise.jobs.models import fitted, named
from napari_rdpdenoise.jobs.record import read_report, record_path, record_text, same_job
from napari_rdpdenoise.jobs.results import model_words, open_sink, spec_of, wider_words
from napari_rdpdenoise.stream import Progress, denoise_stream
from napari_rdpdenoise.stream.report import RunReport

__all__ = ["finished_before", "run"]


def run(
    job: Job, *, codec: Codec | None = None, cache: LatentCache | None = None
) -> Generator[Opened | Progress, None, Outcome]:
    """Denoise one image, yielding progress; what came of it is the return value.

    Closing the generator stops within a batch of tiles; what is done stays beside the target, and the same
    job goes on there later. A result in a file appears when it is complete, its job file after it. Without a
    codec it is the process's shared one of the settings' model and device; ``cache`` is of encoded tiles.

    Raises:
        FileNotFoundError: There is no such input or model.
        FileExistsError: There is a finished result at the target, and the settings do not let it be replaced.
        MemoryError: The result in memory would not fit into the free memory, or one tile on the device.
        TypeError: The input is of no known kind or of a dtype that is not supported.
        ValueError: A setting does not fit image or model, or the target is what the input is read from.
        OSError: Something cannot be read or written, or another process is writing the target.
    """
    check_places(job)
    unseen = job.target is not None and finished_unseen(job.target)
    if job.target is not None and not unseen:
        check_free(job.target, job.settings.overwrite)
    with opened_to_read(job) as (source, files):
        known = codec
        job, codec = fitted(job, codec, source)
        if codec is not known:
            yield named(codec)
        if is_array(job.input) and isinstance(source, ArraySource) and not source.identified:
            yield said("Reading the image once, so that this run can be continued if it is interrupted.")
        spec = spec_of(job, source, codec)
        if job.target is not None and unseen and same_job(job.target, spec):
            yield said("The result was finished when the run before was stopped.")
            record = record_path(job.target)
            return Outcome(replace(read_report(record), path=job.target), spec, job.target, record)
        sink = open_sink(job, spec, codec)
        if isinstance(sink, Staging) and sink.note:
            yield said(sink.note)
        for words in (*model_words(sink), *wider_words(job, source, spec)):
            yield said(words)
        data = as_given(sink.array, source, job) if isinstance(sink, ArraySink) else None
        try:
            yield Opened(data)
        except BaseException:
            sink.abort()
            raise
        if job.target is None:
            report = yield from denoise_stream(source, sink, job.settings, codec=codec, cache=cache)
            files.check_unchanged()
            return Outcome(report, spec, data=data)

        def text(report: RunReport) -> str:
            files.check_unchanged()
            return record_text(job, codec, spec, report)

        report = yield from denoise_stream(source, sink, job.settings, codec=codec, cache=cache, record=text)
    return Outcome(report, spec, job.target, record_path(job.target))


def finished_before(job: Job, codec: Codec | None) -> bool:
    """Whether the target holds the result of the same input, settings and model already.

    Raises as `run` does, if the input cannot be opened, or there is no such model.
    """
    target = job.target
    if target is None or not target.exists():
        return False
    finished_unseen(target)
    with opened_source(job) as source:
        job, codec = fitted(job, codec, source)
        return same_job(target, spec_of(job, source, codec))
