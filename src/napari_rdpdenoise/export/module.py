"""One TorchScript module, counts to counts: the codec at one rate and realism, without its bytes.

::

    raw (b, 1, h, w) -> stabilised, block means -> [encoder, symbols, decoders] -> counts, means put back
                                                -> structure of the residual put back
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from napari_rdpdenoise.codec import Normalization
from napari_rdpdenoise.export.counts import Grain, Means, Units
from napari_rdpdenoise.export.structure import Structure
from napari_rdpdenoise.nn.decoder_names import on_path
from napari_rdpdenoise.nn.decoders.synthesis import Synthesis
from napari_rdpdenoise.nn.network import STRIDE, RdpNetwork
from napari_rdpdenoise.noise import NoiseModel


@dataclass(frozen=True)
class Fixed:
    """What an exported module does at every run.

    Attributes:
        noise: Noise line of the camera.
        normalization: Normalisation of every image; None to fit centre and scale to each one.
        rate: Position on the gain curve, [0, 1].
        realism: Share of the realism decode, [0, 1].
        seed: Seed of the plane's grain, 64 bits.
        structure: Whether structure that the residual holds goes back.
        saturation: Counts from which on pixels are saturated, so that nothing goes back to them.
    """

    noise: NoiseModel
    normalization: Normalization | None
    rate: float
    realism: float
    seed: int = 0
    structure: bool = False
    saturation: float = float("inf")


def torchscript(network: RdpNetwork, fixed: Fixed) -> bytes:
    """The module as a TorchScript archive; it takes float32 counts (b, 1, h, w) of any size.

    The network is on the CPU, with its weights loaded; its decoders are used as they are: give a copy.
    """
    network = network.eval().requires_grad_(False).to(memory_format=torch.channels_last)
    grain = Grain(network.config.grain_channels if fixed.realism > 0 else 0, fixed.seed)
    names = on_path(fixed.realism)
    for name in set(network.decoders) - set(names):
        delattr(network, name)  # a third of the file
    # the coder's own classes would be named in the archive, which needs their medians alone
    network.hyperprior.bottleneck = _Quantiles(network.hyperprior.bottleneck.quantiles)
    del network.hyperprior.conditional
    passes = _Pass(network, fixed.rate, names)
    example = torch.zeros(1, 1, 4 * STRIDE, 6 * STRIDE), grain(STRIDE, 3 * STRIDE // 2)
    with warnings.catch_warnings(), torch.no_grad():
        # of all that BioImage.IO's programs run, TorchScript alone needs neither this library nor another
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        traced = torch.jit.trace(passes, example, check_trace=False)
        whole = torch.jit.script(_Counts(traced, grain, fixed, network.config.bounded).eval())
        file = io.BytesIO()
        torch.jit.save(whole, file)
    return file.getvalue()


class _Quantiles(nn.Module):
    """What rounding takes of an entropy bottleneck."""

    def __init__(self, quantiles: Tensor) -> None:
        super().__init__()
        self.quantiles = nn.Buffer(quantiles.detach())


class _Pass(nn.Module):
    """Network units (b, 1, h, w) to the decodes (b, 1 or 2, h, w), through the integers of `Codec.encode`.

    A network that sees neighbours is given none: an exported model takes one plane.
    """

    def __init__(self, network: RdpNetwork, rate: float, names: Sequence[str]) -> None:
        super().__init__()
        self.network, self.names = network, names
        self.rate = nn.Buffer(torch.tensor([rate], dtype=torch.float32))

    def forward(self, image: Tensor, grain: Tensor) -> Tensor:
        latents = self.network.rounded(self.network.analysis(image), self.rate)
        numbers = grain.contiguous(memory_format=torch.channels_last)
        decoders = [cast(Synthesis, self.network.decoder(name)) for name in self.names]
        return torch.cat([decoder.synthesize(latents, numbers) for decoder in decoders], 1)


class _Counts(nn.Module):
    """Around the network: units, padding, block means, blend. Missing values stay missing."""

    def __init__(self, network: nn.Module, grain: Grain, fixed: Fixed, bounded: bool) -> None:
        super().__init__()
        self.network, self.grain = network, grain
        self.units, self.means = Units(fixed.noise, bounded), Means()
        given = fixed.normalization
        self.fitted = given is None
        self.center, self.scale = (0.0, 1.0) if given is None else (given.center, given.scale)
        self.realism, self.stride = float(fixed.realism), STRIDE
        self.gives_back, self.saturation = fixed.structure, float(fixed.saturation)
        self.structure = Structure(fixed.noise)

    def forward(self, raw: Tensor) -> Tensor:
        outputs: list[Tensor] = []
        for image in raw:
            counts = image[0].cpu().double()
            missing = torch.logical_not(torch.isfinite(counts))
            usable = torch.logical_not(missing) & (counts < self.saturation)
            result = self.denoise(self.filled(counts, missing), usable, raw.device)
            outputs.append(torch.where(missing, counts.float(), result)[None])
        return torch.stack(outputs).to(raw.device)

    @torch.jit.export
    def denoise(self, counts: Tensor, usable: Tensor, device: torch.device) -> Tensor:
        """One image (h, w), float64 and finite, to float32 counts; nothing goes back where not ``usable``."""
        height, width = counts.shape[0], counts.shape[1]
        t = self.units.stabilize(counts)
        center, scale = self.center, self.scale
        if self.fitted:
            center, scale = self.units.fit(t)
        u = self.padded(self.padded(self.units.normalize(t, center, scale)).t()).t().contiguous()
        numbers = self.grain(u.shape[0] // 4, u.shape[1] // 4)
        decoded = self.network(u[None, None].to(device), numbers.to(device))[0, :, :height, :width].cpu()
        kept = self.means.rounded(self.units.target(self.means.of(counts), center, scale))
        means = self.units.counts(kept, center, scale)
        fidelity = self.means.put_back(self.units.counts(decoded[0], center, scale), means)
        share, texture = torch.zeros_like(fidelity), torch.zeros_like(fidelity)
        if self.gives_back:
            expected = self.units.target(fidelity.double(), 0.0, self.units.unit)
            share, texture = self.structure(t, expected, fidelity, usable)
        result = fidelity
        if self.realism > 0.0:
            realism = self.means.put_back(self.units.counts(decoded[1], center, scale), means)
            result = fidelity + self.realism * (realism - fidelity)
        return result + share * (counts.float() - result) + texture

    @torch.jit.export
    def padded(self, image: Tensor) -> Tensor:
        """Mirrored at its lower end to a multiple of the stride, again and again where it is shorter."""
        length = image.shape[0]
        place = torch.arange((length + self.stride - 1) // self.stride * self.stride) % (2 * length)
        return image[torch.where(place < length, place, 2 * length - 1 - place)]

    @torch.jit.export
    def filled(self, counts: Tensor, missing: Tensor) -> Tensor:
        """The median of what is finite in the place of what is not."""
        if not bool(missing.any()):
            return counts
        if bool(missing.all()):
            return torch.zeros_like(counts)
        ordered = counts[torch.logical_not(missing)].sort()[0]
        half = len(ordered) - 1
        median = (ordered[half // 2] + ordered[(half + 1) // 2]) / 2
        return torch.where(missing, median, counts)
