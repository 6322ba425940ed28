"""What a training run leaves beside the weights: a log of its steps, and the model's card made from it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_rdpdenoise import __version__

if TYPE_CHECKING:
    from napari_rdpdenoise.train.trainer import Trainer, TrainProgress

_LICENCE = "not stated: the licences of the training images decide"


class TrainingLog:
    """One line of JSON per report, kept over interruptions.

    Args:
        path: of the log; what an earlier run wrote there is continued.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.seconds = 0.0
        self.validation: dict[str, float] = {}
        for entry in self._entries():
            self._take(entry)
        self._before = self.seconds

    def add(self, state: TrainProgress) -> None:
        """Append a report; its seconds count from the start of this process."""
        entry = {**asdict(state), "seconds": self._before + state.seconds}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
        self._take(entry)

    def _take(self, entry: dict[str, Any]) -> None:
        self.seconds = float(entry["seconds"])
        self.validation = entry["validation"] or self.validation

    def _entries(self) -> list[dict[str, Any]]:
        if not self.path.is_file():
            return []
        entries = []
        for line in self.path.read_text(encoding="utf-8").splitlines():
            try:
                entries.append(json.loads(line))
            except ValueError:  # cut off by an interruption
                continue
        return entries


def write_card(folder: Path, trainer: Trainer, log: TrainingLog) -> None:
    """Write ``card.yaml`` for the weights in ``folder``; what a person wrote into an earlier card is kept.

    Args:
        folder: with ``model.safetensors``.
        trainer: that made them.
        log: of all its runs.
    """
    import yaml

    from napari_rdpdenoise.codec.card import ModelCard

    settings = trainer.settings
    before = _earlier(folder / "card.yaml")
    card = ModelCard(
        name=settings.name,
        description=before.get("description")
        or f"trained on {', '.join(s.folder for s in settings.sources)}",
        licence=before.get("licence") or _LICENCE,
        sha256=hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest(),
        network=settings.network,
        training={
            "steps": trainer.step,
            "hours": round(log.seconds / 3600, 3),
            "device": trainer.device,
            "finished": datetime.now(UTC).date().isoformat(),
            "images": [s.model_dump(mode="json", exclude_defaults=True) for s in settings.sources],
            "settings": settings.model_dump(mode="json", exclude={"sources", "network", "name"}),
            "software": {"napari-rdpdenoise": __version__, "torch": version("torch")},
        },
        measured={"held-out training images": {k: round(v, 3) for k, v in log.validation.items()}},
        limitations=tuple(before.get("limitations") or ()),
    )
    beside = folder / "card.yaml.new"
    beside.write_text(
        yaml.safe_dump(card.model_dump(mode="json"), sort_keys=False, allow_unicode=True), encoding="utf-8"
    )
    beside.replace(folder / "card.yaml")


def _earlier(path: Path) -> dict[str, Any]:
    import yaml

    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError):
        return {}
    return found if isinstance(found, dict) else {}
