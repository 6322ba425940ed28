"""``napari-rdpdenoise train``: a model of your own, from folders of clean images or noisy-clean pairs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_rdpdenoise.cli.console import guarded, result, say
from napari_rdpdenoise.cli.options import describe, flag
from napari_rdpdenoise.cli.progress import bar, duration
from napari_rdpdenoise.settings import RunSettings

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from napari_rdpdenoise.train.settings import TrainSettings
    from napari_rdpdenoise.train.trainer import Trainer, TrainProgress


def train(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="YAML file of the training settings.")],
    data: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Folder that the config's source folders are relative to.")
    ],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder of the new model and its checkpoint.")],
    steps: Annotated[int | None, typer.Option(min=1, help="Steps, in place of the config's.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads, in place of the config's.")] = None,
    device: Annotated[
        str, typer.Option(flag("device"), help=str(RunSettings.model_fields["device"].description))
    ] = "auto",
) -> None:
    """Train a model; given again after an interruption, the same command goes on where it was.

    OUT is then a model's folder (card.yaml, model.safetensors) for `denoise --model OUT`.
    """
    with guarded() as stage:
        settings = _settings(config, steps, threads)
        if not data.is_dir():
            raise FileNotFoundError(f"--data: expected a folder, found none at {data}")
        from napari_rdpdenoise.cli.training_log import TrainingLog, write_card
        from napari_rdpdenoise.codec import choose_device
        from napari_rdpdenoise.train.data import TrainingData
        from napari_rdpdenoise.train.trainer import Trainer

        where = choose_device(device)
        say("reading the images")
        trainer = Trainer(settings, TrainingData(settings, data), out, where)
        log = TrainingLog(out / "training.jsonl")
        say(f"training {settings.name} on {where}: {settings.steps} steps of {settings.batch} crops")
        try:
            _run(trainer, log, stage)
        finally:
            if trainer.step and (out / "model.safetensors").is_file():
                write_card(out, trainer, log)
        result(str(out.resolve()))


def _settings(config: Path, steps: int | None, threads: int | None) -> TrainSettings:
    from pydantic import ValidationError

    from napari_rdpdenoise.train.settings import TrainSettings, load_settings

    changes = {key: value for key, value in (("steps", steps), ("threads", threads)) if value is not None}
    try:
        settings = load_settings(config)
        return TrainSettings.model_validate({**settings.model_dump(), **changes})
    except ValidationError as error:
        raise ValueError(f"CONFIG: {config} is not as expected\n{describe(error)}") from error


def _run(trainer: Trainer, log: Any, stage: Any) -> None:
    from contextlib import closing

    with closing(trainer.run()) as running, bar("steps") as progress:
        task = progress.add_task(trainer.settings.name, total=trainer.settings.steps, state="")
        for state in running:
            stage.working = True
            log.add(state)
            _show(state, progress, task)


def _show(state: TrainProgress, progress: Progress, task: TaskID) -> None:
    text = f"loss {state.loss:.3f}, error {state.distortion:.4f} noise variances, {state.bpp:.3f} bpp"
    progress.update(task, completed=state.step, state=text)
    if progress.disable or state.validation:
        say(f"step {state.step} of {state.steps}: {text}, {duration(state.seconds)}")
    for name, value in state.validation.items():
        say(f"    {name}: {value:.3f}")
