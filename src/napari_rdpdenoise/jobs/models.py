"""The model of a job: the one that its settings mean for its image, loaded once in a process.

Torch is loaded with the first model.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from napari_rdpdenoise.codec.library import DEFAULT, DEFAULT_MODEL
from napari_rdpdenoise.io import ImageSource
from napari_rdpdenoise.jobs.job import Job
from napari_rdpdenoise.jobs.lines import line
from napari_rdpdenoise.settings import RunSettings
from napari_rdpdenoise.stream.plan import check_model, for_image
from napari_rdpdenoise.stream.report import ModelNamed

if TYPE_CHECKING:
    from napari_rdpdenoise.codec import Codec

__all__ = ["chosen", "codec_before", "fitted", "load_codec", "loaded", "model_line", "named"]


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
    job, codec = chosen(job, codec, source)
    return job, loaded(job.settings, codec)


def chosen(job: Job, codec: Codec | None, source: ImageSource) -> tuple[Job, Codec | None]:
    """`fitted` where the model need not be loaded yet: None stands for the one that the settings name now."""
    if job.residual is not None:
        from napari_rdpdenoise.store.settings import fitting

        job = replace(job, settings=fitting(job.settings, source.shape[-2:]))
    if codec is None or codec.card.name == DEFAULT_MODEL:
        settings = for_image(job.settings, source)
        if settings.model != job.settings.model:
            job, codec = replace(job, settings=settings), None
    return job, codec


def loaded(settings: RunSettings, codec: Codec | None) -> Codec:
    """A model in hand, or that of some settings, of which both raise what `load_codec` does."""
    if codec is None:
        return load_codec(settings)
    check_model(codec, settings)
    return codec


def codec_before(settings: RunSettings) -> Codec | None:
    """The model of some settings before an image is seen; None where that decides. Raises as `load_codec`."""
    return None if settings.model == DEFAULT else load_codec(settings)


def load_codec(settings: RunSettings) -> Codec:
    """The process's shared model of some settings; loaded on first use.

    Raises:
        FileNotFoundError: There is no such model.
        ValueError: It cannot be used as the settings ask.
    """
    from napari_rdpdenoise.codec.device import shared_codec

    codec = shared_codec(settings.model, settings.device).at(settings.precision)
    check_model(codec, settings)
    return codec


def model_line(codec: Codec) -> str:
    """Name of a model and where it computes, in words."""
    from napari_rdpdenoise.codec.precision import device_words

    return f"model {codec.card.name} on {device_words(codec.device, codec.precision)}"


def named(codec: Codec) -> ModelNamed:
    """The event that names a model."""
    return line(ModelNamed, model_line(codec))
