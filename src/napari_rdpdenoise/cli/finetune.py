"""``napari-rdpdenoise finetune``: fine-tune a model to the images of one's own microscope."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import BaseModel, ValidationError

from napari_rdpdenoise.cli.console import CommandState, guarded, result, say
from napari_rdpdenoise.cli.options import describe, with_fields
from napari_rdpdenoise.cli.progress import bar, duration
from napari_rdpdenoise.finetune.settings import (
    PairsSettings,
    PatchSettings,
    UnpairedSettings,
    ZeroShotSettings,
)
from napari_rdpdenoise.settings import RunSettings

if TYPE_CHECKING:
    from napari_rdpdenoise.finetune.plan import Plan
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
    with guarded() as command:
        _check_out(out)
        settings = _settings(UnpairedSettings, given)
        from napari_rdpdenoise.codec import choose_device
        from napari_rdpdenoise.finetune.planners import plan_unpaired

        where = choose_device(device)
        _run(plan_unpaired(noisy, references, settings, where), out, where, command)


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
    with guarded() as command:
        _check_out(out)
        settings = _settings(PairsSettings, given)
        from napari_rdpdenoise.codec import choose_device
        from napari_rdpdenoise.finetune.planners import plan_pairs

        where = choose_device(device)
        _run(plan_pairs(noisy, partners, settings, where), out, where, command)


@finetune_app.command()
@with_fields(ZeroShotSettings)
def zeroshot(given: dict[str, Any], noisy: _Noisy, out: _Out, device: _Device = "auto") -> None:
    """Learn from noisy images alone, starting from a trained model."""
    with guarded() as command:
        _check_out(out)
        settings = _settings(ZeroShotSettings, given)
        from napari_rdpdenoise.codec import choose_device
        from napari_rdpdenoise.finetune.planners import plan_zeroshot

        where = choose_device(device)
        _run(plan_zeroshot(noisy, settings, where), out, where, command)


@finetune_app.command()
@with_fields(PatchSettings)
def patches(given: dict[str, Any], noisy: _Noisy, out: _Out, device: _Device = "auto") -> None:
    """Learn from one noisy plane and no model at all (slow); OUT/denoised.tif is the result, no model."""
    with guarded() as command:
        _check_out(out)
        settings = _settings(PatchSettings, given)
        import tifffile

        from napari_rdpdenoise.codec import choose_device
        from napari_rdpdenoise.files import atomic
        from napari_rdpdenoise.finetune.run import run_patches

        running = run_patches(noisy, out, settings, choose_device(device))
        image = _follow(running, settings.steps, "patches", command)
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
        source = open_image(noisy)
    except (ValueError, OSError):  # a folder that holds one image, or a PNG
        return {}
    try:
        known = source.metadata
    finally:
        source.close()
    found: dict[str, Any] = {}
    for axis in "XY":
        if known.units.get(axis) == "micrometer" and axis in known.scale:
            found |= {f"PhysicalSize{axis}": float(known.scale[axis]), f"PhysicalSize{axis}Unit": "µm"}
    return found


def _settings(model: type[BaseModel], given: dict[str, Any]) -> Any:
    values = {name: value.value if isinstance(value, Enum) else value for name, value in given.items()}
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise ValueError(describe(error)) from error


def _run(plan: Plan, out: Path, device: str, command: CommandState) -> None:
    from napari_rdpdenoise.finetune.run import run_plan

    for remark in plan.remarks:
        say(remark)
    stages = ", ".join(f"{part.kind} {part.steps} steps" for part in plan.train.stages)
    say(f"{plan.kind} on {device}, rate that matches the noise {plan.rate:g}: {stages}")
    steps = sum(part.steps for part in plan.train.stages)
    found = _follow(run_plan(plan, out, device), steps, plan.kind, command)
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
