"""What tells a model from all others, whether its network is loaded or not. Loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from napari_rdpdenoise.codec.card import ModelCard
from napari_rdpdenoise.codec.library import find

__all__ = ["KnownModel", "ModelIdentity", "identity_of"]


class KnownModel(Protocol):
    """A model as far as it is known without its network; a `Codec` is one."""

    @property
    def card(self) -> ModelCard:
        """Card of the model."""

    @property
    def digest(self) -> bytes:
        """16 bytes that identify the weights."""


@dataclass(frozen=True)
class ModelIdentity:
    """A model whose network is not loaded.

    Attributes:
        card: Card of the model.
        digest: 16 bytes that identify the weights, as the card tells of them.
    """

    card: ModelCard
    digest: bytes


def identity_of(model: str | Path) -> ModelIdentity:
    """The model of a name or path; raises as `library.find` does."""
    found = find(model)
    return ModelIdentity(found.card, bytes.fromhex(found.digest))
