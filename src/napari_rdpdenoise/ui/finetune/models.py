"""Where the user's own models lie, and which there are. No Qt here, and no torch."""

from __future__ import annotations

import os
import re
from pathlib import Path

__all__ = ["ENVIRONMENT", "folder_hint", "model_name", "tuned_folder", "tuned_models"]

ENVIRONMENT = "RDPDENOISE_MODELS"


def tuned_folder() -> Path:
    """Folder of the user's models: RDPDENOISE_MODELS if set, else in the platform's folder for user data."""
    if chosen := os.environ.get(ENVIRONMENT):
        return Path(chosen).expanduser()
    from platformdirs import user_data_path

    return user_data_path("napari-rdpdenoise", appauthor=False) / "models"


def tuned_models(folder: Path | None = None) -> dict[str, Path]:
    """Finished models by the name of their folder, in a folder of models; None for the user's."""
    where = folder or tuned_folder()
    try:
        cards = sorted(where.glob("*/card.yaml"))
    except OSError:  # of another user, or gone
        return {}
    return {card.parent.name: card.parent for card in cards if (card.parent / "model.safetensors").is_file()}


def model_name(layer: str, kind: str) -> str:
    """A folder's name for a layer's model, of letters that every file system takes."""
    plain = re.sub(r"[^\w.-]+", "-", layer).strip("-.")[:40]
    return f"{plain or 'images'}-{kind}"


def folder_hint(out: Path) -> str:
    """What is in the folder of a training, in words; empty for a new one."""
    if (out / "training" / "run.json").is_file():
        if (out / "card.yaml").is_file():
            return "There is a model of this name: training goes on from where it ended."
        if (out / "report.txt").is_file():
            return (
                "There is a training of this name, whose model was no better: it goes on from where it ended."
            )
        return "There is an unfinished training of this name: it goes on from where it stopped."
    if (out / "card.yaml").exists() or (out / "model.safetensors").exists():
        return "There is another model in this folder, which is not written over: choose another name."
    return ""
