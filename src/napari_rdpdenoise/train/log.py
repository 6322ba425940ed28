"""What a training run leaves beside the weights: a log of its steps, and the model's card made from it."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_rdpdenoise.files import atomic
from napari_rdpdenoise.imports import no_collections

if TYPE_CHECKING:
    from napari_rdpdenoise.train.loop import TrainProgress
    from napari_rdpdenoise.train.trainer import Trainer

_LICENCE = "not stated: the licences of the training images decide"


class TrainingLog:
    """One line of JSON per report, kept over interruptions: what an earlier run wrote is continued."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._continued = False
        self._recount(self.entries())

    @property
    def seconds(self) -> float:
        """Training time of all stages and runs."""
        return sum(self.seconds_by_stage.values())

    def add(self, state: TrainProgress) -> None:
        """Append a report; its seconds count from the start of this process."""
        if not self._continued:
            self._continue(state)
        entry = {**asdict(state), "seconds": self._before.get(state.stage, 0.0) + state.seconds}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
        self._count(entry)

    def _continue(self, state: TrainProgress) -> None:
        """Drop what a killed run reported beyond its checkpoint, and a line that it left unfinished."""
        self._continued = True
        if not self.path.is_file():
            return
        kept = [e for e in self.entries() if e["stage"] != state.stage or e["step"] < state.step]
        with atomic(self.path) as fresh:
            fresh.write_text("".join(json.dumps(entry) + "\n" for entry in kept), encoding="utf-8")
        self._recount(kept)

    def _recount(self, entries: list[dict[str, Any]]) -> None:
        self.seconds_by_stage: dict[str, float] = {}
        self.validation: dict[str, float] = {}
        for entry in entries:
            self._count(entry)
        self._before = dict(self.seconds_by_stage)

    def _count(self, entry: dict[str, Any]) -> None:
        self.seconds_by_stage[entry["stage"]] = float(entry["seconds"])
        self.validation = entry["validation"] or self.validation

    def entries(self) -> list[dict[str, Any]]:
        """All reports so far, each as ``TrainProgress`` has it."""
        if not self.path.is_file():
            return []
        entries = []
        for line in self.path.read_text(encoding="utf-8").splitlines():
            with suppress(ValueError):  # cut off by an interruption
                entry = json.loads(line)
                if isinstance(entry, dict) and entry.keys() >= {
                    "stage",
                    "step",
                    "seconds",
                    "values",
                    "validation",
                }:
                    entries.append(entry)
        return entries


def steps_kept(training: Path) -> dict[str, int]:
    """Steps done at the checkpoint of each stage in a run's folder, by the stage's name."""
    from napari_rdpdenoise.train.weights import checkpoint_of, load_checkpoint

    found = {}
    for path in sorted(training.glob("*/checkpoint.pt")):
        kept = load_checkpoint(path, mmap=True)
        with checkpoint_of(path):
            found[path.parent.name] = int(kept["step"])
    return found


def write_training_card(folder: Path, trainer: Trainer, log: TrainingLog) -> None:
    """Write ``card.yaml`` for the weights in ``folder``; what a person wrote into an earlier card is kept."""
    from napari_rdpdenoise.codec.card import write_card
    from napari_rdpdenoise.codec.trained_range import TrainedRange

    settings, before = trainer.settings, _earlier(folder / "card.yaml")
    noise, folders = settings.noise, ", ".join(s.folder or s.kind for s in settings.sources)
    write_card(
        folder,
        {
            "steps": trainer.steps,
            "hours": round(log.seconds / 3600, 3),
            "device": trainer.device,
            "images": [s.model_dump(mode="json", exclude_defaults=True) for s in settings.sources],
            "settings": settings.model_dump(mode="json", exclude={"sources", "network", "name"}),
        },
        name=settings.name,
        description=before.get("description") or f"trained on {folders}",
        licence=before.get("licence") or _LICENCE,
        network=trainer.network_config,
        trained_range=TrainedRange(
            photons=(noise.photons[0], noise.photons[-1]), read_electrons=noise.read_electrons
        ),
        measured={"held-out training images": {k: round(v, 3) for k, v in log.validation.items()}},
        limitations=tuple(before.get("limitations") or ()),
    )


@no_collections()  # fine-tuning runs in a viewer
def draw_curves(log: TrainingLog, path: Path) -> bool:
    """Plot every reported value and the validation scores over the steps, if matplotlib is there to do it."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return False
    curves = _curves(log.entries())
    if not curves:
        return False
    columns = 3
    rows = -(-len(curves) // columns)
    figure = Figure(figsize=(4.5 * columns, 2.6 * rows), layout="constrained")
    for number, (title, lines) in enumerate(curves.items()):
        axes = figure.add_subplot(rows, columns, number + 1, title=title)
        for label, points in lines.items():
            axes.plot(*zip(*points, strict=True), marker="." if len(points) < 40 else "", label=label)
        if any(lines):
            axes.legend(fontsize="x-small")
    figure.savefig(path, dpi=80)
    return True


def _curves(entries: list[dict[str, Any]]) -> dict[str, dict[str, list[tuple[int, float]]]]:
    """Points by plot (stage and value; source and score) and line."""
    curves: dict[str, dict[str, list[tuple[int, float]]]] = {}
    for entry in entries:
        for name, value in entry["values"].items():
            lines = curves.setdefault(f"{entry['stage']}: {name}", {})
            lines.setdefault("", []).append((entry["step"], value))
        for name, value in entry["validation"].items():
            source, score = name.split(" ", 1)
            score, rate = score.rsplit("@", 1)
            lines = curves.setdefault(f"{entry['stage']}: {source} {score}", {})
            lines.setdefault(f"rate {rate}", []).append((entry["step"], value))
    return curves


def _earlier(path: Path) -> dict[str, Any]:
    import yaml

    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError):
        return {}
    return found if isinstance(found, dict) else {}
