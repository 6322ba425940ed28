"""A guard for each stage of a run: the last one decides, the others say what the next stage starts from."""

from __future__ import annotations

from pathlib import Path

from napari_rdpdenoise.finetune.guard import Guard
from napari_rdpdenoise.finetune.plan import Plan, start_network
from napari_rdpdenoise.nn.network import RdpNetwork
from napari_rdpdenoise.train.loop import Loop, stage_name
from napari_rdpdenoise.train.validation import validate


class StageGuards:
    """Oversees a trainer with a guard for each stage, and keeps them in files.

    That of the last stage, which compares with the start and decides, is ``last`` and lies in the folder
    ``training`` of the run itself, the others' in their stages' folders.
    """

    def __init__(self, plan: Plan, training: Path) -> None:
        self._plan = plan
        self._names = [stage_name(number, stage) for number, stage in enumerate(plan.train.stages)]
        folders = [*(training / name for name in self._names[:-1]), training]
        self._guards = [Guard(folder, plan.goal, plan.settings.patience) for folder in folders]
        self.last = self._guards[-1]

    def begin(self, device: str) -> None:
        """Take the figures of the model to start from, on a torch device, unless an earlier run has."""
        if not self.last.rows:
            network = start_network(self._plan, device)
            scores = validate(network, self._plan.data.validation())
            self.last.begin(self._plan.figures(network, scores) | self._fidelity(network), self._blocks)
        start = self.last.rows[0].figures
        for guard in self._guards[:-1]:  # their networks have no realism decoder to be judged by
            guard.begin({n: v for n, v in start.items() if "realism" not in n and "lpips" not in n})

    def judge(self, loop: Loop, scores: dict[str, float], values: dict[str, float]) -> dict[str, float]:
        """Take the figures of a validation; the scores to report."""
        figures = self._plan.figures(loop.average, scores) | self._fidelity(loop.average)
        self._guards[loop.number].add(loop.step, figures, values, loop.average, self._blocks)
        if self._plan.goal == "pairs":
            return scores
        return {f"held-out {name}@{self._plan.rate:g}": value for name, value in figures.items()}

    def ended(self, loop: Loop) -> bool:
        """Whether its guard says so, or the next stage has begun: what that started from must not change."""
        begun = [loop.folder.parent / n / "checkpoint.pt" for n in self._names[loop.number + 1 :]]
        return self._guards[loop.number].stop() is not None or any(path.is_file() for path in begun)

    def best(self, loop: Loop) -> Path | None:
        """The best weights of a stage; None where the start's are better."""
        return self._guards[loop.number].weights

    def words(self) -> tuple[str, ...]:
        """What became of the stages before the last."""
        said = []
        for name, guard in zip(self._names[:-1], self._guards[:-1], strict=True):
            ended = f" ({reason})" if (reason := guard.stop()) else ""
            kept = f"step {guard.best.step}" if guard.best.step else "the model that the run started from"
            if len(guard.rows) > 1:  # a run from before stages had guards
                said.append(f"stage {name} went on to the next one with {kept}{ended}")
        return tuple(said)

    @property
    def _blocks(self) -> list[float]:
        return [] if self._plan.judge is None else self._plan.judge.blocks

    def _fidelity(self, network: RdpNetwork) -> dict[str, float]:
        """Figures of the fidelity decode, where it learns beside the realism decoder that decides."""
        stage, judge = self._plan.train.stages[-1], self._plan.judge
        if judge is None or stage.kind != "adapt" or stage.decoder != "realism" or stage.learns != "all":
            return {}
        return judge.fidelity_figures(network)
