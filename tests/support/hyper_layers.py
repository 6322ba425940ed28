"""A small hyper-synthesis, and what its convolutions give in integers of any size."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from napari_rdpdenoise.nn.layers import conv


def hyper_layers(seed: int, channels: int, size: float = 1.0) -> tuple[nn.Module, list[nn.Module]]:
    """First part and last layers, of random weights.

    Args:
        seed: Seed of the weights.
        channels: Channels of the second of the last layers, before their pixels are shuffled.
        size: Standard deviation of the weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        first = nn.Sequential(conv(5, 12, kernel=1), nn.PixelShuffle(2), nn.LeakyReLU(0.1, inplace=True))
        last = [conv(3, 4), nn.Sequential(conv(3, channels), nn.PixelShuffle(2))]
        for module in (*first.modules(), *(m for layer in last for m in layer.modules())):
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=size)
    return first, last


def convolved_from_the_end(x: NDArray, weight: NDArray, bias: NDArray) -> NDArray:
    """A convolution in Python's integers, added up in another order than libraries do.

    Args:
        x: Whole numbers (channels, rows, columns), an array of objects.
        weight: Whole numbers (outputs, channels, edge, edge), of odd edge.
        bias: Whole number of each output.

    Returns:
        Whole numbers (outputs, rows, columns), an array of objects.
    """
    edge = weight.shape[-1] // 2
    x = np.pad(x, ((0, 0), (edge, edge), (edge, edge)))
    rows, columns = x.shape[1] - 2 * edge, x.shape[2] - 2 * edge
    out = np.zeros((len(weight), rows, columns), object)
    for channel in range(len(weight)):
        for source in reversed(range(len(x))):
            for i in reversed(range(2 * edge + 1)):
                for j in reversed(range(2 * edge + 1)):
                    part = x[source, i : i + rows, j : j + columns]
                    out[channel] += weight[channel, source, i, j] * part
    return out + bias[:, None, None]
