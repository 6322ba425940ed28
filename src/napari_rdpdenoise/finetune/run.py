"""Fine-tuning a model to the user's images, from the first check to a model folder.

A run's folder: ``training/`` (checkpoints, guards, what the run was asked for), ``training.jsonl``,
``report.txt``, and, if the new model is better, ``card.yaml`` and ``model.safetensors``.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_rdpdenoise.codec.models import choose_device
from napari_rdpdenoise.files import locked
from napari_rdpdenoise.finetune.guard import Guard, Verdict
from napari_rdpdenoise.finetune.images import filled, take_planes
from napari_rdpdenoise.finetune.model_folder import claim_folder, refuse_folder, write_model
from napari_rdpdenoise.finetune.plan import Plan
from napari_rdpdenoise.finetune.planners import plan_pairs, plan_unpaired, plan_zeroshot
from napari_rdpdenoise.finetune.settings import (
    PairsSettings,
    PatchSettings,
    UnpairedSettings,
    ZeroShotSettings,
)
from napari_rdpdenoise.finetune.stage_guards import StageGuards
from napari_rdpdenoise.train.log import TrainingLog, draw_curves
from napari_rdpdenoise.train.loop import TrainProgress
from napari_rdpdenoise.train.trainer import Trainer


@dataclass(frozen=True)
class FinetuneResult:
    """What a run came to.

    Attributes:
        model: Folder or name of the model to denoise with: the run's folder, or the model that it started
            from where that is better.
        verdict: Comparison of the fine-tuned model with the one it started from.
        stopped: Reason why the run ended before its last step; None if it did not.
        remarks: Sentences on what was noticed about the images.
    """

    model: str
    verdict: Verdict
    stopped: str | None
    remarks: tuple[str, ...]

    @property
    def findings(self) -> tuple[str, ...]:
        """What became known by training, one sentence each."""
        stopped = (f"ended early: {self.stopped}",) if self.stopped else ()
        return (*self.verdict.words, *stopped)

    def words(self) -> tuple[str, ...]:
        """The report, one sentence each: findings, remarks, and what to denoise with."""
        return (*self.findings, *self.remarks, f"denoise with: {self.model}")


def finetune_unpaired(
    noisy: Any, references: Any, out: str | Path, *, device: str = "auto", **settings: Any
) -> FinetuneResult:
    """Fine-tune a model's realism to clean images of the same kind of specimen, taken anywhere else.

    Args:
        noisy: Array, path of an image or a folder, or a list of these; one channel, raw counts.
        references: Clean images of other places, given in the same ways.
        out: Folder of the new model; the same call again goes on where an earlier one ended.
        device: Name of the device: "auto", "cpu", "cuda" or "mps".
        **settings: Fields of `UnpairedSettings`.

    Returns:
        What to denoise with, and the report on it.

    Raises:
        ValueError: If a setting is out of range, no reference is of use, or the folder is another run's.
    """
    where = choose_device(device)
    return _drain(run_plan(plan_unpaired(noisy, references, UnpairedSettings(**settings), where), out, where))


def finetune_pairs(
    noisy: Any, partners: Any, out: str | Path, *, device: str = "auto", **settings: Any
) -> FinetuneResult:
    """Fine-tune a model to noisy images with clean or noisy partners of the same places, in the same order.

    ``partners`` are given in the same ways as ``noisy`` and as many, ``settings`` are fields of
    `PairsSettings`. All else is as in `finetune_unpaired`.

    Raises:
        ValueError: As there, and if two images are no pair.
    """
    where = choose_device(device)
    return _drain(run_plan(plan_pairs(noisy, partners, PairsSettings(**settings), where), out, where))


def finetune_zeroshot(
    noisy: Any, out: str | Path, *, device: str = "auto", **settings: Any
) -> FinetuneResult:
    """Fine-tune a model to noisy images alone.

    ``settings`` are fields of `ZeroShotSettings`, all else is as in `finetune_unpaired`.

    Raises:
        ValueError: As there, and if neighbouring pixels share their noise.
    """
    where = choose_device(device)
    return _drain(run_plan(plan_zeroshot(noisy, ZeroShotSettings(**settings), where), out, where))


def finetune_patches(
    noisy: Any, out: str | Path, *, device: str = "auto", **settings: Any
) -> NDArray[np.float32]:
    """Denoise one plane with a small codec of its patches, fitted to that plane from nothing.

    ``noisy`` is one plane, ``out`` takes the state of the training alone, and ``settings`` are fields of
    `PatchSettings`. All else is as in `finetune_unpaired`.

    Returns:
        The denoised plane (height, width), counts.

    Raises:
        ValueError: As there, and if there is more than one plane.
    """
    return _drain(run_patches(noisy, out, PatchSettings(**settings), choose_device(device)))


def run_plan(
    plan: Plan,
    out: str | Path,
    device: str = "cpu",
    report_every: int = 10,
    started: Callable[[Trainer, Guard], None] | None = None,
) -> Generator[TrainProgress, None, FinetuneResult]:
    """Train, compare and write the model, yielding progress; closing the generator stops and saves.

    ``started`` is given the trainer and the last stage's guard, to watch them meanwhile. What to denoise
    with, and the report on it, are the return value.

    Raises:
        InUseError: If another training has the folder.
        ValueError: If ``out`` is a shipped model's, or holds another run or model.
    """
    folder = Path(out)
    training = folder / "training"
    refuse_folder(folder)
    with locked(training, "out", "training there"):
        claim_folder(training, plan)
        guards = StageGuards(plan, training)
        guards.begin(device)
        trainer = Trainer(plan.train, plan.data, training, device, guards)
        if started is not None:
            started(trainer, guards.last)
        log = TrainingLog(folder / "training.jsonl")
        if guards.last.stop() is None:
            with closing(trainer.run(report_every)) as running:
                for state in running:
                    log.add(state)
                    yield state
        return _conclude(plan, folder, guards, log)


def run_patches(
    noisy: Any, out: str | Path, settings: PatchSettings, device: str = "cpu"
) -> Generator[TrainProgress, None, NDArray[np.float32]]:
    """Fit a patch codec to one plane, yielding progress; the denoised plane, counts, is the return value.

    Raises:
        InUseError: If another training has the folder.
        ValueError: If there is more than one plane, or ``out`` is a shipped model's or holds another run.
    """
    from napari_rdpdenoise.finetune.patches import PatchTrainer, denoise_linear

    images = take_planes(noisy, "noisy")
    if len(images) != 1:
        raise ValueError(f"noisy: expected one plane for a patch codec, found {len(images)}; give one")
    refuse_folder(Path(out))
    with locked(out, "out", "training there"):
        plane = filled(images.planes[0])
        if settings.kind == "linear":
            return (yield from denoise_linear(plane, settings))
        return (yield from PatchTrainer(plane, settings, Path(out), device=device).run())


def _conclude(plan: Plan, folder: Path, guards: StageGuards, log: TrainingLog) -> FinetuneResult:
    verdict, weights, stopped = guards.last.verdict(), guards.last.weights, guards.last.stop()
    verdict = replace(verdict, words=(*verdict.words, *guards.words()))
    if verdict.better and weights is not None:
        write_model(folder, weights, plan, verdict, log)
    else:  # of an earlier, shorter run
        for name in ("card.yaml", "model.safetensors"):
            (folder / name).unlink(missing_ok=True)
    draw_curves(log, folder / "training.png")
    result = FinetuneResult(
        str(folder.resolve()) if verdict.better else plan.settings.model, verdict, stopped, plan.remarks
    )
    (folder / "report.txt").write_text("\n".join(result.words()) + "\n", encoding="utf-8")
    return result


def _drain(run: Generator[Any, None, Any]) -> Any:
    while True:
        try:
            next(run)
        except StopIteration as end:
            return end.value
