"""Stores from Python: made, compared with the original, and taken apart."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from napari_rdpdenoise.api.call import mask_among, settings_of, to_the_end
from napari_rdpdenoise.api.options import DividedStoreOptions, StoreOptions
from napari_rdpdenoise.cache import LatentCache
from napari_rdpdenoise.jobs.job import Job, Outcome
from napari_rdpdenoise.names import local

if TYPE_CHECKING:
    from napari_rdpdenoise.codec import Codec
    from napari_rdpdenoise.store.tile.terms import Residual
    from napari_rdpdenoise.store.verify import Verification
    from napari_rdpdenoise.store.view import StoredLayer


def create_store(
    image: Any,
    output: str | Path,
    *,
    residual: Residual = "1",
    embed_model: bool | None = None,
    model: str | Path | Codec = "default",
    cache: LatentCache | None = None,
    **settings: Unpack[DividedStoreOptions],
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
            dtype and what belongs to them. A ``tile`` is a chunk, 2048 px unless it is given. Beside these
            ``part``, number and number of parts as of ``denoise_file``, after all of which `finish_store`
            makes the store, or ``client``, on whose workers all is done.

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
    part, client = settings.pop("part", None), settings.pop("client", None)
    job, codec = _store_job(image, output, model, settings)
    job = replace(job, residual=residual, embed_model=embed_model)
    if client is not None:
        if part is not None or codec is not None:
            raise ValueError(
                "client: expected neither a part nor a loaded model beside it, found one; leave part out, "
                "and give the model by its name or path"
            )
        from napari_rdpdenoise.jobs.cluster import run_on

        return to_the_end(run_on(job, client, cache=cache))
    if part is None:
        from napari_rdpdenoise.jobs.runner import run

        return to_the_end(run(job, codec=codec, cache=cache))
    from napari_rdpdenoise.jobs.parts import Part, run_part

    return to_the_end(run_part(job, Part(*part), codec=codec, cache=cache))


def finish_store(
    image: Any,
    output: str | Path,
    *,
    residual: Residual = "1",
    embed_model: bool | None = None,
    model: str | Path | Codec = "default",
    **settings: Unpack[StoreOptions],
) -> Outcome:
    """Make the store of the parts that ``create_store(..., part=(NUMBER, PARTS))`` has done, all of them.

    It is the store of a call without parts. A second call finds it made.

    Args:
        image: Image, as given to `create_store`.
        output: Path of the store, as given there.
        residual: How much of the original is kept, as given there.
        embed_model: Whether the store holds its model, as given there.
        model: Model, as given there.
        **settings: Settings, as given there.

    Returns:
        Outcome as of `create_store`; times of its report are sums over the parts.

    Raises:
        ValueError: If parts are missing, which the message names, or were begun with another image, model or
            settings.
        FileNotFoundError: If no part was begun.
        OSError: If a file cannot be read or written, or another process is finishing the store.
        Exception: As `create_store` does.

    Warns:
        UserWarning: As `create_store` does.
    """
    from napari_rdpdenoise.jobs.finish import finish_parts

    job, codec = _store_job(image, output, model, settings)
    return to_the_end(finish_parts(replace(job, residual=residual, embed_model=embed_model), codec=codec))


def _store_job(
    image: Any, output: str | Path, model: str | Path | Codec, settings: Any
) -> tuple[Job, Codec | None]:
    """Job of a call, and its model where that is loaded."""
    from napari_rdpdenoise.store.settings import TILE

    mask, plain = mask_among(settings)
    chosen = settings_of(StoreOptions, model, {"tile": TILE, **plain})
    target = Path(local(os.fspath(output)))
    return Job(image, target, chosen, invalid=mask), None if isinstance(model, str | Path) else model


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
