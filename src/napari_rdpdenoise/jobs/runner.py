"""The one run that command line, dock and Python share: open, denoise, write, record.

::

    job --check--> source, codec --> sink --Opened--> tiles: Progress ... --> record --> Outcome
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from napari_rdpdenoise.cache import LatentCache
from napari_rdpdenoise.codec import Codec
from napari_rdpdenoise.codec.device import shared_codec
from napari_rdpdenoise.codec.library import DEFAULT, DEFAULT_MODEL
from napari_rdpdenoise.codec.precision import device_words
from napari_rdpdenoise.io import (
    ArraySink,
    ImageSource,
    OutputSpec,
    Sink,
    arrays,
    files_of_set,
    list_images,
    open_image,
    open_stack,
)
from napari_rdpdenoise.io.masked import MaskedSource, open_mask
from napari_rdpdenoise.io.origin import (
    file_identity,
    files_behind,
    files_state,
    refuse_inside_zarr,
    refuse_overwriting,
)
from napari_rdpdenoise.io.output.sink import Output, check_free, claim, finished_unseen, held, output_of
from napari_rdpdenoise.io.output.staging import Staging
from napari_rdpdenoise.jobs.job import Job, Opened, Outcome
from napari_rdpdenoise.jobs.record import read_report, record_path, record_text, same_job, with_model_named
from napari_rdpdenoise.names import check_length, check_name, exists, matching
from napari_rdpdenoise.settings import RunSettings
from napari_rdpdenoise.stream import Progress, denoise_stream, output_spec
from napari_rdpdenoise.stream.plan import check_model, for_image
from napari_rdpdenoise.stream.report import ModelNamed, RunReport

_FREE_SHARE = 0.8  # of the free memory that a result may take


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
    read_from = _read_from(job)
    before = files_state(read_from)
    with opened_source(job) as source:
        known = codec
        job, codec = fitted(job, codec, source)
        if codec is not known:
            yield named(codec)
        if _is_array(job.input) and _identity(job) is None:
            yield said("Reading the image once, so that this run can be continued if it is interrupted.")
        spec = spec_of(job, source, codec)
        if job.target is not None and unseen and same_job(job.target, spec):
            yield said("The result was finished when the run before was stopped.")
            record = record_path(job.target)
            return Outcome(replace(read_report(record), path=job.target), spec, job.target, record)
        sink = _open_sink(job, spec, codec)
        if isinstance(sink, Staging) and sink.note:
            yield said(sink.note)
        for words in (*model_words(sink), *_wider(job, source, spec)):
            yield said(words)
        data = _as_given(sink.array, source, job) if isinstance(sink, ArraySink) else None
        try:
            yield Opened(data)
        except BaseException:
            sink.abort()
            raise
        if job.target is None:
            report = yield from denoise_stream(source, sink, job.settings, codec=codec, cache=cache)
            _check_unchanged(job, read_from, before)
            return Outcome(report, spec, data=data)

        def text(report: RunReport) -> str:
            _check_unchanged(job, read_from, before)
            return record_text(job, codec, spec, report)

        report = yield from denoise_stream(source, sink, job.settings, codec=codec, cache=cache, record=text)
    return Outcome(report, spec, job.target, record_path(job.target))


def _check_unchanged(job: Job, read_from: Sequence[Path], before: str) -> None:
    """Refuse a result whose input was written to while it was read."""
    if files_state(read_from) != before:
        raise ValueError(
            f"image: expected files that nobody writes to, found that {job.name} changed while it was read, "
            "so that the result may be of both; give the same again when it is finished, or --follow while a "
            "microscope writes it"
        )


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


def spec_of(job: Job, source: ImageSource, codec: Codec) -> OutputSpec:
    """What the result of a job that is `fitted` holds; raises as `stream.output_spec` does."""
    settings = with_model_named(job.settings, codec.card)  # its path has no part in what is the same job
    spec = output_spec(source, settings, codec)
    if job.target is not None:
        spec = held(job.target, spec)
    return spec if job.residual is None else replace(spec, job=f"{spec.job}|store {job.residual}")


def _wider(job: Job, source: ImageSource, spec: OutputSpec) -> Iterator[str]:
    """What is told of an output whose format lacks the image's number type."""
    asked = job.settings.dtype == "float32" or job.settings.quantity != "image"
    if source.dtype == np.float16 and spec.dtype == np.float32 and not asked:
        yield "The image is of float16, which OME-TIFF does not have: the result is float32."


