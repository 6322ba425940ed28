"""Fine-tuning a model for the dock: from what was chosen to a generator of events.

::

    Task ─▶ events(): Preparing ─▶ Checked ─▶ (Progress | Crop)* ─▶ Done or Failed

Everything slow happens inside the generator, so in the thread that drains it: the import of torch, reading,
checks, training, comparing. Closing it stops within a step and saves; the same task then goes on.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_rdpdenoise.ui.finetune.crop import CropRenderer
from napari_rdpdenoise.ui.finetune.events import Checked, Done, Event, Failed, Preparing, Progress, Task
from napari_rdpdenoise.ui.finetune.pace import Pace
from napari_rdpdenoise.ui.finetune.plan import plan_task

if TYPE_CHECKING:
    from napari_rdpdenoise.finetune.guard import Guard
    from napari_rdpdenoise.finetune.plan import Plan
    from napari_rdpdenoise.finetune.run import FinetuneResult
    from napari_rdpdenoise.train.loop import TrainProgress
    from napari_rdpdenoise.train.trainer import Trainer

__all__ = ["events"]

_PICTURE_S = 5.0  # s between two pictures, at least
_PICTURES = 0.03  # share of the time that they may take
_OVER = 1.15  # times the minutes that are left, from which on steps are left out


def events(task: Task) -> Iterator[Event]:
    """Train as a task says. Never raises: `Failed` is the last event then."""
    try:
        yield Preparing("Reading and checking the images.")
        with _spared_core():
            began = time.monotonic()
            plan, device, notes = plan_task(task)
            run = _TimedTraining(task, plan, device, time.monotonic() - began)
            yield run.checked(notes)
            yield from run.events()
    except Exception as error:
        yield Failed(error)


class _TimedTraining:
    """A training whose number of steps is cut to what the minutes of its task allow, planning included."""

    _trainer: Trainer  # with its guard, from the start of the first step
    _guard: Guard

    def __init__(self, task: Task, plan: Plan, device: str, prepared_s: float) -> None:
        self._task, self._plan, self._device = task, plan, device
        self._pace = Pace(plan.settings.validate_every)
        self._pace.add_start(prepared_s, judged=False)
        self._renderer: CropRenderer | None = None
        self._pictured, self._cost = -np.inf, 0.0

    def checked(self, notes: tuple[str, ...]) -> Checked:
        """What is known before the first step."""
        from napari_rdpdenoise.train.log import TrainingLog, steps_kept

        plan, kept = self._plan, steps_kept(self._task.out / "training")
        rows = TrainingLog(self._task.out / "training.jsonl").entries()
        past = [
            Progress(
                self._done(row["stage"], row["step"]),
                self._all_steps,
                row["values"],
                self._held_out(row["validation"]),
            )
            for row in rows
            if row["step"] <= kept.get(row["stage"], 0)  # what a killed run did beyond is done again
        ]
        return Checked((*notes, *plan.remarks), plan.rate, self._device, plan.goal, tuple(past))

    def events(self) -> Iterator[Event]:
        """Train, with fewer steps from where it shows that not all fit."""
        steps: tuple[int, int] | None = (0, self._stages[0])
        while steps is not None:
            steps = yield from self._stretch()
            if steps is not None:
                self._plan = _with_steps(self._plan, *steps)

    def _stretch(self) -> Generator[Event, None, tuple[int, int] | None]:
        """Train to the end, or to where another number of steps is needed: stage and steps."""
        from napari_rdpdenoise.finetune.run import run_plan

        first = True
        with closing(run_plan(self._plan, self._task.out, self._device, 1, self._started)) as run:
            while True:
                began = time.monotonic()
                try:
                    state = next(run)
                except StopIteration as end:
                    yield from self._ending(end.value)
                    return None
                self._measure(state, time.monotonic() - began, first)
                first = False
                yield self._progress(state)
                yield from self._picture(state)
                if (steps := self._too_many(state)) is not None:
                    return steps

    def _started(self, trainer: Trainer, guard: Guard) -> None:
        self._trainer, self._guard = trainer, guard

    # Time

    def _measure(self, state: TrainProgress, seconds: float, first: bool) -> None:
        stage = _number(state.stage)
        if first:
            self._pace.add_start(seconds, judged=len(self._guard.rows) == 1)
        elif state.validation:
            self._pace.add_validation(stage, seconds)
        else:
            self._pace.add_step(stage, seconds)

    def _todo(self, state: TrainProgress) -> list[tuple[int, int]]:
        """Stages and their steps from here on."""
        now = _number(state.stage)
        later = [(stage, steps) for stage, steps in enumerate(self._stages) if stage > now]
        return [(now, state.steps - state.step), *later]

    def _too_many(self, state: TrainProgress) -> tuple[int, int] | None:
        """The stage and how many steps it can have in all, where those planned take too long."""
        stage, todo = _number(state.stage), self._todo(state)
        if self._task.minutes is None or not self._pace.known(stage) or todo[0][1] <= 1:
            return None
        share = todo[0][1] / sum(steps for _, steps in todo)
        room = max(60 * self._task.minutes - self._pace.spent, 0.0) * share
        if (self._pace.left(todo[:1]) or 0.0) <= _OVER * room:
            return None
        fitting = self._pace.fitting(stage, room)
        return (stage, state.step + fitting) if fitting < todo[0][1] else None

    # What is told

    def _progress(self, state: TrainProgress) -> Progress:
        guard = self._guard
        return Progress(
            self._done(state.stage, state.step),
            self._all_steps,
            state.values,
            self._held_out(state.validation),
            self._held_out(guard.rows[0].figures),
            self._judged_step(guard),
            self._pace.left(self._todo(state)),
        )

    def _picture(self, state: TrainProgress) -> Iterator[Event]:
        """The held-out crop, after every validation and now and then between."""
        if self._plan.judge is None and not self._plan.data.validation():
            return
        now = time.monotonic()
        wait = max(_PICTURE_S, self._cost / _PICTURES)
        if now - self._pictured < (_PICTURE_S if state.validation else wait) and state.step < state.steps:
            return
        yield self._crop(state)
        self._pictured = time.monotonic()
        self._cost = self._pictured - now
        self._pace.add_picture(self._cost)

    def _crop(self, state: TrainProgress) -> Event:
        from napari_rdpdenoise.finetune.plan import start_network
        from napari_rdpdenoise.ui.finetune.crop import CropRenderer

        if self._renderer is None:
            self._renderer = CropRenderer(self._plan, start_network(self._plan, self._device))
        assert self._trainer.loop is not None
        return self._renderer(self._trainer.loop.average, self._done(state.stage, state.step))

    def _ending(self, result: FinetuneResult) -> Iterator[Event]:
        from napari_rdpdenoise.codec.device import forget_codec

        forget_codec(self._task.out)
        if self._renderer is not None and self._guard.weights is not None:
            yield self._best_crop(self._renderer, self._guard.weights)
        yield Done(result.verdict.better, result.findings, self._task.out)

    def _best_crop(self, renderer: CropRenderer, weights: Path) -> Event:
        """The crop as the kept weights denoise it: training may have gone on beyond them."""
        from safetensors.torch import load_file

        from napari_rdpdenoise.codec.models import build_network

        network = build_network(self._plan.train.network, load_file(weights)).to(self._device)
        return renderer(network, self._judged_step(self._guard))

    def _judged_step(self, guard: Guard) -> int:
        """The best step among those of all stages, of which the last is judged; 0 for the start."""
        return guard.best.step and guard.best.step + sum(self._stages[:-1])

    def _held_out(self, figures: dict[str, float]) -> float | None:
        """The figure that decides, among those of one validation; None where there is none."""
        goal = self._plan.goal
        if goal == "pairs":
            found = [v for name, v in figures.items() if " psnr@" in name and "realism" not in name]
        else:
            found = [v for name, v in figures.items() if name == goal or name.startswith(f"held-out {goal}@")]
        return float(np.mean(found)) if found else None

    @property
    def _stages(self) -> list[int]:
        return [stage.steps for stage in self._plan.train.stages]

    @property
    def _all_steps(self) -> int:
        return sum(self._stages)

    def _done(self, stage: str, step: int) -> int:
        return sum(self._stages[: _number(stage)]) + step


def _with_steps(plan: Plan, stage: int, steps: int) -> Plan:
    stages = list(plan.train.stages)
    stages[stage] = stages[stage].model_copy(update={"steps": steps})
    name = "realism_steps" if stage else "steps"
    return replace(
        plan,
        train=plan.train.model_copy(update={"stages": tuple(stages)}),
        settings=plan.settings.model_copy(update={name: steps}),
    )


def _number(stage: str) -> int:
    """Place of a stage, from the name of its folder."""
    return int(stage.partition("-")[0]) - 1


@contextmanager
def _spared_core() -> Iterator[None]:
    """Leave one core to the window, where there are several."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(max(1, before - 1))
    try:
        yield
    finally:
        torch.set_num_threads(before)
