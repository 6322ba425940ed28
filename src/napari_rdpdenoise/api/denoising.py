"""Denoising from Python: ``denoise`` for arrays, ``denoise_file`` into a file."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Unpack

import numpy as np
from numpy.typing import NDArray

from napari_rdpdenoise.api.call import mask_among, settings_of, to_the_end
from napari_rdpdenoise.api.options import ArrayOptions, FileOptions
from napari_rdpdenoise.cache import LatentCache
from napari_rdpdenoise.io import ImageSource, open_image
from napari_rdpdenoise.io.arrays import ArraySource
from napari_rdpdenoise.io.source import check_shape
from napari_rdpdenoise.jobs.follow import Follow, interruptible
from napari_rdpdenoise.jobs.job import Job, Outcome
from napari_rdpdenoise.names import local
from napari_rdpdenoise.settings import RunSettings

if TYPE_CHECKING:
    import dask.array
    from distributed import Client

    from napari_rdpdenoise.codec import Codec


def denoise(
    image: Any,
    *,
    model: str | Path | Codec = "default",
    rate: float | Literal["auto", "compact"] = "auto",
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
        rate: Bits the image may keep, from 0 (strongest denoising) to 1, or "auto" to choose by its noise,
            or "compact" for the fewest bits of nearly that error.
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
    mask, plain = mask_among(options)
    if isinstance(given := options.get("invalid"), str) and given not in ("auto", "none"):
        raise ValueError(
            f"invalid: expected a number, 'auto', 'none' or an array beside an array, found {given!r}; "
            "read the mask, or write a file with denoise_file"
        )
    chosen = {} if realism is None else {"realism": realism}
    settings = settings_of(ArrayOptions, model, plain, rate=rate, axes=axes, device=device, **chosen)
    # a model by name is loaded again where a block is computed, one in hand has to travel there
    codec = None if isinstance(model, str | Path) else model
    if isinstance(image, np.ndarray):
        from napari_rdpdenoise.jobs.runner import run

        return to_the_end(run(Job(image, None, settings, invalid=mask), codec=codec, cache=cache)).data
    return _lazily(image, settings, mask, codec=codec, cache=cache)


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
        follow: Whether the image is still being written: a Zarr that grows along T, a TIFF or NDTiff that is
            appended to, or files that arrive (a pattern, with ``stack="T"``). What is complete is denoised
            into an OME-Zarr, until the writer says that it is done, nothing new has come for a time, or
            Ctrl-C asks for the end. ``Follow`` says how; True is ``Follow()``.
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

        return to_the_end(run_on(job, client, cache=cache))
    if follow:
        if part is not None:
            raise ValueError("follow: expected no part beside it, found one; give one of them")
        from napari_rdpdenoise.jobs.following import run_following

        how = follow if isinstance(follow, Follow) else Follow()
        with interruptible() as stop:
            return to_the_end(run_following(job, how, codec=codec, cache=cache, stop=stop))
    if part is None:
        from napari_rdpdenoise.jobs.runner import run

        return to_the_end(run(job, codec=codec, cache=cache))
    from napari_rdpdenoise.jobs.parts import Part, run_part

    return to_the_end(run_part(job, Part(*part), codec=codec, cache=cache))


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
    from napari_rdpdenoise.jobs.finish import finish_parts

    job, codec = _file_job(image, output, model, settings)
    return to_the_end(finish_parts(job, codec=codec))


def _file_job(
    image: Any, output: str | Path, model: str | Path | Codec, settings: Any
) -> tuple[Job, Codec | None]:
    """Job of a call, and its model where that is loaded."""
    mask, plain = mask_among(settings)
    chosen = settings_of(FileOptions, model, plain)
    target = Path(local(os.fspath(output)))
    return Job(image, target, chosen, invalid=mask), None if isinstance(model, str | Path) else model


def _open(image: Any, axes: str | None, invalid: NDArray[Any] | None) -> ImageSource:
    if isinstance(image, str | Path):
        raise TypeError(
            f"image: expected an array, found the path {str(image)!r}; open it with open_image, "
            "or write a file with denoise_file"
        )
    dask_array = sys.modules.get("dask.array")
    if dask_array is not None and isinstance(image, dask_array.Array):
        from napari_rdpdenoise.lazy import ComputedArray

        check_shape(image.shape)
        return ArraySource(ComputedArray(image), axes, identity=image.name, invalid=invalid)
    if invalid is not None and not hasattr(image, "dtype"):
        raise TypeError(f"invalid: expected a mask beside an array, found one beside {type(image).__name__}")
    return open_image(image, axes) if invalid is None else ArraySource(image, axes, invalid=invalid)
