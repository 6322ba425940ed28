"""Random numbers for the realism decoder, a function of seed and position alone.

A decoder without them can only repeat itself where the latents are constant: in flat background every
texture that it draws has the period of the latents, 8 px. With numbers that depend on the absolute position,
tiles agree and their order does not matter.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from napari_rdpdenoise.nn.decoders.place import Place

GRAIN_STRIDE = 4  # px per position
_WORDS = 4  # uniform numbers whose sum is taken for a normal one
_SPREAD = float(np.sqrt(12.0 / _WORDS) / 65536)


def grain_of(channels: int, latents: Tensor, places: Sequence[Place] | None) -> Tensor | None:
    """Numbers (b, channels, 2h, 2w) for latents (b, c, h, w); None where a decoder takes none.

    Args:
        channels: Independent numbers per position, 0 for none.
        latents: Decoder input.
        places: Where each sample lies; None draws the numbers with torch's generator, as training does.
    """
    if not channels:
        return None
    if places is None:
        return random_grain(channels, latents)
    shape = 2 * latents.shape[-2], 2 * latents.shape[-1]
    numbers = torch.stack([grain(channels, shape, place) for place in places])
    return numbers.to(latents.device).contiguous(memory_format=torch.channels_last)


def grain(channels: int, shape: tuple[int, int], place: Place) -> Tensor:
    """Numbers of mean 0 and variance 1, nearly normal: float32 (channels, rows, columns).

    Args:
        channels: Independent numbers per position.
        shape: Rows and columns of positions, each `GRAIN_STRIDE` px.
        place: Place of the first one.
    """
    start = place.y // GRAIN_STRIDE, place.x // GRAIN_STRIDE
    rows = np.arange(start[0], start[0] + shape[0], dtype=np.uint64)[None, :, None]
    columns = np.arange(start[1], start[1] + shape[1], dtype=np.uint64)[None, None, :]
    layers = np.arange(channels, dtype=np.uint64)[:, None, None]
    with np.errstate(over="ignore"):
        state = (rows << np.uint64(32)) + (columns << np.uint64(8)) + layers
        mixed = _mix(_mix(state) ^ np.uint64(place.seed % 2**64))
    words = mixed.view(np.uint16).reshape(*mixed.shape, _WORDS).astype(np.float32)
    return torch.from_numpy((words.sum(-1) - np.float32(_WORDS * 32767.5)) * np.float32(_SPREAD))


def random_grain(channels: int, like: Tensor) -> Tensor:
    """The same kind of numbers from torch's generator, for latents (b, c, h, w): (b, channels, 2h, 2w)."""
    batch, _, height, width = like.shape
    words = torch.rand((_WORDS, batch, channels, 2 * height, 2 * width), device=like.device)
    return (words.sum(0) - _WORDS / 2) * float(np.sqrt(12.0 / _WORDS))


def _mix(state: np.ndarray) -> np.ndarray:
    """The finaliser of splitmix64 (Steele, Lea and Flood 2014): every bit of the input moves every other."""
    state = state + np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))
