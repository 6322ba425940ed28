"""The calls for Python: ``denoise`` for arrays, ``denoise_file`` into a file, stores."""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

import numpy as np
from numpy.typing import NDArray

from napari_rdpdenoise.cache import LatentCache
from napari_rdpdenoise.io import ImageSource, open_image
from napari_rdpdenoise.io.arrays import ArraySource
from napari_rdpdenoise.jobs.follow import Follow, interruptible
from napari_rdpdenoise.jobs.job import Job, Outcome
from napari_rdpdenoise.settings import RunSettings

if TYPE_CHECKING:
    import dask.array
    from distributed import Client

    from napari_rdpdenoise.codec import Codec
    from napari_rdpdenoise.store.tile import Residual
    from napari_rdpdenoise.store.verify import Verification
    from napari_rdpdenoise.store.view import StoredLayer

_CLIPPED_SHARE = 1e-3  # of all values; fewer clipped ones are not worth a warning


class Options(TypedDict, total=False):
    """Fields of ``RunSettings`` that both calls take; described and checked there."""

    decoder: Literal["realism", "flow"]
    quantity: Literal["image", "error", "kept"]
    steps: int
    samples: int
    rho: float
    kd: float
    kp: float
    structure: Literal["auto", "none"]
    neighbours: Literal["auto", "none", "T", "Z", "S"]
    ensemble: int
    camera: tuple[float, float, float] | None
    hot_pixels: Literal["replace", "keep"]
    precision: Literal["auto", "float32", "bfloat16"]
    tile: int
    halo: int
    batch: int | None
    dtype: Literal["input", "float32", "auto"]
    channels: tuple[int, ...] | None
    time: tuple[int, int] | None
    seed: int


class ArrayOptions(Options, total=False):
    """Further fields of ``RunSettings`` that ``denoise`` takes; described and checked there."""

    invalid: float | Literal["auto", "none"] | NDArray[Any]


class FileOptions(Options, total=False):
    """Fields of ``RunSettings`` that ``denoise_file`` takes; described and checked there."""

    rate: float | Literal["auto"]
    invalid: float | str | NDArray[Any]
    realism: float
    axes: str | None
    series: int | None
    stack: Literal["T", "Z", "C"] | None
    device: Literal["auto", "cpu", "cuda", "mps"]
    overwrite: bool


class StoreOptions(TypedDict, total=False):
    """Fields of ``RunSettings`` that ``create_store`` takes; described and checked there."""

    rate: float | Literal["auto"]
    structure: Literal["auto", "none"]
    neighbours: Literal["auto", "none", "T", "Z", "S"]
    camera: tuple[float, float, float] | None
    invalid: float | str | NDArray[Any]
    hot_pixels: Literal["replace", "keep"]
    precision: Literal["auto", "float32", "bfloat16"]
    tile: int
    halo: int
    batch: int | None
    channels: tuple[int, ...] | None
    time: tuple[int, int] | None
    seed: int
    axes: str | None
    series: int | None
    stack: Literal["T", "Z", "C"] | None
    device: Literal["auto", "cpu", "cuda", "mps"]
    overwrite: bool


