"""What every training stage does: step, average the weights, validate, save, resume, report."""

from __future__ import annotations

import copy
import time
from abc import ABC, abstractmethod
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from napari_rdpdenoise.codec.models import network_tensors
from napari_rdpdenoise.codec.precision import choose_precision
from napari_rdpdenoise.files import atomic
from napari_rdpdenoise.nn.layers import branches_in
from napari_rdpdenoise.nn.network import RdpNetwork
from napari_rdpdenoise.train.adam import Adam
from napari_rdpdenoise.train.data.batches import Batch, TrainingData, ValidationImage
from napari_rdpdenoise.train.settings import Stage, TrainSettings
from napari_rdpdenoise.train.validation import validate
from napari_rdpdenoise.train.weights import checkpoint_of, load_checkpoint

# What may differ when a run is resumed: it changes how far and how fast, not what is learned.
_FREE = ("steps", "threads", "workers", "validate_every", "precision")

_LOST = (
    1e6  # noise variances of error, in the mean of a batch: one bright outlier reaches it, not many batches
)
_DOUBTED, _LOST_STEPS = 3, 20  # of them in a row: nothing is saved any more; the run ends


class TrainingDiverged(ValueError):
    """A training whose error has grown without bound, from which no later step comes back."""


@dataclass(frozen=True)
class TrainProgress:
    """State after a step.

    Attributes:
        stage: Number and kind, as the stage's folder is named, e.g. "2-all-rates".
        step: Number of steps done, of this stage.
        steps: Number of steps planned, of this stage.
        values: Means since the last report, by name: "loss"; "distortion" in noise variances; "bpp"; and of
            the realism stage "lpips" and "critic", the critic's estimate of the Wasserstein distance.
        seconds: Training time of this stage in this process.
        validation: Scores by source and name, e.g. "w2s/noisy psnr@0.6" in dB; empty in between.
    """

    stage: str
    step: int
    steps: int
    values: dict[str, float]
    seconds: float
    validation: dict[str, float]


class Overseer(Protocol):
    """Looks on at every validation; all it says follows from files, so that a killed run goes on alike."""

    def judge(self, loop: Loop, scores: dict[str, float], values: dict[str, float]) -> dict[str, float]:
        """The scores to report, given those on held-out images and the last step's values."""

    def ended(self, loop: Loop) -> bool:
        """Whether the stage ends before its last step; asked at its start and after every validation."""

    def best(self, loop: Loop) -> Path | None:
        """Weights of an ended stage that the next one starts from; None for those the run started from."""


