"""What runs beside ours: single convolutions, and the U-Net of Noise2Void as CAREamics builds it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.common import timed
from napari_rdpdenoise.codec import Codec
from napari_rdpdenoise.codec.precision import choose_precision, numbers_of

ROOF_CHANNELS = (32, 64, 128)


def n2v_unet() -> tuple[nn.Module, str]:
    """CAREamics' own U-Net where it is installed, else one of the same layout; and which of them."""
    try:
        from careamics.models.unet import UNet
    except ImportError:
        return PlainUNet(), "U-Net of CAREamics' N2V layout (own copy, careamics not usable here)"
    network = UNet(conv_dims=2, depth=2, num_channels_init=32, use_batch_norm=True)
    return network, "U-Net of careamics, N2V defaults"


class PlainUNet(nn.Module):
    """Depth 2, 32 channels at first, 3x3 convolutions in pairs, max pooling, bilinear up.

    Args:
        channels: at full resolution.
        batch_norm: after every 3x3 convolution, as in CAREamics.
    """

    def __init__(self, channels: int = 32, batch_norm: bool = True) -> None:
        super().__init__()
        c, norm = channels, batch_norm
        self.down = nn.ModuleList([_pair(1, c, c, norm), _pair(c, 2 * c, 2 * c, norm)])
        self.middle = _pair(2 * c, 4 * c, 2 * c, norm)
        self.up = nn.ModuleList([_pair(4 * c, 2 * c, c, norm), _pair(2 * c, c, c, norm)])
        self.last = nn.Conv2d(c, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(b, 1, h, w) to the same; h and w multiples of 4."""
        kept = []
        for block in self.down:
            kept.append(block(x))
            x = nn.functional.max_pool2d(kept[-1], 2)
        x = self.middle(x)
        for block, skip in zip(self.up, reversed(kept), strict=True):
            x = nn.functional.interpolate(x, scale_factor=2, mode="bilinear")
            x = block(torch.cat([x, skip], 1))
        return self.last(x)


def _pair(inputs: int, between: int, outputs: int, batch_norm: bool) -> nn.Sequential:
    layers: list[nn.Module] = []
    for a, b in ((inputs, between), (between, outputs)):
        layers.append(nn.Conv2d(a, b, 3, padding=1))
        layers += [nn.BatchNorm2d(b)] if batch_norm else []
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


def macs_per_pixel(network: nn.Module, size: int = 64) -> float:
    """Multiply-accumulates per pixel of one pass, convolutions only."""
    total = 0

    def hook(module: Any, _inputs: object, output: Tensor) -> None:
        nonlocal total
        total += output.shape[-1] * output.shape[-2] * module.weight.numel()

    handles = [m.register_forward_hook(hook) for m in network.modules() if isinstance(m, nn.Conv2d)]
    try:
        with torch.inference_mode():
            network(torch.zeros(1, 1, size, size, device=next(network.parameters()).device))
    finally:
        for handle in handles:
            handle.remove()
    return total / size**2


def waiting(device: str) -> Callable[[], None]:
    """A call that returns when the device has finished."""
    return torch.cuda.synchronize if device.startswith("cuda") else lambda: None


def bare_seconds(codec: Codec, size: int, batch: int, repeats: int) -> float:
    """Seconds of encoding (analysis, hyperprior, rounding) and one decode of a prepared, dim tensor.

    In the numbers that precision auto takes.
    """
    network = codec._network  # the bare network is nobody's business but this measurement's
    image = torch.randn(batch, 1, size, size, device=codec.device).to(memory_format=torch.channels_last)
    rate = torch.full((batch,), 0.6, device=codec.device)
    wait, precision = waiting(codec.device), choose_precision("auto", codec.device)

    def call() -> None:
        with torch.inference_mode(), numbers_of(0.0, precision):
            symbols = network.quantize(network.analysis(image), rate)
            network.decode(network.latents(symbols, rate), rate)
            wait()

    return timed(call, repeats)


def unet_seconds(device: str, size: int, batch: int, repeats: int) -> tuple[float, str]:
    """Seconds of one prediction, in the faster of the two memory layouts; and which network it was."""
    network, name = n2v_unet()
    network = network.eval().to(device)
    wait = waiting(device)
    seconds = []
    for layout in (torch.contiguous_format, torch.channels_last):
        image = torch.randn(batch, 1, size, size, device=device).to(memory_format=layout)
        network.to(memory_format=layout)

        def call(image: Tensor = image) -> None:
            with torch.inference_mode():
                network(image)
                wait()

        seconds.append(timed(call, repeats))
    return min(seconds), name


def conv_roof(device: str, repeats: int) -> dict[int, float]:
    """GFLOP/s of a 3x3 convolution, channels-last float32, large batch, by number of channels."""
    roof = {}
    wait = waiting(device)
    for channels in ROOF_CHANNELS:
        conv = nn.Conv2d(channels, channels, 3, padding=1).to(device, memory_format=torch.channels_last)
        size, batch = 128, 16
        x = torch.randn(batch, channels, size, size, device=device).to(memory_format=torch.channels_last)

        def call(conv: nn.Conv2d = conv, x: Tensor = x) -> None:
            with torch.inference_mode():
                conv(x)
                wait()

        flops = 2 * 9 * channels**2 * size**2 * batch
        roof[channels] = flops / timed(call, repeats, warm=2) / 1e9
    return roof


def roof_seconds_per_pixel(codec: Codec, roof: dict[int, float]) -> tuple[float, float]:
    """Seconds per pixel if every convolution ran at the roof of its channels; and MAC per pixel.

    A layer counts at the roof of its own width: the largest measured channel number that is not above the
    larger of its input and output channels (its narrower side would often put it below any roof measured).
    """
    macs: dict[int, float] = {}
    size = 256

    def hook(module: Any, _inputs: object, output: Tensor) -> None:
        work = output.shape[-1] * output.shape[-2] * module.weight.numel()
        width = max(module.in_channels, module.out_channels)
        kind = max((c for c in roof if c <= width), default=min(roof))
        macs[kind] = macs.get(kind, 0.0) + work / size**2

    network = codec._network
    handles = [m.register_forward_hook(hook) for m in network.modules() if isinstance(m, nn.Conv2d)]
    try:
        with torch.inference_mode():
            image = torch.zeros(1, 1, size, size, device=codec.device)
            rate = torch.full((1,), 0.6, device=codec.device)
            symbols = network.quantize(network.analysis(image), rate)
            network.decode(network.latents(symbols, rate), rate)
    finally:
        for handle in handles:
            handle.remove()
    return sum(2 * work / (roof[c] * 1e9) for c, work in macs.items()), sum(macs.values())