def denoise(
    image: Any,
    *,
    model: str | Path | Codec = "default",
    rate: float | Literal["auto"] = "auto",
    realism: float | None = None,
    axes: str | None = None,
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto",
    cache: LatentCache | None = None,
    **options: Unpack[ArrayOptions],
) -> Any:
    """Denoise an array.

    A NumPy array is denoised at once and gives a NumPy array. A dask or zarr array, or what ``open_image``
    returns, gives a lazy dask array: only some windows are read now, to measure the noise and to choose the
    rate, and a block is denoised when it is computed. A chunk of a dask array is computed for every block
    that touches it; persist it first where that is expensive.

    Args:
        image: NumPy, dask or zarr array (or zarr group of one image) of raw counts, or an ImageSource;
            8-, 16- or 32-bit integers or 16-, 32- or 64-bit floats, at least 2-D.
        model: Name of a model, shipped or the user's own, path of a model's folder, or a loaded model.
        rate: Bits the image may keep, from 0 (strongest denoising) to 1, or "auto" to choose by its noise.
        realism: 0 for the lowest error, 1 for the most natural texture; None for 0, but with decoder "flow"
            for 1.
        axes: One letter per dimension of the array as it is, such as "TZCYX" or "YXS"; None for those it
            names, else YX, TYX, TZYX or TCZYX by the number of dimensions.
        device: Device to compute on; "auto" takes a GPU where there is one.
        cache: Cache of encoded tiles, so that the same image with another realism is only decoded.
        **options: Fields of ``RunSettings``: quantity, decoder, steps, samples, rho, kd, kp, structure,
            neighbours, ensemble, camera, invalid, hot_pixels, precision, tile, halo, batch, dtype, channels,
            time and seed. ``invalid`` may also be a mask of pixels that are not image, of the image's shape
            or of that of its last axes; others are looked for then too.

    Returns:
        Raw counts in the order of axes of ``image`` (of an ImageSource: its own) and of its shape and dtype,
        but for the chosen channels and times and for ``dtype="float32"`` (or "auto", see ``RunSettings``).
        Of ``quantity="error"`` half widths of intervals, raw counts, of "kept" shares from 0 (the model's
        result) to 1 (the input as it is); both float32.

    Raises:
        TypeError: if it is no such array, its dtype is not supported, or an option is not known.
        ValueError: if an argument is out of range or the axes do not fit; the message names it.
        FileNotFoundError: if there is no such model.
        MemoryError: if the result would not fit into the free memory.

    Warns:
        UserWarning: if the noise could not be measured well, the result is doubtful, or values were clipped.
    """
    mask, plain = _mask_among(options)
    if isinstance(given := options.get("invalid"), str) and given not in ("auto", "none"):
        raise ValueError(
            f"invalid: expected a number, 'auto', 'none' or an array beside an array, found {given!r}; "
            "read the mask, or write a file with denoise_file"
        )
    chosen = {} if realism is None else {"realism": realism}
    settings = _settings(ArrayOptions, model, plain, rate=rate, axes=axes, device=device, **chosen)
    # a model by name is loaded again where a block is computed, one in hand has to travel there
    codec = None if isinstance(model, str | Path) else model
    if isinstance(image, np.ndarray):
        from napari_rdpdenoise.jobs.runner import run

        return _run(run(Job(image, None, settings, invalid=mask), codec=codec, cache=cache)).data
    return _lazily(image, settings, mask, codec=codec, cache=cache)


def _mask_among(options: Any) -> tuple[Any, Any]:
    """The mask of what is not image, or None, and the options with a word in its place."""
    given = options.get("invalid")
    if given is None or isinstance(given, float | int | str):
        return None, options
    return given, {**options, "invalid": "auto"}


def _lazily(image: Any, settings: RunSettings, mask: NDArray[Any] | None, **how: Any) -> dask.array.Array:
    """What `denoise_lazy` makes of an image, in the image's order of axes."""
    from napari_rdpdenoise.lazy import denoise_lazy

    source = _open(image, settings.axes, mask)
    result: Any = denoise_lazy(source, settings, **how)
    found = source.metadata.axes
    wanted = source.stored_axes if isinstance(source, ArraySource) and source is not image else found
    return result.transpose(tuple(found.index(letter) for letter in wanted))


def denoise_file(
    image: Any,
    output: str | Path,
    *,
    model: str | Path | Codec = "default",
    cache: LatentCache | None = None,
    part: tuple[int, int] | None = None,
    client: Client | None = None,
    follow: Follow | bool = False,
    **settings: Unpack[FileOptions],
) -> Outcome:
    """Denoise a file, or an array, into a file.

    The image is read and written tile by tile: it may be larger than the memory. The result appears when it
    is complete, with a job file beside it that holds all settings. An interrupted call goes on where it was
    when it is made again.

    Args:
        image: Path or URL of a TIFF, OME-TIFF, OME-Zarr, zarr or ``.npy`` (with ``stack`` a pattern of files;
            with the extra ``formats`` CZI, ND2, LIF), or what ``denoise`` takes: raw
            counts in 8-, 16- or 32-bit integers or 16-, 32- or 64-bit floats, at least 2-D.
        output: Path of the result, which ends with ``.ome.zarr`` or ``.ome.tif``; its folder is made.
        model: Name of a model, shipped or the user's own, path of a model's folder, or a loaded model.
        cache: Cache of encoded tiles, so that the same image with another realism is only decoded.
        part: Part to do, from 1, and number of parts: ``(2, 4)`` does the second of four. Each may be done by
            another process or machine, in any order, and again; then `finish_file` makes the result. None
            does all.
        client: Client of dask.distributed (extra ``cluster``) on whose workers all is done, in parts. They
            see the same files: image and mask are paths, and a model is given by name or path. In a script
            that starts a cluster of its own, call it below ``if __name__ == "__main__":``.
        follow: Whether the image is still being written: a Zarr that grows along T, or files that arrive
            (a pattern, with ``stack="T"``). What is complete is denoised into an OME-Zarr, until the writer
            says that it is done, nothing new has come for a time, or Ctrl-C asks for the end. ``Follow`` says
            how; True is ``Follow()``.
        **settings: Fields of ``RunSettings``: rate, realism, quantity, decoder, steps, samples, rho, kd,
            kp, axes, device, structure, neighbours, ensemble, camera, invalid, hot_pixels, precision, tile,
            halo, batch, dtype, channels, time, seed, series, stack and overwrite. ``invalid`` may also be a
            mask of pixels that are not image, or the path of one, of the image's shape or of that of its
            last axes; others are looked for then too. A path is kept in the job file, an array is not.

    Returns:
        Outcome with the ``path`` of the result, the ``record`` beside it, and a ``report`` of the noise, the
        rate, the bits per pixel and the speed. Of a part, path and record are None.

    Raises:
        TypeError: If the image is of no known kind, its dtype is not supported, or a setting is not known.
        ValueError: If a setting is out of range or does not fit, other parts were begun with another image,
            model or settings, or the output is what the image is read from; the message names it.
        FileNotFoundError: If there is no such image or model.
        FileExistsError: If there is a finished result and ``overwrite`` is false.
        OSError: If a file cannot be read or written, or another process is writing to the output.

    Warns:
        UserWarning: If the noise could not be measured well, the result is doubtful, or values were clipped.
    """
    job, codec = _file_job(image, output, model, settings)
    if client is not None:
        if part is not None or codec is not None or follow:
            raise ValueError(
                "client: expected neither a part nor a loaded model nor follow beside it, found one; leave "
                "part and follow out, and give the model by its name or path"
            )
        from napari_rdpdenoise.jobs.cluster import run_on

        return _run(run_on(job, client, cache=cache))
    if follow:
        if part is not None:
            raise ValueError("follow: expected no part beside it, found one; give one of them")
        from napari_rdpdenoise.jobs.following import run_following

        how = follow if isinstance(follow, Follow) else Follow()
        with interruptible() as stop:
            return _run(run_following(job, how, codec=codec, cache=cache, stop=stop))
    if part is None:
        from napari_rdpdenoise.jobs.runner import run

        return _run(run(job, codec=codec, cache=cache))
    from napari_rdpdenoise.jobs.parts import Part, run_part

    return _run(run_part(job, Part(*part), codec=codec, cache=cache))


