"""Numbers of the network: float32, or bfloat16 where the machine multiplies these faster.

bfloat16 keeps 8 bits. What is exact enough beside the noise in a dim image is not in a bright one, whose
stabilised values reach 450 noise standard deviations. So only the branches of residual blocks are computed in
it (`nn.layers.branches_in`): what they add is small, and a decode moves by less than .05 noise standard
deviations (root mean square) at any light. In the encoder rounding turns symbols over, the more the brighter
the image. Neither answer is nearer to the truth, but they differ; so tiles that reach beyond `MOST` are
encoded in float32 throughout. Each is judged by its own pixels: neither order nor batch changes what becomes
of it. Entropy model and bitstream are always computed in float32.

Measured by ``python benchmarks/run.py precision``.
"""

from __future__ import annotations

import os
from typing import Literal, cast, get_args

import torch
from torch import Tensor

from napari_rdpdenoise.codec.normalization import UNIT
from napari_rdpdenoise.nn.layers import branches_in
from napari_rdpdenoise.nn.network import Frames, RdpNetwork

Precision = Literal["float32", "bfloat16"]

VARIABLE = "RDPDENOISE_PRECISION"
"""Environment variable that says what "auto" is."""

MOST = 64.0
"""Distance from the centre, noise standard deviations, up to which a tile is encoded in bfloat16.

Up to it results move by .05 noise standard deviations in the mean and .16 at most (root mean square), and
their error by less than .05 dB; without it they would move by up to .45.
"""


def choose_precision(asked: Literal["auto", "float32", "bfloat16"], device: str) -> Precision:
    """Resolve "auto", and refuse what a device does not have.

    The environment variable ``RDPDENOISE_PRECISION`` says what "auto" is, for results that are the same on
    machines of several kinds.

    Args:
        asked: Precision of the settings.
        device: Name of the torch device.

    Raises:
        ValueError: If bfloat16 is asked of a device other than CPU or CUDA, or the variable is neither.
    """
    if asked == "auto" and (fixed := os.environ.get(VARIABLE)):
        if fixed not in get_args(Precision):
            raise ValueError(
                f"{VARIABLE}: expected float32 or bfloat16, found {fixed!r}; set one of them, or none"
            )
        asked = cast(Precision, fixed)
    if asked == "auto":
        return "bfloat16" if is_faster(device) else "float32"
    if asked == "bfloat16" and device not in ("cpu", "cuda"):
        raise ValueError(
            f"precision: expected float32 or auto on the device {device}, found bfloat16; choose one of "
            "them, or the device cpu or cuda"
        )
    return asked


def is_faster(device: str) -> bool:
    """Whether bfloat16 is faster than float32 on a device, as PyTorch tells it.

    On a CPU its matrix unit (AMX) makes it so, or instructions for vectors of bfloat16 (AVX512-BF16), which
    do twice as many multiplications as those of float32.
    """
    if device == "cuda":
        return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    if device != "cpu" or not torch.backends.mkldnn.is_available():
        return False
    return any(_cpu_has(feature) for feature in ("amx_tile", "avx512_bf16"))


def _cpu_has(feature: str) -> bool:
    """Whether the CPU has a feature that this version of PyTorch knows of."""
    ask = getattr(torch.cpu, f"_is_{feature}_supported", None)
    return ask is not None and bool(ask())


def device_words(device: str, precision: Precision) -> str:
    """A device, and the numbers it computes with if these are not float32, in words."""
    return device if precision == "float32" else f"{device}, {precision}"


def branch_type(precision: Precision) -> torch.dtype | None:
    """Type of numbers that `branches_in` takes."""
    return torch.bfloat16 if precision == "bfloat16" else None


def analysed(network: RdpNetwork, frames: Frames, scale: float, precision: Precision) -> tuple[Tensor, ...]:
    """Features of frames by kind, of bright ones in float32 throughout.

    Args:
        network: Network of the codec.
        frames: Batch in network units.
        scale: Factor on stabilised values, `Normalization.scale`.
        precision: Precision of the codec.
    """
    if precision == "float32":
        return network.analysis(*frames)
    bright = frames.planes.abs().flatten(1).amax(1) * (UNIT / scale) > MOST
    if not bright.any():
        return _in_type(network, frames, torch.bfloat16)
    if bright.all():
        return network.analysis(*frames)
    parts = [
        _in_type(network, _chosen(frames, which), dtype)
        for which, dtype in ((~bright, torch.bfloat16), (bright, None))
    ]
    order = torch.argsort(torch.cat([(~bright).nonzero(), bright.nonzero()])[:, 0])
    return tuple(torch.cat(kind)[order] for kind in zip(*parts, strict=True))


def _in_type(network: RdpNetwork, frames: Frames, dtype: torch.dtype | None) -> tuple[Tensor, ...]:
    with branches_in(dtype):
        features: tuple[Tensor, ...] = network.analysis(*frames)
    return features


def _chosen(frames: Frames, which: Tensor) -> Frames:
    presence = None if frames.presence is None else frames.presence[which]
    return Frames(frames.planes[which], presence)
