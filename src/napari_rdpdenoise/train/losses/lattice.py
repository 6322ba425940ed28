"""How far a texture repeats itself with the period of the latents, or of the last unfolding of the decoder.

LPIPS falls with any fine texture, also with one that is the same in every block of 8x8 or 4x4 px, and the eye
sees that lattice at once. Where its sign or strength follows the content it leaves no fixed pattern behind,
but it still resembles itself one period further on, more than a pixel sooner or later.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

_PERIODS = (4, 8)  # px
_DIRECTIONS = ((1, 0), (0, 1), (1, 1), (1, -1))
_WINDOW = 32  # px of the area in which likeness is taken; areas overlap by half
_COARSE = 5  # px of the mean that is taken off: what is coarser is no lattice
_CHANCE = 0.06  # likeness that noise reaches in an area by itself
_FLOOR = 0.05  # of an image's mean power: areas with less texture than this count less


def repetition(gap: Tensor) -> Tensor:
    """Excess of the correlation at one period over that one pixel sooner and later, beyond chance: (b,).

    Mean over periods, directions and areas; 0 for a texture without a lattice, about 1 for a lattice alone.
    ``gap`` is the difference realism - fidelity (b, 1, h, w) in any unit, at least 64 px each way.
    """
    fine = gap - nn.functional.avg_pool2d(gap, _COARSE, 1, _COARSE // 2, count_include_pad=False)
    power = _near(fine.square().detach())
    power = power + _FLOOR * power.mean((1, 2, 3), keepdim=True) + 1e-8
    found = [_excess(fine, power, period, way) for period in _PERIODS for way in _DIRECTIONS]
    return torch.stack(found).mean(0)


def _excess(fine: Tensor, power: Tensor, period: int, way: tuple[int, int]) -> Tensor:
    before, at, after = (
        _near(fine * torch.roll(fine, (step * way[0], step * way[1]), (2, 3)))
        for step in (period - 1, period, period + 1)
    )
    excess = (at - (before + after) / 2) / power
    return (excess.abs() - _CHANCE).clamp(min=0).mean((1, 2, 3))


def _near(image: Tensor) -> Tensor:
    return nn.functional.avg_pool2d(image, _WINDOW, _WINDOW // 2)
