"""Weights that a training starts from: where they lie, and how a realism decoder is added or left out."""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from napari_rdpdenoise.codec.library import find
from napari_rdpdenoise.nn.decoder_names import FIDELITY, REALISM

__all__ = [
    "broadened",
    "checkpoint_of",
    "deepened",
    "find_weights",
    "load_checkpoint",
    "of_decoder",
    "ranged",
    "widened",
    "with_realism",
    "without",
]

_LAYER = re.compile(r"((?:analysis|fidelity|realism)\.layers\.)(\d+)\.")
_STEM = "analysis.layers.1.weight"
_HALVES = ("hyperprior.synthesis.3.", "hyperprior.detail_synthesis.0.")  # first means, then scales

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


def load_checkpoint(path: Path, device: torch.device | str = "cpu", *, mmap: bool = False) -> dict[str, Any]:
    """Read the state of a training; what is more than numbers and names, such as code, is refused.

    Args:
        path: File that `torch.save` wrote.
        device: Device of its tensors.
        mmap: Whether tensors are read only when they are used.

    Raises:
        ValueError: If it is another file, or a part of one.
    """
    try:
        state = torch.load(path, map_location=device, weights_only=True, mmap=mmap)
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, pickle.UnpicklingError) as error:
        why = str(error).strip().splitlines()[:1] or [type(error).__name__]
        raise ValueError(
            f"out: expected the state of a training in {path}, found another file or a part of one "
            f"({why[0]}); put a whole one there, or delete it to begin that part of the training anew"
        ) from None
    if not isinstance(state, dict):
        raise ValueError(f"out: expected the state of a training in {path}, found other data; delete it")
    return state


@contextmanager
def checkpoint_of(path: Path) -> Iterator[None]:
    """Name the file where what is taken from a checkpoint is not there or does not fit.

    Raises:
        ValueError: If the block raises for such a reason.
    """
    try:
        yield
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        if str(error).startswith("out: "):
            raise
        raise ValueError(
            f"out: {path} is the state of another training ({str(error).splitlines()[0]}); "
            "give another folder, or delete it"
        ) from None


def of_decoder(decoder: str, tensors: Tensors) -> Tensors:
    """The tensors of one decoder; none if there is no such decoder."""
    return {name: value for name, value in tensors.items() if name.startswith(f"{decoder}.")}


def without(decoder: str, tensors: Tensors) -> Tensors:
    """All tensors but those of one decoder."""
    return {name: value for name, value in tensors.items() if not name.startswith(f"{decoder}.")}


def with_realism(tensors: Tensors, *, fresh: bool = False) -> Tensors:
    """Tensors with a realism decoder: their own, or a copy of the fidelity decoder.

    Args:
        tensors: Tensors of a network with a fidelity decoder.
        fresh: Whether to take the copy even where there is a realism decoder.
    """
    if of_decoder(REALISM, tensors) and not fresh:
        return tensors
    copied = {n.replace(FIDELITY, REALISM, 1): v for n, v in of_decoder(FIDELITY, tensors).items()}
    return {**without(REALISM, tensors), **copied}


def following(started: Tensors, tensors: Tensors) -> Tensors:
    """The realism decoder that a run started from, moved by what the fidelity decoder has moved since then.

    A codec that was trained on speaks in other latents. Both decoders began alike, and what one has learned
    of the new latents serves the other (task arithmetic: Ilharco et al. 2023, arXiv 2212.04089). Left as it
    was it begins decibels further from the truth.

    Args:
        started: Tensors of the weights that the run started from.
        tensors: Tensors of now; a fidelity decoder of other layers moves nothing.
    """
    realism = of_decoder(REALISM, started)
    before, now = of_decoder(FIDELITY, started), of_decoder(FIDELITY, tensors)
    if {n: v.shape for n, v in before.items()} != {n: v.shape for n, v in now.items()}:
        return realism
    moved = dict(realism)
    for name, value in now.items():
        twin = name.replace(FIDELITY, REALISM, 1)
        if twin in realism:
            kept = realism[twin]
            moved[twin] = (kept.float() + value.float() - before[name].float()).to(kept.dtype)
    return moved


