"""The one call for arrays in Python: ``denoise``."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

import numpy as np

from napari_rdpdenoise.io import ArraySink, ImageSource, open_image
from napari_rdpdenoise.io.arrays import ArraySource
from napari_rdpdenoise.settings import RunSettings

if TYPE_CHECKING:
    from napari_rdpdenoise.cache import LatentCache
    from napari_rdpdenoise.codec import Codec
    from napari_rdpdenoise.stream import Progress, RunReport

_CLIPPED_SHARE = 1e-3  # of all values; fewer clipped ones are not worth a warning


class Options(TypedDict, total=False):
    """Further fields of ``RunSettings`` that ``denoise`` takes; described and checked there."""

    tile: int
    halo: int
    batch: int | None
    dtype: Literal["input", "float32"]
    channels: tuple[int, ...] | None
    time: tuple[int, int] | None
    seed: int


def denoise(
    image: Any,
    *,
    model: str | Path | Codec = "default",
    rate: float | Literal["auto"] = "auto",
    realism: float = 0.0,
    axes: str | None = None,
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto",
    cache: LatentCache | None = None,
    **options: Unpack[Options],
) -> Any:
    """Denoise an array.

    A NumPy array is denoised at once and gives a NumPy array. A dask or zarr array, or what ``open_image``
    returns, gives a lazy dask array: only some windows are read now, to measure the noise and to choose the
    rate, and a block is denoised when it is computed. A chunk of a dask array is computed for every block
    that touches it; persist it first where that is expensive.

    Args:
        image: NumPy, dask or zarr array (or zarr group of one image) of raw counts, or an ImageSource;
            8-, 16- or 32-bit integers or 16-, 32- or 64-bit floats, at least 2-D.
        model: name of a model, shipped or the user's own, path of a model's folder, or a loaded model.
        rate: bits the image may keep, from 0 (strongest denoising) to 1, or "auto" to choose by its noise.
        realism: 0 for the lowest error, 1 for the most natural texture.
        axes: one letter per dimension of the array as it is, such as "TZCYX" or "YXS"; None for those it
            names, else YX, TYX, TZYX or TCZYX by the number of dimensions.
        device: where to compute; "auto" takes a GPU where there is one.
        cache: keeps the encoded tiles, so that the same image with another realism is only decoded.
        **options: tile, halo, batch, dtype, channels, time and seed, as in ``RunSettings``.

    Returns:
        Raw counts in the order of axes of ``image`` (of an ImageSource: its own) and of its shape and dtype,
        but for the chosen channels and times and for ``dtype="float32"``.

    Raises:
        TypeError: if it is no such array, its dtype is not supported, or an option is not known.
        ValueError: if an argument is out of range or the axes do not fit; the message names it.
        FileNotFoundError: if there is no such model.

    Warns:
        UserWarning: if the noise could not be measured well, the result is doubtful, or values were clipped.
    """
    from napari_rdpdenoise.codec.device import shared_codec
    from napari_rdpdenoise.lazy import denoise_lazy

    settings = _settings(model, dict(options), rate=rate, realism=realism, axes=axes, device=device)
    source = _open(image, axes)
    codec = shared_codec(model, device) if isinstance(model, str | Path) else model
    result: Any
    if isinstance(image, np.ndarray):
        result = _streamed(source, settings, codec, cache)
    else:
        # a model by name is loaded again where a block is computed, one in hand has to travel there
        own = None if isinstance(model, str | Path) else model
        result = denoise_lazy(source, settings, codec=own, cache=cache)
    found = source.metadata.axes
    wanted = source.stored_axes if isinstance(source, ArraySource) and source is not image else found
    return result.transpose(tuple(found.index(letter) for letter in wanted))


def _settings(model: str | Path | Codec, options: dict[str, Any], **given: Any) -> RunSettings:
    unknown = sorted(set(options) - set(Options.__annotations__))
    if unknown:
        raise TypeError(
            f"denoise: expected options among {', '.join(Options.__annotations__)}, "
            f"found {', '.join(unknown)}; files are written by the command line or denoise_stream"
        )
    name = str(model) if isinstance(model, str | Path) else model.card.name
    return RunSettings(model=name, **given, **options)


def _open(image: Any, axes: str | None) -> ImageSource:
    if isinstance(image, str | Path):
        raise TypeError(
            f"image: expected an array, found the path {str(image)!r}; open it with open_image, "
            "or write a file with denoise_stream or the command line"
        )
    dask_array = sys.modules.get("dask.array")
    if dask_array is not None and isinstance(image, dask_array.Array):
        from napari_rdpdenoise.lazy import ComputedArray

        if any(np.isnan(size) for size in image.shape):
            raise ValueError(
                f"image: expected a known shape, found {image.shape}; call compute_chunk_sizes() on it first"
            )
        return ArraySource(ComputedArray(image), axes, identity=image.name)
    return open_image(image, axes)


def _streamed(
    source: ImageSource, settings: RunSettings, codec: Codec, cache: LatentCache | None
) -> np.ndarray:
    from napari_rdpdenoise.stream import denoise_stream, output_spec

    sink = ArraySink(output_spec(source, settings, codec))
    report = _drain(denoise_stream(source, sink, settings, codec=codec, cache=cache))
    messages = list(report.messages)
    if report.clipped > _CLIPPED_SHARE * sink.array.size:
        messages.append(
            f"{report.clipped} values did not fit {sink.array.dtype} and were clipped; "
            "dtype='float32' keeps them"
        )
    for message in messages:
        warnings.warn(message, UserWarning, stacklevel=3)
    return sink.array


def _drain(run: Generator[Progress, None, RunReport]) -> RunReport:
    while True:
        try:
            next(run)
        except StopIteration as end:
            return end.value
