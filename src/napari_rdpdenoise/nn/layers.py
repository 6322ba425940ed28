"""Building blocks: residual block and the gains that make one network cover every rate."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor, nn


def conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Conv2d:
    """Convolution that keeps the size (divided by ``stride``)."""
    if kernel == stride == 1:
        return Pointwise(inputs, outputs, 1)
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2)


class Pointwise(nn.Conv2d):
    """Convolution of one pixel, as one product of matrices.

    PyTorch's own gives up the order of memory that all others keep when it runs in one thread: two copies of
    every activation that follows.
    """

    def forward(self, input: Tensor) -> Tensor:
        pixels = input.permute(0, 2, 3, 1)
        return nn.functional.linear(pixels, self.weight.flatten(1), self.bias).permute(0, 3, 1, 2)


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


_branches: ContextVar[torch.dtype | None] = ContextVar("branches", default=None)


@contextmanager
def branches_in(dtype: torch.dtype | None) -> Iterator[None]:
    """Compute what residual blocks add in another type of numbers, in this thread and inside this context.

    Three quarters of all multiplications are there. What runs through the network stays as it is: in bfloat16
    a bright image would be rounded by as much as its noise at every block.

    Args:
        dtype: Type of floating-point numbers, such as ``torch.bfloat16``; None for that of the input.
    """
    token = _branches.set(dtype)
    try:
        yield
    finally:
        _branches.reset(token)


class ResidualBlock(nn.Module):
    """``x + conv(act(conv(x)))`` without normalisation: absolute intensity must survive.

    See `branches_in` for the type of numbers.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = conv(channels, channels)
        self.act = nn.LeakyReLU(0.1, inplace=True)
        self.second = conv(channels, channels)
        with torch.no_grad():  # start as the identity, so that depth costs nothing at the first steps
            self.second.weight.mul_(0.1)
            nn.init.zeros_(self.second.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        dtype = _branches.get()
        if dtype is None:
            return self.second(self.act(self.first(x))).add_(x)
        with torch.autocast(x.device.type, dtype):
            branch = self.second(self.act(self.first(x)))
        return branch.to(x.dtype).add_(x)


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
