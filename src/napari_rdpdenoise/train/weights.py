"""Weights that a training starts from: where they lie, and how a realism decoder is added or left out."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from napari_rdpdenoise.codec.library import find
from napari_rdpdenoise.nn.decoder_names import FIDELITY, REALISM

__all__ = ["find_weights", "only_realism", "with_realism", "without_realism"]

Tensors = dict[str, Tensor]
"""Tensors of a network by name; those of a decoder begin with its own name."""


def find_weights(name: str, folder: Path) -> Path:
    """File of the weights that a run starts from.

    Args:
        name: Name of a model of the library, or of a file relative to the data folder.
        folder: Data folder.

    Raises:
        FileNotFoundError: If there is neither.
    """
    if (folder / name).is_file():
        return folder / name
    try:
        return find(name).folder / "model.safetensors"
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"start_from: no file {folder / name}, and {error}; or leave it out"
        ) from error


def only_realism(tensors: Tensors) -> Tensors:
    """The realism decoder's tensors; none if there is no such decoder."""
    return {name: value for name, value in tensors.items() if name.startswith(f"{REALISM}.")}


def without_realism(tensors: Tensors) -> Tensors:
    """All tensors but the realism decoder's."""
    return {name: value for name, value in tensors.items() if not name.startswith(f"{REALISM}.")}


def with_realism(tensors: Tensors, *, fresh: bool = False) -> Tensors:
    """Tensors with a realism decoder: their own, or a copy of the fidelity decoder.

    Args:
        tensors: Tensors of a network with a fidelity decoder.
        fresh: Whether to take the copy even where there is a realism decoder.
    """
    copied = {
        name.replace(FIDELITY, REALISM, 1): value
        for name, value in tensors.items()
        if name.startswith(f"{FIDELITY}.")
    }
    return {**copied, **(without_realism(tensors) if fresh else tensors)}
