"""A fine-tuned model as a folder with card and weights, and which folders a run may write to."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from napari_rdpdenoise.codec.card import write_card
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
    """Refuse the folder of a new model, which need not exist, where it must not be written to.

    Raises:
        ValueError: If it is a shipped model's, or holds a model that no fine-tuning made.
    """
    if any(folder.resolve().is_relative_to(root) for root in (MODELS_FOLDER, MODELS_FOLDER.resolve())):
        raise ValueError(
            f"out: expected a folder of your own, found a shipped model's at {folder}; choose another"
        )
    foreign = [name for name in ("card.yaml", "model.safetensors") if (folder / name).exists()]
    if foreign and not (folder / "training" / "run.json").is_file():
        raise ValueError(
            f"out: expected a new folder, found another model's {foreign[0]} in {folder}; choose another"
        )


def claim_folder(training: Path, plan: Plan) -> None:
    """Mark the folder ``training`` of a run by what decides its result, or find that it is marked so.

    Raises:
        ValueError: If it is another run's.
    """
    free = {"steps", "threads", "patience", "realism_steps"}
    identity = {
        "kind": plan.kind,
        "settings": plan.settings.model_dump(mode="json", exclude=free),
        "images": plan.images,
    }
    path = training / "run.json"
    if path.is_file():
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(
                f"out: expected what a run was asked for in {path}, found another file or a part of one "
                f"({error}); give another folder, or delete {training.parent} to begin anew"
            ) from None
        kept = kept if isinstance(kept, dict) else {}
        if kept != identity:
            different = [name for name in identity if kept.get(name) != identity[name]]
            raise ValueError(
                f"out: {training.parent} holds a run of other {' and '.join(different)}; "
                "give another folder, or delete it"
            )
        return
    training.mkdir(parents=True, exist_ok=True)
    with atomic(path) as fresh:
        fresh.write_text(json.dumps(identity, indent=1), encoding="utf-8")


def write_model(folder: Path, weights: Path, plan: Plan, verdict: Verdict, log: TrainingLog) -> None:
    """Write ``model.safetensors`` and ``card.yaml``; the card last, since it names the weights' digest."""
    with atomic(folder / "model.safetensors") as fresh:
        shutil.copyfile(weights, fresh)
    start = find(plan.settings.model).card
    write_card(
        folder,
        {
            "start": {"model": start.name, "sha256": start.sha256},
            "kind": plan.kind,
            "settings": plan.settings.model_dump(mode="json"),
            "images": plan.images,
            "rate of the noise": plan.rate,
            "steps": verdict.step,
            "hours": round(log.seconds / 3600, 3),
            "curves": "training.jsonl, training.png",
        },
        name=folder.resolve().name,
        description=f"{start.name} fine-tuned {_KINDS[plan.kind]} of one user",
        licence=f"not stated: the licences of {start.name} and of the images decide",
        network=plan.train.network,
        trained_range=start.trained_range,
        measured={
            "held-out parts of the user's images, before": _rounded(verdict.before),
            "held-out parts of the user's images, after": _rounded(verdict.after),
            "verdict": list(verdict.words),
        },
        limitations=("made for the images it was fine-tuned on; check it before using it on others",),
    )


def _rounded(figures: dict[str, float]) -> dict[str, float]:
    return {name: float(f"{value:.4g}") for name, value in figures.items()}
