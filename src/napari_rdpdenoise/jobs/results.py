"""What a job makes: shape, number type and identity of its result, and the output that holds it.

Loads no torch, but for stores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import psutil

from napari_rdpdenoise.io import ArraySink, ImageSource, OutputSpec, Sink
from napari_rdpdenoise.io.output.sink import Output, claim, held, output_of
from napari_rdpdenoise.jobs.job import Job
from napari_rdpdenoise.jobs.record import with_model_named
from napari_rdpdenoise.stream import output_spec

if TYPE_CHECKING:
    from napari_rdpdenoise.codec import Codec
    from napari_rdpdenoise.codec.identity import KnownModel

__all__ = ["file_output", "model_words", "open_sink", "spec_of", "wider_words"]

_FREE_SHARE = 0.8  # of the free memory that a result may take


def spec_of(job: Job, source: ImageSource, model: KnownModel, fingerprint: str | None = None) -> OutputSpec:
    """What the result of a job that is `fitted` holds; else as `stream.output_spec`."""
    settings = with_model_named(job.settings, model.card)  # its path has no part in what is the same job
    spec = output_spec(source, settings, model, fingerprint)
    if job.target is not None:
        spec = held(job.target, spec)
    return spec if job.residual is None else replace(spec, job=f"{spec.job}|store {job.residual}")


def file_output(job: Job, spec: OutputSpec, load: Callable[[], Codec]) -> Output:
    """The output of a job whose target is a file.

    Args:
        job: Job, `fitted`.
        spec: What it has to hold.
        load: Function that gives the model of the job; called for a store alone.

    Raises:
        ValueError: If there is no target, its ending is not known, or the settings do not fit a store.
    """
    if job.target is None:
        raise ValueError("job: expected a file as target, found none")
    if job.residual is None:
        return output_of(job.target, spec)
    from napari_rdpdenoise.store.writer import store_output

    return store_output(job.target, spec, job.settings, load(), job.residual, job.embed_model)


def open_sink(job: Job, spec: OutputSpec, codec: Codec) -> Sink:
    """The output of a job, its file claimed or its array made.

    Raises:
        MemoryError: If an array would not fit into the free memory.
        FileExistsError: If there is a finished result that is not to be replaced.
        OSError: If another process is writing there, or it cannot be written.
    """
    if job.target is not None:
        output = file_output(job, spec, lambda: codec)
        return claim(job.target, job.settings.overwrite, lambda: output.blocks(None))
    needed = int(np.prod(spec.shape, dtype=np.int64)) * spec.dtype.itemsize
    free = psutil.virtual_memory().available
    if needed > _FREE_SHARE * free:
        raise MemoryError(
            f"the denoised image must fit into memory: it needs {needed / 2**30:.1f} GiB, "
            f"{free / 2**30:.1f} GiB are free; write it to a file instead (Save to, or denoise_file)"
        )
    return ArraySink(spec)


def model_words(sink: Sink) -> Iterator[str]:
    """Whether an output holds its model, in words; nothing of one that is no store."""
    if words := getattr(sink, "model_words", ""):
        yield words


def wider_words(job: Job, source: ImageSource, spec: OutputSpec) -> Iterator[str]:
    """What is told of an output whose format lacks the image's number type."""
    asked = job.settings.dtype == "float32" or job.settings.quantity != "image"
    if source.dtype == np.float16 and spec.dtype == np.float32 and not asked:
        yield "The image is of float16, which OME-TIFF does not have: the result is float32."
