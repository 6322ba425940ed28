"""``napari-rdpdenoise finetune``: fine-tune a model to the images of one's own microscope."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import BaseModel

from napari_rdpdenoise.cli.console import CommandState, guarded, result, say
from napari_rdpdenoise.cli.options import validated, with_fields
from napari_rdpdenoise.cli.progress import bar, duration
from napari_rdpdenoise.finetune.settings import (
    PairsSettings,
    PatchSettings,
    UnpairedSettings,
    ZeroShotSettings,
)
from napari_rdpdenoise.settings import RunSettings

if TYPE_CHECKING:
    from napari_rdpdenoise.train.loop import TrainProgress

finetune_app = typer.Typer(
    no_args_is_help=True, help="Fine-tune a model to your own images; the old one is kept if that is better."
)

_Noisy = Annotated[
    Path, typer.Argument(metavar="NOISY", help="Noisy image, or folder of images; one channel, raw counts.")
]
_Out = Annotated[
    Path, typer.Argument(metavar="OUT", help="Folder of the new model; the same command goes on there.")
]
_Device = Annotated[str, typer.Option(help=str(RunSettings.model_fields["device"].description))]


@finetune_app.command()
@with_fields(UnpairedSettings)
def unpaired(
    given: dict[str, Any],
    noisy: _Noisy,
    references: Annotated[
        Path, typer.Argument(metavar="REFERENCES", help="Clean image or folder, of other places.")
    ],
    out: _Out,
    device: _Device = "auto",
) -> None:
    """Learn the texture of clean images of the same kind of specimen, taken anywhere else."""
    _tune("unpaired", UnpairedSettings, given, (noisy, references), out, device)


@finetune_app.command()
@with_fields(PairsSettings)
def pairs(
    given: dict[str, Any],
    noisy: _Noisy,
    partners: Annotated[
        Path, typer.Argument(metavar="PARTNERS", help="Clean or noisy images of the same places, same order.")
    ],
    out: _Out,
    device: _Device = "auto",
) -> None:
    """Learn from pairs of images of the same places, whose registration and intensities are checked."""
    _tune("pairs", PairsSettings, given, (noisy, partners), out, device)


@finetune_app.command()
@with_fields(ZeroShotSettings)
def zeroshot(given: dict[str, Any], noisy: _Noisy, out: _Out, device: _Device = "auto") -> None:
    """Learn from noisy images alone, starting from a trained model."""
    _tune("zeroshot", ZeroShotSettings, given, (noisy,), out, device)


@finetune_app.command()
@with_fields(PatchSettings)
def patches(given: dict[str, Any], noisy: _Noisy, out: _Out, device: _Device = "auto") -> None:
    """Learn from one noisy plane and no model at all; OUT/denoised.tif is the result, no model."""
    with guarded() as command:
        _check_out(out)
        settings = validated(PatchSettings, given)
        import tifffile

        from napari_rdpdenoise.codec import choose_device
        from napari_rdpdenoise.files import atomic
        from napari_rdpdenoise.finetune.run import run_patches

        running = run_patches(noisy, out, settings, choose_device(device))
        image = _follow(running, settings.total, "patches", command)
        target = out / "denoised.tif"
        with atomic(target) as fresh:
            tifffile.imwrite(fresh, image, ome=True, metadata={"axes": "YX", **_pixel_size(noisy)})
        result(str(target.resolve()))


def _check_out(out: Path) -> None:
    """Before the images are read and denoised, which takes minutes."""
    for part in (out, *out.parents):
        if part.is_file():
            raise NotADirectoryError(f"OUT: expected a folder, found a file at {part}; choose another name")
    from napari_rdpdenoise.finetune.model_folder import refuse_folder

    refuse_folder(out)


def _pixel_size(noisy: Path) -> dict[str, Any]:
    """That of an image, in the words of OME; nothing where it is not known."""
    from napari_rdpdenoise.io import open_image

    try:
        with closing(open_image(noisy)) as source:
            known = source.metadata
    except (ValueError, OSError):  # a folder that holds one image, or a PNG
        return {}
    found: dict[str, Any] = {}
    for axis in "XY":
        if known.units.get(axis) == "micrometer" and axis in known.scale:
            found |= {f"PhysicalSize{axis}": float(known.scale[axis]), f"PhysicalSize{axis}Unit": "µm"}
    return found


def _tune(
    kind: str, model: type[BaseModel], given: dict[str, Any], images: tuple[Path, ...], out: Path, device: str
) -> None:
    """Plan, train and report; the engine is loaded once the settings are known to be right."""
    with guarded() as command:
        _check_out(out)
        settings = validated(model, given)
        from napari_rdpdenoise.codec import choose_device
        from napari_rdpdenoise.finetune import planners
        from napari_rdpdenoise.finetune.run import run_plan

        where = choose_device(device)
        plan = getattr(planners, f"plan_{kind}")(*images, settings, where)
        for remark in plan.remarks:
            say(remark)
        stages = ", ".join(f"{part.kind} {part.steps} steps" for part in plan.train.stages)
        say(f"{plan.kind} on {where}, rate that matches the noise {plan.rate:g}: {stages}")
        steps = sum(part.steps for part in plan.train.stages)
        found = _follow(run_plan(plan, out, where), steps, plan.kind, command)
        for line in found.findings:
            say(line)
        result(found.model)


def _follow(
    running: Generator[TrainProgress, None, Any], steps: int, name: str, command: CommandState
) -> Any:
    """Run to the end and return what the run does; an interruption closes it, and what is done is kept."""
    done: dict[str, int] = {}
    with closing(running), bar("steps") as progress:
        task = progress.add_task(name, total=steps, state="")
        while True:
            try:
                state = next(running)
            except StopIteration as end:
                return end.value
            except KeyboardInterrupt:
                say("what was done up to the last checkpoint is kept; the same command goes on there")
                raise
            command.working = True
            done[state.stage] = state.step
            words = ", ".join(f"{key} {value:.4g}" for key, value in state.values.items())
            progress.update(task, completed=sum(done.values()), state=words)
            if state.validation or state.step == state.steps:
                say(f"{state.stage} {state.step} of {state.steps}: {words}, {duration(state.seconds)}")
            for key, value in state.validation.items():
                say(f"    {key}: {value:.4g}")