def file_output(job: Job, spec: OutputSpec, codec: Codec) -> Output:
    """The output of a job whose target is a file.

    Args:
        job: Job, `fitted`.
        spec: What it has to hold.
        codec: Model of the job.

    Raises:
        ValueError: If there is no target, its ending is not known, or the settings do not fit a store.
    """
    if job.target is None:
        raise ValueError("job: expected a file as target, found none")
    if job.residual is None:
        return output_of(job.target, spec)
    from napari_rdpdenoise.store.writer import store_output

    return store_output(job.target, spec, job.settings, codec, job.residual, job.embed_model)


def model_words(sink: Sink) -> Iterator[str]:
    """Whether an output holds its model, in words; nothing of one that is no store."""
    if words := getattr(sink, "model_words", ""):
        yield words


def fitted(job: Job, codec: Codec | None, source: ImageSource) -> tuple[Job, Codec]:
    """A job with the model that its settings mean for its image, and that model, loaded.

    Tiles of a store are the chunks of a regular grid.

    Args:
        job: Job.
        codec: Loaded model, which stays unless it is the default of another kind of image; None to load it.
        source: Image of the job, open.

    Raises:
        FileNotFoundError: There is no such model.
        ValueError: It cannot be used as the settings ask.
    """
    if job.residual is not None:
        from napari_rdpdenoise.store.settings import fitting

        job = replace(job, settings=fitting(job.settings, source.shape[-2:]))
    if codec is None or codec.card.name == DEFAULT_MODEL:
        settings = for_image(job.settings, source)
        if settings.model != job.settings.model:
            job, codec = replace(job, settings=settings), None
    if codec is None:
        return job, load_codec(job.settings)
    check_model(codec, job.settings)
    return job, codec


def codec_before(settings: RunSettings) -> Codec | None:
    """The model of some settings before an image is seen; None where that decides. Raises as `load_codec`."""
    return None if settings.model == DEFAULT else load_codec(settings)


def load_codec(settings: RunSettings) -> Codec:
    """The process's shared model of some settings; loaded on first use.

    Raises:
        FileNotFoundError: There is no such model.
        ValueError: It cannot be used as the settings ask.
    """
    codec = shared_codec(settings.model, settings.device).at(settings.precision)
    check_model(codec, settings)
    return codec


def model_line(codec: Codec) -> str:
    """Name of a model and where it computes, in words."""
    return f"model {codec.card.name} on {device_words(codec.device, codec.precision)}"


def named(codec: Codec) -> ModelNamed:
    """The event that names a model."""
    return ModelNamed(**vars(said(model_line(codec))))


def said(message: str) -> Progress:
    """A line for the person who waits, before the number of tiles is known."""
    return Progress(0, 0, 0.0, float("nan"), float("nan"), 0, 0, message)


def check_places(job: Job) -> None:
    """Refuse a target whose name cannot be written, or over which the input is read.

    Raises:
        ValueError: If it is such.
    """
    if job.target is None:
        return
    check_name(str(job.target))
    check_length(str(job.target))
    refuse_overwriting(job.target, _input_files(job))
    refuse_inside_zarr(job.target)


def _input_files(job: Job) -> list[Path]:
    """Files and folders that a job reads, as far as they are known; of a set the one that was named."""
    stacked = matching(str(job.input)) if job.settings.stack else ()
    beside = [name for name in (mask_file(job.settings),) if name is not None]
    return [*files_behind(job.input, job.path), *map(Path, [*stacked, *beside])]


