"""Building blocks: convolutions, residual block, the numbers they compute with, and gains for every rate."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

_SLOPE = 0.1  # of the LeakyReLU of residual blocks


def conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Conv2d:
    """Convolution that keeps the size (divided by ``stride``)."""
    if kernel == stride == 1:
        return Pointwise(inputs, outputs, 1)
    return Convolution(inputs, outputs, kernel, stride, kernel // 2)


class Convolution(nn.Conv2d):
    """Convolution whose numbers `numbers_in` chooses."""

    def forward(self, input: Tensor, half: int | None = None, inputs: slice | None = None) -> Tensor:
        """All outputs, or the first (0) or the second half (1) of them.

        With ``inputs`` only these channels are given, and all others are 0.
        """
        weight, bias = self.weight if inputs is None else self.weight[:, inputs], self.bias
        if half is not None:
            middle = self.out_channels // 2
            which = slice(middle, None) if half else slice(middle)
            weight, bias = weight[which], None if bias is None else bias[which]
        return self._convolved(input, weight, bias)

    def _convolved(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if (dtype := _numbers.get().all) is not None:
            input, weight, bias = input.to(dtype), weight.to(dtype), None if bias is None else bias.to(dtype)
        return self._conv_forward(input, weight, bias)


class Pointwise(nn.Conv2d):
    """Convolution of one pixel, as one product of matrices.

    PyTorch's own gives up the order of memory that all others keep when it runs in one thread: two copies of
    every activation that follows.
    """

    def forward(self, input: Tensor) -> Tensor:
        pixels, weight, bias = input.permute(0, 2, 3, 1), self.weight.flatten(1), self.bias
        if (dtype := _numbers.get().all) is not None:
            pixels, weight, bias = (
                pixels.to(dtype),
                weight.to(dtype),
                None if bias is None else bias.to(dtype),
            )
        return nn.functional.linear(pixels, weight, bias).permute(0, 3, 1, 2)


def start_small(layer: nn.Conv2d) -> None:
    """Make a convolution begin near nothing, so that a network trained without it goes on as it was."""
    with torch.no_grad():
        layer.weight.mul_(0.1)
        if layer.bias is not None:
            layer.bias.zero_()


def in_turn(layers: nn.Sequential, x: Tensor) -> Tensor:
    """Layers one after the other: a part of a sequence, which traced modules cannot call as one."""
    for layer in layers:
        x = layer(x)
    return x


class _Numbers(NamedTuple):
    """Types of floating-point numbers; None for that of the input."""

    branches: torch.dtype | None = None
    all: torch.dtype | None = None


_AS_GIVEN = _Numbers()
_numbers: ContextVar[_Numbers] = ContextVar("numbers", default=_AS_GIVEN)


@contextmanager
def branches_in(dtype: torch.dtype | None) -> Iterator[None]:
    """Compute what residual blocks add in another type of numbers, in this thread and inside this context.

    Three quarters of all multiplications are there. What runs through the network stays as it is: in bfloat16
    a bright image would be rounded by as much as its noise at every block.

    Args:
        dtype: Type of floating-point numbers, such as ``torch.bfloat16``; None for that of the input.
    """
    with _in(_Numbers(dtype)):
        yield


@contextmanager
def numbers_in(dtype: torch.dtype | None) -> Iterator[None]:
    """Compute everything in another type of numbers, in this thread and inside this context.

    For images that are dim throughout.

    Args:
        dtype: Type of floating-point numbers; None for that of the input.
    """
    with _in(_Numbers(dtype, dtype)):
        yield


@contextmanager
def _in(numbers: _Numbers) -> Iterator[None]:
    token = _numbers.set(numbers)
    try:
        yield
    finally:
        _numbers.reset(token)


def chosen_type(x: Tensor) -> torch.dtype:
    """Type of numbers that layers compute with, given their input; see `numbers_in`."""
    return _numbers.get().all or x.dtype


class ResidualBlock(nn.Module):
    """``x + conv(act(conv(x)))`` without normalisation: absolute intensity must survive.

    See `branches_in` for the type of numbers.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = conv(channels, channels)
        self.act = nn.LeakyReLU(_SLOPE, inplace=True)
        self.second = conv(channels, channels)
        with torch.no_grad():  # start as the identity, so that depth costs nothing at the first steps
            self.second.weight.mul_(0.1)
            nn.init.zeros_(self.second.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        numbers = _numbers.get()
        dtype = x.dtype if numbers.branches is None else numbers.branches
        if dtype == torch.bfloat16 and _fuses(x):
            return self._fused(x)
        if x.dtype == dtype:
            return self.second(self.act(self.first(x))).add_(x)
        with numbers_in(dtype):
            branch = self.second(self.act(self.first(x)))
        return branch.to(x.dtype).add_(x)

    def _fused(self, x: Tensor) -> Tensor:
        """The same where no gradient is wanted: what follows a convolution is done before it is written."""
        if x.dtype == torch.bfloat16:
            return _fused(self.second, _fused(self.first, x, slope=_SLOPE), add=x)
        return _fused(self.second, _fused(self.first, x, slope=_SLOPE)).to(x.dtype).add_(x)


def _fuses(x: Tensor) -> bool:
    """Whether PyTorch has convolutions of bfloat16 on this device that do what follows them, too."""
    return x.device.type == "cpu" and not torch.is_grad_enabled() and _has_fused()


@cache
def _has_fused() -> bool:
    library = torch.ops.mkldnn
    names = ("_convolution_pointwise", "_is_mkldnn_bf16_supported")
    return all(hasattr(library, name) for name in names) and bool(library._is_mkldnn_bf16_supported())


def _fused(layer: nn.Conv2d, x: Tensor, slope: float | None = None, add: Tensor | None = None) -> Tensor:
    """A convolution in bfloat16 with a LeakyReLU behind it, or added to something; channels last.

    Not a part of PyTorch's documented interface, but what its compiler makes of models.
    """
    x, weight, bias = (part.to(torch.bfloat16) for part in (x, layer.weight, cast(Tensor, layer.bias)))
    x, shape = x.contiguous(memory_format=torch.channels_last), (layer.padding, layer.stride, layer.dilation)
    convolve = torch.ops.mkldnn._convolution_pointwise
    if add is not None:
        return cast(
            Tensor, convolve.binary(x, add, weight, bias, *shape, layer.groups, "add", None, None, [], None)
        )
    kind, numbers = ("none", []) if slope is None else ("leaky_relu", [slope])
    return cast(Tensor, convolve.default(x, weight, bias, *shape, layer.groups, kind, numbers, ""))


class RateGains(nn.Module):
    """Per-channel gain and inverse gain, continuous in the rate q in [0, 1].

    Anchor vectors are interpolated exponentially (AG-VAE, Cui et al. 2020, arXiv 2003.02012, eq. 7): a larger
    gain means finer quantisation. The inverse gain is learned apart from the gain.

    Args:
        channels: Number of channels.
        anchors: Number of anchor vectors.
        start: Logarithm of the gain at rates 0 and 1, before training.
    """

    def __init__(self, channels: int, anchors: int, start: tuple[float, float] = (-1.0, 1.5)) -> None:
        super().__init__()
        log_gain = torch.linspace(*start, anchors)[:, None].repeat(1, channels)
        self.log_gain = nn.Parameter(log_gain.clone())
        self.log_inverse = nn.Parameter(-log_gain.clone())

    def forward(self, rate: Tensor) -> tuple[Tensor, Tensor]:
        """Gain and inverse gain, each (batch, channels, 1, 1), for ``rate`` of shape (batch,)."""
        position = rate.clamp(0.0, 1.0) * (self.log_gain.shape[0] - 1)
        low = position.floor().long().clamp(max=self.log_gain.shape[0] - 2)
        share = (position - low)[:, None]
        gain = torch.lerp(self.log_gain[low], self.log_gain[low + 1], share)
        inverse = torch.lerp(self.log_inverse[low], self.log_inverse[low + 1], share)
        return gain.exp()[:, :, None, None], inverse.exp()[:, :, None, None]
