"""The row of the coder's tables for each latent, from hyper-latents, in whole numbers that a float32 holds.

Writer and reader must find the same rows whatever machine they run on. Here every product and every sum on
the way is a whole number of small units below 2**24, so that float32 gives it exactly in whatever order it is
added: weights have 7 bits and a sign, activations 8 (so few that even bfloat16, which some machines are told
to multiply with, holds them). Against `nn.exact`, which does the same in float64 and with more bits for
layout 3 of the bitstream, that is 10 times as fast; the rows differ here and there by one, which costs a few
thousandths of the bits at most.

::

    z symbols --1x1 convolution--> LeakyReLU, round --3x3 convolution, scales only--> raw * 256 >= border ?

Activations are rounded to the finest power of two by which all but one in 10,000 of a tile's are below 256.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

RAW_STEP = 1 / 256
"""Raw scales are compared in whole steps of this."""

_WEIGHT, _ACTIVATION = 127, 255  # largest ones, units
_EXACT = 2**24
_BEYOND = 10000  # one activation in so many may be cut
_MANY = 2**18  # activations of which a quarter tells enough
_FINEST, _COARSEST = 9, -8  # powers of 1/2 of an activation's unit
_SLOPE = 0.1  # of the LeakyReLU


class _Whole(NamedTuple):
    """A convolution in whole numbers: real = whole * unit * unit of the input."""

    weight: Tensor  # float32
    bias: Tensor  # float64, real
    unit: Tensor  # float64, a power of two for each output


class ScaleRows:
    """Layers that lead from hyper-latents to raw scales.

    Args:
        first: Convolution of one pixel, then PixelShuffle and LeakyReLU.
        last: Convolution, alone or followed by a PixelShuffle, for each kind of latents; the second half of
            its outputs are scales.
        medians: Means of the hyper-latents (1, channels, 1, 1).

    Raises:
        ValueError: If sums could have more bits than a float32.
    """

    def __init__(self, first: nn.Sequential, last: Sequence[nn.Module], medians: Tensor) -> None:
        self._first, self._shuffle = _whole(first[0], medians.flatten()), first[1]
        sequences = [layer if isinstance(layer, nn.Sequential) else nn.Sequential(layer) for layer in last]
        self._after = [sequence[1:] for sequence in sequences]
        parts = [_half(_whole(sequence[0])) for sequence in sequences]
        self._sizes = [len(part.weight) for part in parts]
        self._last = _Whole(*(torch.cat(fields) for fields in zip(*parts, strict=True)))
        self._last = self._last._replace(weight=_channels_last(self._last.weight))

    @torch.no_grad()
    def __call__(self, z: Tensor) -> list[NDArray[np.float32]]:
        """Raw scales of each kind of latents, (channels, rows, columns), in steps of `RAW_STEP`.

        Args:
            z: Symbols of the hyper-latents (1, channels, rows, columns).
        """
        used = z[0].flatten(1).any(1)  # few: most channels are all 0
        used[0] = True
        first = self._first._replace(weight=self._first.weight[:, used])
        x = _convolved(first, z[:, used].clamp(-_ACTIVATION, _ACTIVATION).float(), 1.0, 1.0)
        x = nn.functional.leaky_relu_(self._shuffle(x), _SLOPE)
        power = _finest(x)
        x = x.mul_(2.0**power).round_().clamp_(-_ACTIVATION, _ACTIVATION)
        raw = _convolved(self._last, x, 2.0**-power, 1 / RAW_STEP)
        kinds = []
        for part, after in zip(raw.split(self._sizes, 1), self._after, strict=True):
            kinds.append(after(part)[0].contiguous().numpy())
        return kinds


def row_borders(scales: Sequence[float], floor: float) -> NDArray[np.int64]:
    """Whole steps of raw scale from which each further row of the tables is taken; rising.

    Args:
        scales: Standard deviations at which it changes, rising.
        floor: Least standard deviation: the scale is ``softplus(raw) + floor``.
    """
    raw = [math.log(math.expm1(scale - floor)) for scale in scales]
    return np.array([math.ceil(value / RAW_STEP) for value in raw], np.int64)


class RowTable:
    """Row of a raw scale by table.

    Args:
        borders: Of `row_borders`.
    """

    def __init__(self, borders: NDArray[np.int64]) -> None:
        self._lowest = int(borders[0]) - 1
        steps = np.arange(self._lowest, int(borders[-1]) + 1)
        self._rows = np.searchsorted(borders, steps, side="right").astype(np.uint8)

    def __call__(self, raw: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Rows of raw scales, steps of `RAW_STEP`."""
        place = np.floor(raw).clip(self._lowest, self._lowest + len(self._rows) - 1)
        return self._rows.take(place.astype(np.int64) - self._lowest)