def finish_file(
    image: Any,
    output: str | Path,
    *,
    model: str | Path | Codec = "default",
    **settings: Unpack[FileOptions],
) -> Outcome:
    """Make the result of the parts that ``denoise_file(..., part=(NUMBER, PARTS))`` has done, all of them.

    Result and record are those of a call without parts. A second call finds them made.

    Args:
        image: Image, as given to `denoise_file`.
        output: Path of the result, as given there.
        model: Model, as given there.
        **settings: Settings, as given there.

    Returns:
        Outcome as of `denoise_file`; times of its report are sums over the parts.

    Raises:
        ValueError: If parts are missing, which the message names, or were begun with another image, model or
            settings.
        FileNotFoundError: If no part was begun.
        OSError: If a file cannot be read or written, or another process is finishing the output.
        Exception: As `denoise_file` does.

    Warns:
        UserWarning: As `denoise_file` does.
    """
    from napari_rdpdenoise.jobs.parts import finish_parts

    job, codec = _file_job(image, output, model, settings)
    return _run(finish_parts(job, codec=codec))


def _file_job(
    image: Any, output: str | Path, model: str | Path | Codec, settings: Any
) -> tuple[Job, Codec | None]:
    """Job of a call, and its model where that is loaded."""
    mask, plain = _mask_among(settings)
    chosen = _settings(FileOptions, model, plain)
    return Job(image, Path(output), chosen, invalid=mask), None if isinstance(model, str | Path) else model


def create_store(
    image: Any,
    output: str | Path,
    *,
    residual: Residual = "1",
    embed_model: bool | None = None,
    model: str | Path | Codec = "default",
    cache: LatentCache | None = None,
    **settings: Unpack[StoreOptions],
) -> Outcome:
    """Denoise a file, or an array, into a store: one OME-Zarr with the denoised image and the original.

    Programs in whose environment this package is installed read it as an ordinary OME-Zarr of the denoised
    image; `open_store` chooses realism, or the original. A call that is interrupted goes on where it was when
    it is made again.

    Args:
        image: What ``denoise_file`` takes.
        output: Path of the store, which ends with ``.ome.zarr``; its folder is made.
        residual: How much of the original is kept: in steps of "1" or "0.5" standard deviations of its noise
            (the noise then rises by 4 or 1 %), "lossless", or "none". Where what is removed is no noise, the
            original is kept losslessly, and a warning says so.
        embed_model: Whether the store holds its model (8 MB), so that it can be read where that is not
            installed, or another of its name. Else it can be read only where the model is. None embeds it
            where the image is at least ten times as large as the weights.
        model: Name of a model, shipped or the user's own, path of a model's folder, or a loaded model.
        cache: Cache of encoded tiles: what is cached is not encoded again.
        **settings: Fields of ``RunSettings`` as for ``denoise_file``, without realism, decoder, quantity,
            dtype and what belongs to them. A ``tile`` is a chunk, 2048 px unless it is given.

    Returns:
        Outcome as of ``denoise_file``.

    Raises:
        TypeError: As ``denoise_file`` does.
        ValueError: As ``denoise_file`` does, or if the output ends otherwise.
        FileNotFoundError: As ``denoise_file`` does.
        FileExistsError: As ``denoise_file`` does.
        OSError: As ``denoise_file`` does.

    Warns:
        UserWarning: As ``denoise_file`` does, or if the original is kept losslessly.
    """
    from napari_rdpdenoise.jobs.runner import run
    from napari_rdpdenoise.store.settings import TILE

    mask, plain = _mask_among(settings)
    chosen = _settings(StoreOptions, model, {"tile": TILE, **plain})
    codec = None if isinstance(model, str | Path) else model
    job = Job(image, Path(output), chosen, invalid=mask, residual=residual, embed_model=embed_model)
    return _run(run(job, codec=codec, cache=cache))


