"""What writer and reader of coded latents must agree on to the last bit, whatever machine they run on.

The range coder itself works in integers. What it is given does not come from integers by itself:

* *tables*: probabilities are computed in float64 and rounded to whole 65536ths before anything else; a
  machine that differs in the last bit of a logarithm or exponential rounds them alike, but for one chance in
  about 10**8 for a whole model (``margin`` measures how near a table comes to a tie).
* *indexes*, the row of the tables for each latent: in layout 3 of the bitstream (else `nn.scale_rows`) the
  layers that lead to them are computed with weights and activations rounded to a grid, so coarse that every
  product and every sum is a whole number of small units below 2**53. Such sums are exact in float64, in
  whatever order they are added, with or without fused multiplications. Borders between rows lie half-way
  between values that can come out.

::

    z symbols + medians --round--> 1x1 convolution --LeakyReLU, round--> 3x3 convolution --> raw > border ?
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import numpy as np
import torch
from scipy import special
from torch import Tensor, nn

_TABLE = 2**16  # units of probability
_ACTIVATION, _LARGEST_ACTIVATION = 2.0**-11, 2.0**9
_WEIGHT, _LARGEST_WEIGHT = 2.0**-16, 2.0**3 - 2.0**-16
_PRODUCT = _ACTIVATION * _WEIGHT  # what sums are whole numbers of


def rounded_probabilities(values: Tensor) -> Tensor:
    """Probabilities (float64) as whole 65536ths."""
    return torch.floor(values.double() * _TABLE + 0.5) / _TABLE


def margin(values: Tensor) -> float:
    """How near probabilities come to a tie of that rounding, in 65536ths; 0.5 at most."""
    place = values.double() * _TABLE + 0.5
    return float((place - torch.round(place)).abs().min())


def gaussian_probabilities(scales: Sequence[float], tail: float) -> tuple[Tensor, Tensor, Tensor]:
    """Probabilities of whole numbers under Gaussians of mean 0, rounded to whole numbers.

    Args:
        scales: Standard deviations.
        tail: Probability of all that is left out.

    Returns:
        Probabilities from the least number on (float64, scales x numbers), of all beyond (float64, scales x
        1), largest number of each (int32).
    """
    sigma = np.asarray(scales, np.float64)[:, None]
    reach = np.ceil(sigma[:, 0] * -special.ndtri(tail / 2)).astype(np.int32)
    away = np.abs(np.arange(2 * reach.max() + 1) - reach[:, None])
    upper, lower = (special.erfc((away + step) / (sigma * math.sqrt(2))) / 2 for step in (-0.5, 0.5))
    return torch.from_numpy(upper - lower), torch.from_numpy(2 * lower[:, :1]), torch.from_numpy(reach)


class ExactLayers:
    """Two convolutions with a LeakyReLU between them, in exact arithmetic.

    Args:
        first: Layers up to the last one: a convolution, then PixelShuffle and LeakyReLU.
        last: Layers after that: one sequence or convolution for each kind of latents.
    """

    def __init__(self, first: nn.Sequential, last: Sequence[nn.Module]) -> None:
        self._first = nn.ModuleList(_on_grid(layer) for layer in first)
        self._last = nn.ModuleList(_on_grid(layer) for layer in last)

    @torch.no_grad()
    def __call__(self, z_hat: Tensor) -> list[Tensor]:
        """What each of the last layers makes of hyper-latents (float64): whole numbers of a 2**-27th."""
        x = _activation(z_hat)
        for layer in self._first:
            x = layer(x)
        x = _activation(x)
        return [layer(x) for layer in self._last]


def borders_between(scales: Sequence[float], floor: float) -> Tensor:
    """Raw scales at which the row of the tables changes, for ``softplus(raw) + floor`` (float64).

    Each lies half-way between two values that `ExactLayers` can give.

    Args:
        scales: Standard deviations at which it changes, rising.
        floor: Least standard deviation.
    """
    raw = [math.log(math.expm1(scale - floor)) for scale in scales]
    return torch.tensor(
        [(math.floor(value / _PRODUCT) + 0.5) * _PRODUCT for value in raw], dtype=torch.float64
    )


def _activation(x: Tensor) -> Tensor:
    return (torch.round(x / _ACTIVATION) * _ACTIVATION).clamp(-_LARGEST_ACTIVATION, _LARGEST_ACTIVATION)


def _on_grid(layer: nn.Module) -> nn.Module:
    """A copy in float64 on the CPU with weights on the grid.

    Raises:
        ValueError: If sums could have more bits than a float64.
    """
    layer = copy.deepcopy(layer).cpu().double()
    for module in layer.modules():
        if not isinstance(module, nn.Conv2d):
            continue
        with torch.no_grad():
            weight = torch.round(module.weight / _WEIGHT) * _WEIGHT
            module.weight.copy_(weight.clamp(-_LARGEST_WEIGHT, _LARGEST_WEIGHT))
            if module.bias is not None:
                module.bias.copy_(torch.round(module.bias / _PRODUCT) * _PRODUCT)
            bias = torch.zeros(1) if module.bias is None else module.bias.abs()
            largest = module.weight.abs().flatten(1).sum(1) * _LARGEST_ACTIVATION + bias
        if float(largest.max()) >= 2.0**53 * _PRODUCT:
            raise ValueError(
                f"model: expected hyper-synthesis weights whose sums are exact in float64, found sums up to "
                f"{float(largest.max()):.3g}; train with smaller weights"
            )
    return layer
