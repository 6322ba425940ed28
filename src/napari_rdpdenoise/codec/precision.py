"""Numbers of the network: float32, or bfloat16 where the machine multiplies these faster.

bfloat16 keeps 8 bits. What is exact enough beside the noise in a dim image is not in a bright one, whose
stabilised values reach 450 noise standard deviations. So tiles up to `NEAR` are computed in it throughout;
of all others only the branches of residual blocks (`nn.layers.branches_in`): what they add is small. A
decode moves by .03 noise standard deviations (root mean square) in the mean, .06 at most, at any light. In
the encoder rounding turns symbols over, the more the brighter the image. Neither answer is nearer to the
truth, but they differ; so tiles that reach beyond `MOST` are encoded in float32 throughout. The encoder
judges by the pixels of a tile, each decoder by its block means and by what comes out of it: neither order,
batch nor what else is decoded changes what becomes of it. What a reader must find again, means and scales
of the entropy model and the bitstream, is always computed in float32; of the entropy model only the choice
of the hyper-latents and the count of bits is not.

Measured by ``python benchmarks/run.py precision``.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal, cast, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_rdpdenoise.codec.normalization import UNIT
from napari_rdpdenoise.nn.decoder_names import FLOW
from napari_rdpdenoise.nn.entropy import Counted, Symbols
from napari_rdpdenoise.nn.layers import branches_in, numbers_in
from napari_rdpdenoise.nn.network import Frames, RdpNetwork

Precision = Literal["float32", "bfloat16"]

VARIABLE = "RDPDENOISE_PRECISION"
"""Environment variable that says what "auto" is."""

MOST = 64.0
"""Distance from the centre, noise standard deviations, up to which a tile is encoded in bfloat16.

From `NEAR` up to it results move by .06 to .09 noise standard deviations in the mean and .18 at most (root
mean square), and their error by less than .02 dB; without it they would move by up to .45.
"""


NEAR = 20.0
"""Distance from the centre, noise standard deviations, up to which all of a tile is in bfloat16.

Up to it a decode moves by .02 noise standard deviations (root mean square), with turned symbols by .07 in the
mean and .13 at most, and its error by .01 dB in the mean (of 160 px crops of training images).
"""


_PEAK = 2.0  # pixels usually reach this many times as far as block means; what will be bright is not tried


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


BFLOAT16_VERSION = b"2"
"""What is computed in bfloat16: latents of another version are not those that this one makes."""


def device_words(device: str, precision: Precision) -> str:
    """A device, and the numbers it computes with if these are not float32, in words."""
    return device if precision == "float32" else f"{device}, {precision}"


@contextmanager
def numbers_of(reach: float, precision: Precision) -> Iterator[None]:
    """The numbers that encoder and decoders of an image compute with, in this thread and this context.

    Args:
        reach: Distance of its pixels from the centre at most, noise standard deviations.
        precision: Precision of the codec.
    """
    dim = precision == "bfloat16" and reach <= NEAR
    fast = torch.bfloat16 if precision == "bfloat16" else None
    with numbers_in(fast) if dim else branches_in(fast):
        yield


def encoder_reach(frames: Frames, scale: float) -> list[float]:
    """Distance from the centre of each image or its neighbours at most, noise standard deviations.

    Args:
        frames: Batch in network units.
        scale: Factor on stabilised values, `Normalization.scale`.
    """
    return [float(reach) * (UNIT / scale) for reach in _furthest(frames.planes)]


def encoded(
    network: RdpNetwork, frames: Frames, rates: Tensor, scale: float, precision: Precision
) -> Counted:
    """Symbols of frames, each computed with the numbers that its own pixels allow.

    Args:
        network: Network of the codec.
        frames: Batch in network units.
        rates: Position of each on the gain curve, (b,).
        scale: Factor on stabilised values, `Normalization.scale`.
        precision: Precision of the codec.
    """
    if precision == "float32":
        return network.quantize_and_count(network.analysis(*frames), rates)
    reach = np.array(encoder_reach(frames, scale))
    order: list[int] = []
    parts: list[Counted] = []
    for low, high in itertools.pairwise((-np.inf, NEAR, MOST, np.inf)):
        which = np.flatnonzero((reach > low) & (reach <= high))
        if which.size:
            with numbers_of(high, precision if high <= MOST else "float32"):
                some = frames if which.size == len(reach) else _chosen(frames, which)
                parts.append(network.quantize_and_count(network.analysis(*some), rates[which]))
            order.extend(which)
    if len(parts) == 1:
        return parts[0]
    back = torch.as_tensor(np.argsort(order), device=rates.device)
    symbols, restored = (
        [torch.cat(kind)[back] for kind in zip(*kinds, strict=True)]
        for kinds in zip(*((part.symbols, part.restored) for part in parts), strict=True)
    )
    return Counted(Symbols(*symbols), tuple(restored), torch.cat([part.bits for part in parts])[back])


def decoded(
    given: Callable[[NDArray[np.intp], tuple[str, ...]], dict[str, Tensor]],
    names: tuple[str, ...],
    expected: Sequence[float],
    scales: Sequence[float],
    precision: Precision,
) -> dict[str, Tensor]:
    """Images by decoder, each computed with the numbers that its own pixels allow, whatever else is decoded.

    Where they turn out to be brighter than was expected, they are computed once more. The flow takes steps
    from the fidelity decode: its numbers are always those of bright images.

    Args:
        given: Function that decodes some samples of the batch, by their numbers, with some decoders.
        names: Names of the decoders.
        expected: Distance from the centre that is known of each sample, noise standard deviations.
        scales: Factor on stabilised values of each.
        precision: Precision of the codec.
    """
    every = np.arange(len(expected))
    if precision == "float32":
        return given(every, names)
    known = [np.inf] * len(every)
    return {
        name: _decoded(given, name, known if name == FLOW else expected, np.array(scales)) for name in names
    }


def _decoded(
    given: Callable[[NDArray[np.intp], tuple[str, ...]], dict[str, Tensor]],
    name: str,
    expected: Sequence[float],
    scales: NDArray[np.float64],
) -> Tensor:
    """Images of one decoder in bfloat16, as far as their pixels allow."""
    every = np.arange(len(expected))
    dim = np.array(expected) <= NEAR / _PEAK

    def bright(which: NDArray[np.intp]) -> Tensor:
        with numbers_of(np.inf, "bfloat16"):
            return given(which, (name,))[name]

    if not dim.any():
        return bright(every)
    with numbers_of(NEAR, "bfloat16"):
        fast = given(every[dim], (name,))[name]
    near = _furthest(fast).cpu().numpy() * (UNIT / scales[dim]) <= NEAR
    if near.all() and dim.all():
        return fast
    kept = every[dim][near]
    again = np.setdiff1d(every, kept)
    return torch.cat([fast[near], bright(again)])[np.argsort([*kept, *again])]


def _furthest(images: Tensor) -> Tensor:
    """Largest distance from 0 in each image of a batch (b, ...), (b,)."""
    pixels = images.flatten(1)
    return torch.maximum(pixels.amax(1), -pixels.amin(1))


def _chosen(frames: Frames, which: NDArray[np.intp]) -> Frames:
    presence = None if frames.presence is None else frames.presence[which]
    return Frames(frames.planes[which], presence)