def deepened(tensors: Tensors, wanted: Tensors) -> Tensors:
    """Tensors of a network of fewer residual blocks as those of one of more, which begins by doing the same.

    The blocks that are there keep their places after the convolution before them; those that are new follow
    them, and add nothing yet (Net2DeeperNet: Chen et al. 2016, arXiv 1511.05641).

    Args:
        tensors: Tensors to start from; returned as they are where they have blocks that are not wanted.
        wanted: Tensors of the untrained network that they are for.
    """
    out = {name: value for name, value in tensors.items() if _LAYER.match(name) is None}
    for prefix in dict.fromkeys(found[1] for found in map(_LAYER.match, tensors) if found):
        old, new = _runs(prefix, tensors), _runs(prefix, wanted)
        if len(old) != len(new) or any(len(one) > len(two) for one, two in zip(old, new, strict=True)):
            return tensors  # of another network: what loads them says what does not fit
        for before, after in zip(old, new, strict=True):
            for layer, at in zip(after, before, strict=False):
                out |= _moved(tensors, f"{prefix}{at}.", f"{prefix}{layer}.")
            for layer in after[len(before) :]:
                block = _moved(wanted, f"{prefix}{layer}.", f"{prefix}{layer}.")
                out |= {n: torch.zeros_like(v) if ".second." in n else v for n, v in block.items()}
    return out


def _runs(prefix: str, tensors: Tensors) -> list[list[int]]:
    """Numbers of a sequence's layers: each convolution with the residual blocks that follow it."""
    runs: list[list[int]] = []
    layers = {int(found[2]) for found in map(_LAYER.match, tensors) if found and found[1] == prefix}
    for layer in sorted(layers):
        if f"{prefix}{layer}.weight" in tensors or not runs:
            runs.append([])
        runs[-1].append(layer)
    return runs


def _moved(tensors: Tensors, old: str, new: str) -> Tensors:
    """Tensors of one layer, as those of another."""
    return {new + n.removeprefix(old): value for n, value in tensors.items() if n.startswith(old)}


def ranged(tensors: Tensors, wanted: Tensors) -> Tensors:
    """Tensors of a network whose rates reach as far as those of another.

    A rate of a network with n anchors lies ``rate * (n - 1)`` anchors from the first: what the two have in
    common stays as it is, with that much more or less of the ``tradeoff``. Further anchors continue the step
    of the last two; those beyond the other's range are left out.

    Args:
        tensors: Tensors to start from.
        wanted: Tensors of the untrained network that they are for.
    """
    gains = {name: value for name, value in tensors.items() if ".log_" in name and name in wanted}
    return tensors | {name: _reaching(value, len(wanted[name])) for name, value in gains.items()}


def _reaching(gains: Tensor, anchors: int) -> Tensor:
    """So many anchors (anchors, channels) of the logarithms of gains."""
    steps = torch.arange(1, max(1, anchors - len(gains) + 1), dtype=gains.dtype)[:, None]
    return torch.cat([gains, gains[-1] + steps * (gains[-1] - gains[-2])])[:anchors]


def broadened(tensors: Tensors, wanted: Tensors) -> Tensors:
    """Tensors of a network of fewer channels as those of one of more, which begins by doing the same.

    New channels begin as in the untrained network, and those that were there do not hear them yet: their
    weights for them are 0, and learn from the first step on (after Net2WiderNet: Chen et al. 2016, arXiv
    1511.05641, which copies channels in their place).

    Args:
        tensors: Tensors to start from; returned as they are where one is larger than it is wanted.
        wanted: Tensors of the untrained network that they are for.
    """
    shared = [name for name in tensors if name in wanted and tensors[name].shape != wanted[name].shape]
    if not all(_fits(tensors[name], wanted[name]) for name in shared):
        return tensors  # of another network: what loads them says what does not fit
    return tensors | {name: _broader(name, tensors[name], wanted[name]) for name in shared}


def _fits(old: Tensor, new: Tensor) -> bool:
    return old.dim() == new.dim() and all(a <= b for a, b in zip(old.shape, new.shape, strict=True))


def _broader(name: str, old: Tensor, like: Tensor) -> Tensor:
    """One tensor of `broadened`; scales and shifts, means and scales are two, one after the other."""
    halves = 2 if name.startswith(_HALVES) or ".modulation." in name else 1
    parts = []
    for before, after in zip(old.chunk(halves), like.to(old.dtype).chunk(halves), strict=True):
        part = after.clone()
        if old.dim() > 1 and ".log_" not in name:  # of gains rows are anchors, which new channels have too
            part[: len(before)] = 0
        part[tuple(slice(size) for size in before.shape)] = before
        parts.append(part)
    return torch.cat(parts)


def widened(tensors: Tensors, wanted: Tensors) -> Tensors:
    """Tensors of a network of the first format as those of one of the second, which begins by doing the same.

    Neighbours have no weight in the stem yet, and details begin as they do without training.

    Args:
        tensors: Tensors to start from.
        wanted: Tensors of the untrained network that they are for.
    """
    new = {name: value for name, value in wanted.items() if ".detail" in name or name.startswith("detail_")}
    out, stem, like = {**new, **tensors}, tensors[_STEM], wanted[_STEM]
    if stem.shape[1] != like.shape[1]:
        out[_STEM] = torch.zeros_like(like)
        out[_STEM][:, stem.shape[1] : 2 * stem.shape[1]] = stem  # the current plane is the second of three
    return out
