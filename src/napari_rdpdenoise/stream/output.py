"""What the output of a run holds: shape, metadata, and the number type that keeps what is found."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from napari_rdpdenoise.axes import channel_axis
from napari_rdpdenoise.codec.library import model_digest
from napari_rdpdenoise.io import ImageSource, OutputSpec, SelectedSource
from napari_rdpdenoise.settings import RESULT, RunSettings
from napari_rdpdenoise.stream.plan import check_count

if TYPE_CHECKING:
    from napari_rdpdenoise.codec.identity import KnownModel


def output_spec(
    source: ImageSource,
    settings: RunSettings,
    codec: KnownModel | None = None,
    fingerprint: str | None = None,
) -> OutputSpec:
    """What the output of denoising ``source`` holds: chosen channels and times, dtype, metadata.

    Args:
        source: Image, the whole of it.
        settings: Settings of the run.
        codec: Model that will denoise, None for ``settings.model``. Its digest is in the job, so that another
            model under the same name does not continue what this one began.
        fingerprint: Fingerprint of the source where it is known, as it may take reading all of it; None to
            ask for it.

    Raises:
        ValueError: If there is no such channel or time, or more tiles than can be planned.
    """
    chosen = SelectedSource(source, settings.channels, settings.time)
    check_count(chosen, settings)
    model = codec.digest.hex() if codec is not None else model_digest(settings.model)
    job = f"{settings.deciding(*RESULT).model_dump_json()}|{fingerprint or source.fingerprint()}|{model}"
    dtype, known = output_dtype(source, settings), chosen.metadata
    if settings.quantity != "image":  # its values are no counts, so that the contrast of counts shows nothing
        channels = tuple(replace(channel, window=None, limits=None) for channel in known.channels)
        known = replace(known, channels=channels)
    return OutputSpec(chosen.shape, known.axes, dtype, known, settings.tile, job)


def output_dtype(source: ImageSource, settings: RunSettings) -> np.dtype:
    """Number type of the output: the input's, float32, or, for auto, the one of these that keeps enough."""
    if settings.dtype == "float32" or settings.quantity != "image":
        return np.dtype(np.float32)
    if settings.dtype == "input" or source.dtype.kind == "f":
        return source.dtype
    # by way of the network's input these load torch
    from napari_rdpdenoise.noise import estimate_noise
    from napari_rdpdenoise.stream.rounding import rounding_doubt
    from napari_rdpdenoise.stream.sample import sample_windows

    axis = channel_axis(source.metadata.axes)
    numbers = [None] if axis is None else range(source.shape[axis])
    for number in numbers if settings.channels is None or axis is None else settings.channels:
        windows = sample_windows(source, number)
        if rounding_doubt(windows, estimate_noise(windows), source.dtype):
            return np.dtype(np.float32)
    return source.dtype
