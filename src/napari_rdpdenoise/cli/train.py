"""``napari-rdpdenoise train``: a model of your own, from folders of clean images or noisy-clean pairs."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import ValidationError

from napari_rdpdenoise.cli.console import CommandState, guarded, result, say
from napari_rdpdenoise.cli.options import describe, flag
from napari_rdpdenoise.cli.progress import bar, duration
from napari_rdpdenoise.settings import RunSettings

if TYPE_CHECKING:
    from napari_rdpdenoise.train.loop import TrainProgress
    from napari_rdpdenoise.train.settings import TrainSettings
    from napari_rdpdenoise.train.trainer import Trainer


def train(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="YAML file of the training settings.")],
    data: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Folder that the config's source folders are relative to.")
    ],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder of the new model and its checkpoint.")],
    steps: Annotated[
        int | None, typer.Option(min=1, help="Steps of every stage, in place of the config's.")
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads, in place of the config's.")] = None,
    device: Annotated[
        str, typer.Option(flag("device"), help=str(RunSettings.model_fields["device"].description))
    ] = "auto",
) -> None:
    """Train a model; given again after an interruption, the same command goes on where it was.

    OUT is then a model's folder (card.yaml, model.safetensors) for `denoise --model OUT`.
    """
    with guarded() as command:
        settings = _settings(config, steps, threads)
        if not data.is_dir():
            raise FileNotFoundError(f"--data: expected a folder, found none at {data}")
        from napari_rdpdenoise.codec import choose_device
        from napari_rdpdenoise.train.data.batches import TrainingData
        from napari_rdpdenoise.train.log import TrainingLog, draw_curves, write_training_card
        from napari_rdpdenoise.train.trainer import Trainer

        where = choose_device(device)
        say("reading the images")
        trainer = Trainer(settings, TrainingData(settings, data), out, where)
        log = TrainingLog(out / "training.jsonl")
        plan = ", ".join(f"{part.kind} {part.steps} steps" for part in settings.stages)
        say(f"training {settings.name} on {where}: {plan} of {settings.batch} crops")
        try:
            _run(trainer, log, command)
        finally:
            if trainer.loop is not None and (out / "model.safetensors").is_file():
                write_training_card(out, trainer, log)
                draw_curves(log, out / "training.png")
        result(str(out.resolve()))


def _settings(config: Path, steps: int | None, threads: int | None) -> TrainSettings:
    from napari_rdpdenoise.train.settings import TrainSettings, load_settings

    try:
        settings = load_settings(config).model_dump()
        if threads is not None:
            settings["threads"] = threads
        if steps is not None:
            settings["stages"] = [{**stage, "steps": steps} for stage in settings["stages"]]
        return TrainSettings.model_validate(settings)
    except ValidationError as error:
        raise ValueError(f"CONFIG: {config} is not as expected\n{describe(error)}") from error


def _run(trainer: Trainer, log: Any, command: CommandState) -> None:
    with closing(trainer.run()) as running, bar("steps") as progress:
        total = sum(part.steps for part in trainer.settings.stages)
        task = progress.add_task(trainer.settings.name, total=total, state="")
        for state in running:
            command.working = True
            log.add(state)
            progress.update(task, completed=sum(trainer.steps.values()), state=_words(state))
            if progress.disable or state.validation:
                place = f"{state.stage} {state.step} of {state.steps}"
                say(f"{place}: {_words(state)}, {duration(state.seconds)}")
            for name, value in state.validation.items():
                say(f"    {name}: {value:.3f}")


def _words(state: TrainProgress) -> str:
    names = {"distortion": "error in noise variances"}
    return ", ".join(f"{names.get(name, name)} {value:.4g}" for name, value in state.values.items())