class Loop(ABC):
    """One stage. Every checkpoint resumes to the same curve: data and noise are seeded by the step number.

    Args:
        settings: Settings of the whole run.
        number: Place of the stage to train among the settings' stages.
        network: Network to train, on its device; changed in place.
        data: Batches and held-out images.
        folder: Folder of the whole run; the stage's own, with checkpoint and averaged weights, is made in it.

    Attributes:
        before: Steps of the stages before, by stage.
    """

    def __init__(
        self, settings: TrainSettings, number: int, network: RdpNetwork, data: TrainingData, folder: Path
    ) -> None:
        self.settings, self.number, self.data, self.network = settings, number, data, network
        self.stage: Stage = settings.stages[number]
        self.folder = folder / stage_name(number, self.stage)
        self.device = next(network.parameters()).device
        chosen = choose_precision(settings.precision, self.device.type)
        self._branches = torch.bfloat16 if chosen == "bfloat16" else None
        self.average = copy.deepcopy(network).eval()
        self.step = 0
        self._lost = 0  # steps without a usable error, one after the other
        self.before: dict[str, int] = {}
        self.overseer: Overseer | None = None

    @property
    def checkpoint(self) -> Path:
        """Where the state is kept for resuming."""
        return self.folder / "checkpoint.pt"

    @abstractmethod
    def train_step(self, batch: Batch) -> dict[str, float]:
        """One step on tensors of the loop's device; the values to report."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """Modules and optimizers to keep, by name; all have ``state_dict``."""

    @abstractmethod
    def optimizer_of_rate(self) -> list[tuple[Adam, float]]:
        """Optimizers whose learning rate follows the schedule, with the rate at its top."""

    @property
    def trained(self) -> tuple[nn.Module, nn.Module]:
        """The part of the network that learns, and the same part of the average."""
        return self.network, self.average

    def run(self, report_every: int = 100) -> Generator[TrainProgress, None, None]:
        """Train to the last step, yielding progress; closing the generator stops within a step and saves.

        A checkpoint of the same settings in ``folder`` is continued, unless the stages before it have gone
        on since it was made.

        Raises:
            ValueError: If the checkpoint there was made with other settings.
            TrainingDiverged: If the error grows without bound; the last checkpoint before stays.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.checkpoint.is_file() and self._is_current():
            self.load()
        held_out = self.data.validation()
        start, rows = time.monotonic(), []
        batches = self.data.batches(self.step, self.number)
        try:
            ended = self._ended()
            while self.step < self.stage.steps and not ended:
                rows.append(self._step(next(batches)))
                due = self.step % self.settings.validate_every == 0 or self.step == self.stage.steps
                if self.step % report_every == 0 or due:
                    scores = self._scores(held_out, rows[-1]) if due else {}
                    if due and self._is_sound:
                        self.save()
                    seconds, values, rows = time.monotonic() - start, _means(rows), []
                    yield TrainProgress(
                        self.folder.name, self.step, self.stage.steps, values, seconds, scores
                    )
                    start = time.monotonic() - seconds  # who holds a report, holds the training up
                    ended = due and self._ended()
        finally:
            batches.close()  # type: ignore[attr-defined]
            if self._is_sound:
                self.save()

    def _scores(self, held_out: list[ValidationImage], values: dict[str, float]) -> dict[str, float]:
        scores = validate(self.average, held_out)
        # before the checkpoint: a run that is killed in between asks again
        return scores if self.overseer is None else self.overseer.judge(self, scores, values)

    def _ended(self) -> bool:
        return self.overseer is not None and self.overseer.ended(self)

    def save(self) -> None:
        """Write the checkpoint, and the averaged weights as ``model.safetensors``; both atomically."""
        from safetensors.torch import save_file

        parts = {"network": self.network, "average": self.average, **self.state()}
        state: dict[str, Any] = {name: part.state_dict() for name, part in parts.items()}
        state |= {"settings": self.settings.model_dump_json(), "step": self.step, "before": self.before}
        with atomic(self.checkpoint) as fresh:
            torch.save(state, fresh)
        with atomic(self.folder / "model.safetensors") as fresh:
            save_file(network_tensors(self.average), fresh)

    def load(self) -> None:
        """Continue from the checkpoint.

        Raises:
            ValueError: If it was made with other settings.
        """
        state = load_checkpoint(self.checkpoint, self.device)
        with checkpoint_of(self.checkpoint):
            # through the settings, so that one that is new since then has its default
            kept = TrainSettings.model_validate_json(state["settings"])
            if _fixed(kept.model_dump()) != _fixed(self.settings.model_dump()):
                raise ValueError(
                    f"out: {self.checkpoint} was made with other settings; give another --out folder or "
                    "delete it"
                )
            for name, part in {"network": self.network, "average": self.average, **self.state()}.items():
                part.load_state_dict(state[name])
            self.step = int(state["step"])

    def _is_current(self) -> bool:
        """Whether the stages before were where they are now when the checkpoint was made."""
        kept = load_checkpoint(self.checkpoint, mmap=True)
        return bool(kept.get("before", self.before) == self.before)

    def seed(self) -> None:
        """Let torch draw what it drew at this step of an unbroken run."""
        torch.manual_seed((self.settings.seed * 1_000_003 + self.step) * 7 + self.number)

    def _step(self, batch: Batch) -> dict[str, float]:
        for optimizer, rate in self.optimizer_of_rate():
            for group in optimizer.param_groups:
                group["lr"] = rate * _schedule(self.step, self.stage)
        self.seed()
        with branches_in(self._branches):
            values = self.train_step(batch.to(self.device))
        self.step += 1
        self._check(values)
        decay = min(self.stage.ema, (1 + self.step) / (10 + self.step))
        new, kept = (part.parameters() for part in self.trained)
        with torch.no_grad():
            for b, a in zip(kept, new, strict=True):
                b.lerp_(a, 1 - decay)
        return values

    @property
    def _is_sound(self) -> bool:
        """Whether the weights are worth keeping."""
        return self._lost < _DOUBTED

    def _check(self, values: dict[str, float]) -> None:
        """Refuse to go on where nothing has been learned from several batches in a row."""
        found = [values["loss"], values.get("distortion", 0.0)]
        lost = not np.isfinite(found).all() or found[1] > _LOST
        self._lost = self._lost + 1 if lost else 0
        if self._lost >= _LOST_STEPS:
            kept = (
                f"{self.checkpoint} is from before" if self.checkpoint.is_file() else "nothing is kept of it"
            )
            raise TrainingDiverged(
                f"learning_rate: the error of {self.folder.name} has grown without bound by step "
                f"{self.step}, at a learning rate of {self.stage.learning_rate:g}; {kept}; try half of the "
                "learning rate, or a longer warm_up, in another folder"
            )


def _means(rows: list[dict[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def stage_name(number: int, stage: Stage) -> str:
    """Name of a stage's folder; ``number`` is its place among the stages."""
    return f"{number + 1}-{stage.kind}"


def _fixed(value: Any) -> Any:
    """Settings as plain values, without what may change between runs."""
    if isinstance(value, dict):
        return {k: _fixed(v) for k, v in value.items() if k not in _FREE}
    return [_fixed(v) for v in value] if isinstance(value, list | tuple) else value


def _schedule(step: int, stage: Stage) -> float:
    """Linear warm-up, then constant, or by a cosine to ``final_rate``."""
    if step < stage.warm_up:
        return (step + 1) / stage.warm_up
    if stage.schedule == "constant":
        return 1.0
    done = (step - stage.warm_up) / max(1, stage.steps - stage.warm_up)
    return stage.final_rate + (1 - stage.final_rate) * 0.5 * (1 + float(np.cos(np.pi * min(done, 1.0))))