def _whole(layer: nn.Module, shift: Tensor | None = None) -> _Whole:
    """A layer's weights on a grid for each output; ``shift`` is added to its input, channel by channel."""
    assert isinstance(layer, nn.Conv2d)
    weight = layer.weight.detach().cpu().double()
    flat = weight.flatten(1)
    bias = torch.zeros(len(flat)) if layer.bias is None else layer.bias.detach().cpu()
    bias = bias.double()
    if shift is not None:
        each = shift.cpu().double().repeat_interleave(flat.shape[1] // len(shift))
        # fsum: rounded once, in whatever order it is added
        products = (flat * each).tolist()
        sums = [math.fsum([*row, b]) for row, b in zip(products, bias.tolist(), strict=True)]
        bias = torch.tensor(sums, dtype=torch.float64)
    largest = flat.abs().amax(1).clamp(min=2.0**-40)
    _, exponent = np.frexp((largest / _WEIGHT).numpy())
    unit = torch.from_numpy(np.ldexp(1.0, exponent))  # exact, as a power may not be
    unit = torch.where(largest > _WEIGHT * unit, 2 * unit, unit)
    unit = torch.where(2 * largest <= _WEIGHT * unit, unit / 2, unit)
    rounded = torch.round(flat / unit[:, None])
    if int(rounded.abs().sum(1).max()) * _ACTIVATION >= _EXACT / 2:
        raise ValueError(
            f"model: expected hyper-synthesis weights whose sums are exact in float32, found {flat.shape[1]} "
            "of a size for one output; train with fewer channels"
        )
    return _Whole(rounded.reshape(weight.shape).float(), bias, unit)


def _half(layer: _Whole) -> _Whole:
    """The second half of the outputs."""
    return _Whole(*(field[len(field) // 2 :] for field in layer))


def _convolved(layer: _Whole, x: Tensor, unit: float, scale: float) -> Tensor:
    """Outputs times a power of two, exact but for biases, which are rounded.

    Args:
        layer: Layer.
        x: Whole numbers (float32).
        unit: What one of them stands for, a power of two.
        scale: The power of two.
    """
    units = layer.unit * unit
    bias = torch.round(layer.bias / units).clamp(-_EXACT / 4, _EXACT / 4).float()
    edge = layer.weight.shape[-1] // 2
    found = nn.functional.conv2d(_channels_last(x), layer.weight, bias, padding=edge)
    return found.mul_((units * scale).float()[:, None, None])


def _finest(x: Tensor) -> int:
    """Power of 1/2 of the unit in which all but few activations stay below the limit."""
    size = (x if x.numel() < _MANY else x[..., ::2, ::2]).abs()
    few, largest, power = size.numel() // _BEYOND, float(size.max()), _COARSEST
    while power < _FINEST and largest <= _ACTIVATION * 2.0 ** -(power + 1):
        power += 1
    while power < _FINEST and int(torch.count_nonzero(size > _ACTIVATION * 2.0 ** -(power + 1))) <= few:
        power += 1
    return power


def _channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)
