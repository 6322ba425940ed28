"""``napari-rdpdenoise store``: one file with the denoised image and the original."""

from __future__ import annotations

import math
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from napari_rdpdenoise.cli.console import FAILED, CommandState, guarded, result
from napari_rdpdenoise.cli.division import Division, divided
from napari_rdpdenoise.cli.options import make_settings, with_fields, written
from napari_rdpdenoise.cli.progress import bar, follow
from napari_rdpdenoise.jobs.job import Job
from napari_rdpdenoise.settings import RunSettings

if TYPE_CHECKING:
    from napari_rdpdenoise.store.about import StoreInfo
    from napari_rdpdenoise.store.verify import ChannelCheck

store_app = typer.Typer(
    help="One OME-Zarr in the place of two: the denoised image, and the original within its own noise.",
    no_args_is_help=True,
)

Step = TypeVar("Step")

# What decides how a tile is coded; realism is chosen when a store is read.
_FIELDS = (
    "model",
    "rate",
    "axes",
    "series",
    "stack",
    "channels",
    "time",
    "invalid",
    "hot_pixels",
    "camera",
    "structure",
    "neighbours",
    "tile",
    "halo",
    "batch",
    "device",
    "precision",
    "seed",
    "overwrite",
)


class _Residual(StrEnum):
    one, half, lossless, none = "1", "0.5", "lossless", "none"


class _Layer(StrEnum):
    denoised, original = "denoised", "original"


_Store = Annotated[Path, typer.Argument(metavar="STORE", help="A store that `store create` wrote.")]


@store_app.command("create")
@with_fields(RunSettings, *_FIELDS, also=(Division,))
def create(
    given: dict[str, Any],
    context: typer.Context,
    image: Annotated[
        str, typer.Argument(metavar="IN", help="TIFF, OME-TIFF, OME-Zarr, zarr or .npy, or a quoted glob.")
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The store, ending in .ome.zarr.")],
    residual: Annotated[
        _Residual,
        typer.Option(
            help="How much of the original is kept: in steps of so many noise standard deviations (its noise "
            "rises by 4 % or 1 %), all of it, or nothing.",
        ),
    ] = _Residual.one,
    embed_model: Annotated[
        bool | None,
        typer.Option(
            "--embed-model/--no-embed-model",
            help="Whether the store holds its model (8 MB), so that it can be read where that is not "
            "installed; by default where the image is ten times as large.",
            show_default=False,
        ),
    ] = None,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Neither use nor fill the cache of encoded tiles.")
    ] = False,
) -> None:
    """Denoise an image into a store.

    Programs with this package in their environment open it as an OME-Zarr of the denoised image. An
    interrupted run goes on where it was when the same command is given again. With `--part 1/8` to
    `--part 8/8` and then `--finish` many machines make one store.
    """
    with guarded() as command:
        division = Division(**{name: given.pop(name) for name in Division.model_fields})
        from napari_rdpdenoise.cache import LatentCache
        from napari_rdpdenoise.jobs.runner import run
        from napari_rdpdenoise.store.settings import TILE

        settings = make_settings(
            {"tile": TILE, **{name: given[name] for name in written(context) & set(given)}}
        )
        job = Job(image, out, settings, residual=residual.value, embed_model=embed_model)
        cache = None if no_cache else LatentCache()
        with divided(division, cache) as step:
            outcome = follow(run(job, cache=cache) if step is None else step(job, None), job.name, command)
        if outcome.path is not None:
            result(str(out))


@store_app.command("info")
def info(store: _Store) -> None:
    """Say what a store holds, and where its bytes are."""
    with guarded():
        from napari_rdpdenoise.store.about import store_info

        for line in _about(store_info(store)):
            result(line)


@store_app.command("extract")
def extract(
    store: _Store,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Result (.ome.zarr or .ome.tif).")],
    layer: Annotated[_Layer, typer.Option(help="Which image.")] = _Layer.denoised,
    realism: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Realism of the denoised image, as of `denoise`.")
    ] = 0.0,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help=str(RunSettings.model_fields["overwrite"].description))
    ] = False,
) -> None:
    """Write one layer of a store to an ordinary file."""
    with guarded() as command:
        from napari_rdpdenoise.store.extract import extract as steps

        running = steps(store, out, realism=realism, layer=layer.value, overwrite=overwrite)
        for _ in _shown(running, store.name, command):
            pass
        result(str(out))


@store_app.command("verify")
def verify(
    store: _Store,
    image: Annotated[str, typer.Argument(metavar="IN", help="The image that it was made from.")],
    axes: Annotated[str | None, typer.Option(help=str(RunSettings.model_fields["axes"].description))] = None,
) -> None:
    """Compare a store with the image that it was made from.

    Ends with exit code 1 where the original is further off than its steps promise.
    """
    with guarded() as command:
        from napari_rdpdenoise.store.verify import Verification
        from napari_rdpdenoise.store.verify import verify as steps

        given = axes.upper() if axes else None
        for found in _shown(steps(store, image, axes=given), store.name, command):
            if isinstance(found, Verification):
                for line in (*_about(found.info), *map(_compared, found.channels)):
                    result(line)
                result(
                    "holds" if found.holds else "does not hold: the original is further off than it may be"
                )
                if not found.holds:
                    raise typer.Exit(FAILED)


def _shown(running: Iterator[Step], name: str, command: CommandState) -> Iterator[Step]:
    """What a run over blocks gives, with a bar of how far it is."""
    progress = bar("blocks")
    task = progress.add_task(name, total=None, state="")
    with progress:
        for step in running:
            command.working = True
            if isinstance(step, tuple):
                progress.update(task, completed=step[0], total=step[1])
            yield step


def _about(info: StoreInfo) -> list[str]:
    raw = 8 * info.raw / info.pixels
    kept = {"none": "not kept", "lossless": "kept losslessly"}.get(
        info.residual, f"kept in steps of {info.residual} times its noise"
    )
    parts = ", ".join(f"{name} {8 * size / info.pixels:.3f}" for name, size in info.coded.items())
    lines = [
        f"{info.axes} {info.shape}, {info.dtype}; model {info.model} ({info.digest[:8]}); original {kept}",
        f"{_bytes(info.size)}, {info.bpp:.3f} bits per pixel of {raw:.0f} (1 : {info.raw / info.size:.1f})",
        f"bits per pixel: {parts}",
    ]
    if info.lossless and info.residual != "lossless":
        lines.append(f"{info.lossless} of {info.tiles} tiles keep the original losslessly")
    if info.embedded:
        lines.append(f"the model is inside: {_bytes(info.embedded)} of these bytes")
    for channel in info.channels:
        gain, offset, read = channel.noise
        noise = f"noise gain {gain:.4g}, offset {offset:.4g}, read noise {read:.4g} counts"
        lines.append(f"channel {channel.channel}: rate {channel.rate:.2f}, {noise}")
    return lines


def _compared(check: ChannelCheck) -> str:
    off = check.denoised_mean - check.mean
    means = f"mean {check.mean:.6g} counts, denoised {check.denoised_mean:.6g} ({off:+.3g})"
    if math.isnan(check.worst):
        return f"channel {check.channel}: {means}"
    return (
        f"channel {check.channel}: original off by at most {check.worst:.3f}, rms {check.rms:.3f} noise "
        f"standard deviations: noise raised by {check.added_noise:.1%}; {means}"
    )


def _bytes(size: int) -> str:
    return f"{size / 1e6:.3g} MB" if size >= 1e6 else f"{size / 1e3:.3g} kB"