def verify_store(path: str | Path, image: Any, *, axes: str | None = None) -> Verification:
    """Compare a store with the image that it was made from.

    Args:
        path: Folder of the store.
        image: Path of that image, or what ``open_image`` takes.
        axes: Axes of it as they were given when the store was made; None for those of then, or of the file.

    Returns:
        Errors of the original in noise standard deviations, means of both layers and sizes.

    Raises:
        FileNotFoundError: If there is no such store or image.
        ValueError: If it is no store, a chunk is damaged, or the image is of another shape.
    """
    from napari_rdpdenoise.store.verify import Verification, verify

    return next(found for found in verify(path, image, axes=axes) if isinstance(found, Verification))


def extract_store(
    path: str | Path,
    output: str | Path,
    *,
    realism: float | None = None,
    layer: StoredLayer | None = None,
    overwrite: bool = False,
) -> Path:
    """Write one layer of a store to an ordinary file.

    Args:
        path: Folder of the store.
        output: Path of the result, which ends with ``.ome.zarr`` or ``.ome.tif``.
        realism: Realism of the denoised image, 0 to 1; None for 0, or what ``store_view`` says.
        layer: "denoised" or "original"; None for the former, or what ``store_view`` says.
        overwrite: Whether a finished result there is replaced.

    Returns:
        Path of the result.

    Raises:
        FileNotFoundError: If there is no store.
        FileExistsError: If there is a finished result and ``overwrite`` is false.
        ValueError: If it is no store, a chunk is damaged, or the original was not kept.
    """
    from napari_rdpdenoise.store.extract import extract

    for _ in extract(path, output, realism=realism, layer=layer, overwrite=overwrite):
        pass
    return Path(output)


def _settings(known: type, model: str | Path | Codec, options: Any, **given: Any) -> RunSettings:
    """Settings of a call, from options that a TypedDict lists and from what has parameters of its own."""
    names = known.__annotations__
    if unknown := sorted(set(options) - set(names)):
        call = {ArrayOptions: "denoise", StoreOptions: "create_store"}.get(known, "denoise_file")
        raise TypeError(
            f"{call}: expected options among {', '.join(names)}, found {', '.join(unknown)}; "
            "files are written by denoise_file, the ending of whose output says the format"
        )
    name = str(model) if isinstance(model, str | Path) else model.card.name
    return RunSettings(model=name, **given, **options)


def _open(image: Any, axes: str | None, invalid: NDArray[Any] | None) -> ImageSource:
    if isinstance(image, str | Path):
        raise TypeError(
            f"image: expected an array, found the path {str(image)!r}; open it with open_image, "
            "or write a file with denoise_file"
        )
    dask_array = sys.modules.get("dask.array")
    if dask_array is not None and isinstance(image, dask_array.Array):
        from napari_rdpdenoise.lazy import ComputedArray

        if any(np.isnan(size) for size in image.shape):
            raise ValueError(
                f"image: expected a known shape, found {image.shape}; call compute_chunk_sizes() on it first"
            )
        return ArraySource(ComputedArray(image), axes, identity=image.name, invalid=invalid)
    if invalid is not None and not hasattr(image, "dtype"):
        raise TypeError(f"invalid: expected a mask beside an array, found one beside {type(image).__name__}")
    return open_image(image, axes) if invalid is None else ArraySource(image, axes, invalid=invalid)


def _run(running: Generator[Any, None, Outcome]) -> Outcome:
    """Run to the end, and warn the caller of the caller of what is doubtful."""
    while True:
        try:
            next(running)
        except StopIteration as end:
            outcome: Outcome = end.value
            break
    report, spec = outcome.report, outcome.spec
    messages = list(report.messages)
    if report.clipped > _CLIPPED_SHARE * math.prod(spec.shape):
        messages.append(
            f"{report.clipped} values did not fit {spec.dtype} and were clipped; dtype='float32' keeps them"
        )
    for message in messages:
        warnings.warn(message, UserWarning, stacklevel=3)
    return outcome
