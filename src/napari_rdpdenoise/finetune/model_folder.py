"""A tuned model as a folder with card and weights, which command line, dock and Python load.

And who may write there: nobody where a shipped or another model is.
"""

from __future__ import annotations

import hashlib
import shutil
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import yaml

from napari_rdpdenoise._version import __version__
from napari_rdpdenoise.codec.card import ModelCard
from napari_rdpdenoise.codec.library import MODELS_FOLDER, find
from napari_rdpdenoise.files import atomic
from napari_rdpdenoise.finetune.guard import Verdict
from napari_rdpdenoise.finetune.plan import Plan
from napari_rdpdenoise.train.log import TrainingLog

_KINDS = {
    "unpaired": "to unpaired clean references",
    "pairs": "to pairs of images",
    "zeroshot": "to noisy images alone",
}


def refuse_folder(folder: Path) -> None:
    """Refuse a folder that must not be written to.

    Raises:
        ValueError: if it is a shipped model's, or holds a model that no fine-tuning made.
    """
    if _is_shipped(folder):
        raise ValueError(
            f"out: expected a folder of your own, found a shipped model's at {folder}; choose another"
        )
    foreign = [name for name in ("card.yaml", "model.safetensors") if (folder / name).exists()]
    if foreign and not (folder / "training" / "run.json").is_file():
        raise ValueError(
            f"out: expected a new folder, found another model's {foreign[0]} in {folder}; choose another"
        )


def write_model(folder: Path, weights: Path, plan: Plan, verdict: Verdict, log: TrainingLog) -> None:
    """Write ``model.safetensors`` and ``card.yaml``; the card last, since it names the weights' digest."""
    with atomic(folder / "model.safetensors") as fresh:
        shutil.copyfile(weights, fresh)
    start = find(plan.settings.model).card
    card = ModelCard(
        name=folder.resolve().name,
        description=f"{start.name} adapted {_KINDS[plan.kind]} of one user",
        licence=f"not stated: the licences of {start.name} and of the images decide",
        sha256=hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest(),
        network=plan.train.network,
        trained_range=start.trained_range,
        training={
            "start": {"model": start.name, "sha256": start.sha256},
            "kind": plan.kind,
            "settings": plan.settings.model_dump(mode="json"),
            "images": plan.images,
            "rate of the noise": plan.rate,
            "steps": verdict.step,
            "hours": round(log.seconds / 3600, 3),
            "finished": datetime.now(UTC).date().isoformat(),
            "curves": "training.jsonl, training.png",
            "software": {"napari-rdpdenoise": __version__, "torch": version("torch")},
        },
        measured={
            "held-out parts of the user's images, before": _rounded(verdict.before),
            "held-out parts of the user's images, after": _rounded(verdict.after),
            "verdict": list(verdict.words),
        },
        limitations=("made for the images it was tuned on; check it before using it on others",),
    )
    with atomic(folder / "card.yaml") as fresh:
        fresh.write_text(
            yaml.safe_dump(card.model_dump(mode="json"), sort_keys=False, allow_unicode=True),
            encoding="utf-8",
        )


def _rounded(figures: dict[str, float]) -> dict[str, float]:
    return {name: float(f"{value:.4g}") for name, value in figures.items()}


def _is_shipped(folder: Path) -> bool:
    """Whether a folder is, or lies in, the folder of the shipped models."""
    where = folder.resolve()
    return any(root == where or root in where.parents for root in (MODELS_FOLDER, MODELS_FOLDER.resolve()))
