"""Model cards: what a model is, what it was trained on, under which licences, and what it measured."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, Field

from napari_rdpdenoise._version import __version__
from napari_rdpdenoise.codec.interval import IntervalTable
from napari_rdpdenoise.codec.trained_range import TrainedRange
from napari_rdpdenoise.files import atomic
from napari_rdpdenoise.nn.config import NetworkConfig

_LARGEST = 2**20  # bytes; the longest card takes a few thousand


class ModelCard(BaseModel, frozen=True, extra="forbid"):
    """The ``card.yaml`` of a model folder."""

    name: str = Field(min_length=1)
    description: str
    licence: str = Field(description="of the weights")
    format_version: int = Field(1, ge=1, description="version of the network code the weights need")
    sha256: str = Field(pattern="^[0-9a-f]{64}$", description="of model.safetensors, hexadecimal")
    network: NetworkConfig
    training: dict[str, Any] = Field(
        default_factory=dict, description="data, licences, steps, hours, commands"
    )
    trained_range: TrainedRange | None = Field(
        None, description="light it was trained on, so that users hear of images outside; None: not known"
    )
    intervals: IntervalTable | None = Field(
        None, description="how far pixels are from the truth, of models with a flow decoder; None: not known"
    )
    measured: dict[str, Any] = Field(default_factory=dict, description="figures, each with its command")
    limitations: tuple[str, ...] = ()


def read_card(folder: Path) -> ModelCard:
    """Read a model folder's card.

    Raises:
        FileNotFoundError: If the folder has no card.
        ValueError: If the card is not valid; the message names the field.
    """
    path = folder / "card.yaml"
    if not path.is_file():
        raise FileNotFoundError(
            f"model: {folder} has no card.yaml; a model is a folder with that and model.safetensors"
        )
    if path.stat().st_size > _LARGEST:
        raise ValueError(f"model: expected a card of at most {_LARGEST} bytes, found a larger file at {path}")
    try:
        return ModelCard.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"model: {path} is not a valid card: {error}") from error


def write_card(folder: Path, training: Mapping[str, Any], **fields: Any) -> ModelCard:
    """Write the card of the weights that lie in a folder, with their digest, today's date and the software.

    ``training`` are data, settings, steps and hours as plain values, ``fields`` the others of `ModelCard`.

    Raises:
        FileNotFoundError: If there are no weights.
        ValueError: If a field is missing, unknown or not as described.
    """
    made = {
        "finished": datetime.now(UTC).date().isoformat(),
        "software": {"napari-rdpdenoise": __version__, "torch": version("torch")},
    }
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    card = ModelCard(sha256=digest, training={**training, **made}, **fields)
    card = card.model_copy(update={"format_version": card.network.format})
    text = yaml.safe_dump(card.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    with atomic(folder / "card.yaml") as fresh:
        fresh.write_text(text, encoding="utf-8")
    return card