def _read_from(job: Job) -> list[Path]:
    """Files and folders that a job reads while it runs: of a set all, none of an array in memory."""
    lies = isinstance(job.input, str | os.PathLike)
    files = [path for path in _input_files(job if lies else replace(job, path=None)) if exists(str(path))]
    return [*files, *(file for path in files for file in files_of_set(path))] if lies else files


@contextlib.contextmanager
def opened_source(job: Job) -> Iterator[ImageSource]:
    """The input of a job, closed at the end unless it came open; raises as `open_input` does."""
    if _is_array(job.input):
        source: ImageSource = arrays.ArraySource(
            job.input, job.axes or None, job.metadata, _identity(job), job.invalid
        )
    else:
        source = masked(open_input(job), job)
    try:
        yield source
    finally:
        if source is not job.input:
            source.close()


def mask_file(settings: RunSettings) -> str | None:
    """Path of the mask that settings name; None for none."""
    invalid = settings.invalid
    return invalid if isinstance(invalid, str) and invalid not in ("auto", "none") else None


def masked(source: ImageSource, job: Job) -> ImageSource:
    """A source with the mask that is given beside it, in hand or as a file; without one itself."""
    path = mask_file(job.settings)
    try:
        if job.invalid is not None:
            return MaskedSource(source, job.invalid)
        return source if path is None else MaskedSource(source, open_mask(path))
    except BaseException:
        if source is not job.input:
            source.close()
        raise


def open_input(job: Job) -> ImageSource:
    """The image that a job's input, a path, and its settings name; whoever asked closes it.

    Raises:
        FileNotFoundError: If there is no such image.
        TypeError: If it is of no known kind.
        ValueError: If there are several images and the settings ask for all of them in one.
    """
    settings = job.settings
    if settings.stack is not None:
        return open_stack(str(job.input), settings.stack, job.axes or None)
    series = settings.series
    if series == "all":
        if isinstance(job.input, ImageSource) or (count := len(list_images(job.input))) == 1:
            series = None
        else:
            raise ValueError(
                f"series: expected one of the {count} images of {job.input} for one result, found 'all'; "
                "give a number, or a folder for the results on the command line"
            )
    return open_image(job.input, job.axes or None, series)


def _is_array(data: Any) -> bool:
    return hasattr(data, "dtype") and hasattr(data, "__getitem__")


def _identity(job: Job) -> str | None:
    """What tells an array from another; None where all of it has to be read for that, or it is no array."""
    if job.target is None:
        return "in memory"  # never continued, so it need not be known again
    graph_name = getattr(job.input, "name", None) if hasattr(job.input, "dask") else None
    return graph_name or file_identity(job.input)


def _as_given(array: np.ndarray, source: ImageSource, job: Job) -> np.ndarray:
    """A canonical array as a view in the order of axes of the job's array; as it is where it has none."""
    found = source.metadata.axes
    given = source.stored_axes if isinstance(source, arrays.ArraySource) and _is_array(job.input) else found
    return array.transpose([found.index(axis) for axis in given])


def _open_sink(job: Job, spec: OutputSpec, codec: Codec) -> Sink:
    if job.target is not None:
        output = file_output(job, spec, codec)
        return claim(job.target, job.settings.overwrite, lambda: output.blocks(None))
    needed = int(np.prod(spec.shape, dtype=np.int64)) * spec.dtype.itemsize
    free = psutil.virtual_memory().available
    if needed > _FREE_SHARE * free:
        raise MemoryError(
            f"the denoised image must fit into memory: it needs {needed / 2**30:.1f} GiB, "
            f"{free / 2**30:.1f} GiB are free; write it to a file instead (Save to, or denoise_file)"
        )
    return ArraySink(spec)
