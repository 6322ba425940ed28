"""The codec network: one encoder, gains, entropy model, and decoders by name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from napari_rdpdenoise.nn.analysis import Analysis
from napari_rdpdenoise.nn.config import NetworkConfig
from napari_rdpdenoise.nn.decoder_names import FIDELITY, FLOW, check_decoders
from napari_rdpdenoise.nn.decoders.decoder import Decoder, build_decoders
from napari_rdpdenoise.nn.decoders.flow import Flow, pixel_noise
from napari_rdpdenoise.nn.decoders.place import Place
from napari_rdpdenoise.nn.decoders.sampling import PLAIN, Sampling
from napari_rdpdenoise.nn.entropy import Counted, Hyperprior, Symbols
from napari_rdpdenoise.nn.layers import RateGains

STRIDE = 16  # image sizes handed to the network are multiples of this, px


class TrainOutput(NamedTuple):
    """Decoded image (b, 1, h, w) and the bits of each sample (b,)."""

    image: Tensor
    bits: Tensor


class Coded(NamedTuple):
    """Decoder input by kind as the integers give it back, and the bits of each sample (b,)."""

    latents: tuple[Tensor, ...]
    bits: Tensor


class Frames(NamedTuple):
    """What is encoded: planes (b, 3, h, w), or the current one alone (b, 1, h, w), and which are there.

    Attributes:
        planes: Previous, current and next plane, float32.
        presence: Whether previous and next plane are there, (b, 2), 1 or 0; None with a plane alone.
    """

    planes: Tensor
    presence: Tensor | None = None


class RdpNetwork(nn.Module):
    """Normalised image <-> integer symbols, for any rate.

    ::

        frames -> analysis -> x gain(q) -> hyperprior/rounding -> symbols
        symbols -> latents -> x inverse gain(q) -> a decoder -> image

    Latents are tuples of tensors by kind: (b, c, h/8, w/8) and, where the network has details, these. All
    images are (b, 1, h, w) float32 with h and w multiples of 16, in the codec's normalised units.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.analysis = Analysis(config)
        self.gains = RateGains(config.latent_channels, config.gain_anchors)
        if config.detail_channels:  # which start at next to nothing where bits are few
            self.detail_gains = RateGains(config.detail_channels, config.gain_anchors, start=(-3.0, 2.0))
        self.hyperprior = Hyperprior(config)
        for name, decoder in build_decoders(config).items():
            self.add_module(name, decoder)  # under its own name, as in files of weights

    @property
    def decoders(self) -> tuple[str, ...]:
        """Names of the decoders."""
        return self.config.decoders

    @property
    def symbol_channels(self) -> tuple[int, ...]:
        """Channels of each kind of `Symbols`."""
        finer = (self.config.detail_channels,) if self.config.detail_channels else ()
        return (self.config.latent_channels, self.config.hyper_channels, *finer)

    @property
    def all_gains(self) -> tuple[RateGains, ...]:
        """Gains of each kind of latents."""
        return (self.gains, self.detail_gains) if self.config.detail_channels else (self.gains,)

    def decoder(self, name: str) -> Decoder:
        """A decoder by name, which is a module of the network.

        Raises:
            DecoderMissing: If there is none of this name.
        """
        check_decoders((name,), self.decoders, "this network")
        return cast(Decoder, getattr(self, name))

    def forward(self, planes: Tensor, rate: Tensor, presence: Tensor | None = None) -> TrainOutput:
        """Training pass of encoder and fidelity decoder; ``rate`` is (b,) in [0, 1]."""
        latents, bits = self.coded_to_train(self.analysis(planes, presence), rate)
        return TrainOutput(self.decoder(FIDELITY)(latents, rate), bits)

    def coded_to_train(self, features: tuple[Tensor, ...], rate: Tensor) -> Coded:
        """:meth:`coded` with gradients: they pass the rounding, and bits are those of latents with noise."""
        gains, inverses = zip(*(gain(rate) for gain in self.all_gains), strict=True)
        hats, bits = self.hyperprior(*_products(features, gains))
        return Coded(_products(hats, inverses), bits)

    def quantize(self, features: tuple[Tensor, ...], rate: Tensor) -> Symbols:
        """Symbols of features (from ``self.analysis``) at ``rate``; several rates share one analysis."""
        return self.hyperprior.quantize(*self._gained(features, rate))

    def quantize_and_count(self, features: tuple[Tensor, ...], rate: Tensor) -> Counted:
        """:meth:`quantize`, what the symbols stand for, and the bits (b,) that they will take when coded."""
        return self.hyperprior.quantize_and_count(*self._gained(features, rate))

    def latents(self, symbols: Symbols, rate: Tensor) -> tuple[Tensor, ...]:
        """Decoder input of symbols, by kind."""
        return self.restored(self.hyperprior.dequantize(symbols), rate)

    def rounded(self, features: tuple[Tensor, ...], rate: Tensor) -> tuple[Tensor, ...]:
        """Decoder input that the integers of features stand for, by kind."""
        return self.restored(self.hyperprior.rounded(*self._gained(features, rate)), rate)

    def coded(self, features: tuple[Tensor, ...], rate: Tensor) -> Coded:
        """:meth:`rounded`, and the bits that the integers take."""
        _, rounded, bits = self.quantize_and_count(features, rate)
        return Coded(self.restored(rounded, rate), bits)

    def decode(
        self,
        latents: tuple[Tensor, ...],
        rate: Tensor,
        names: Iterable[str] = (FIDELITY,),
        places: Sequence[Place] | None = None,
        sampling: Sampling = PLAIN,
    ) -> dict[str, Tensor]:
        """Images (b, 1, 8h, 8w) of decoder input by decoder; arguments as for `Decoder`.

        Args:
            latents: Decoder input by kind.
            rate: Position of each sample on the gain curve, (b,), 0 to 1.
            names: Names of the decoders.
            places: Where each sample lies; None draws random numbers with torch's generator.
            sampling: Steps and constraints of the flow decoder.

        Raises:
            DecoderMissing: If there is no decoder of one of the names.
        """
        images: dict[str, Tensor] = {}
        for name in names:
            if name == FLOW:
                fidelity = images.get(FIDELITY)
                if fidelity is None:
                    fidelity = self.decoder(FIDELITY)(latents, rate, places)
                images[name] = self._sample(latents, rate, fidelity, places, sampling)
            else:
                images[name] = self.decoder(name)(latents, rate, places)
        return images

    def _sample(
        self,
        latents: tuple[Tensor, ...],
        rate: Tensor,
        fidelity: Tensor,
        places: Sequence[Place] | None,
        sampling: Sampling,
    ) -> Tensor:
        flow = self.flow_decoder()

        def again(image: Tensor) -> Tensor:
            q = rate.clone()  # of latents that were made for inference, where a gradient is asked for
            if sampling.exact:
                coded = self.coded_to_train(self.analysis(image), q)
                return self.decoder(FIDELITY)(coded.latents, q)
            return self.reconstruct(Frames(image), q)[FIDELITY]

        given, total = flow.given(latents), torch.zeros_like(fidelity)
        for number in range(sampling.sample, sampling.sample + sampling.samples):
            noise = pixel_noise(fidelity, places, number)
            total = total + flow.sample(fidelity, given, rate, noise, sampling, again)
        return total / sampling.samples

    def expected_error(self, latents: tuple[Tensor, ...]) -> Tensor:
        """Error rms of the fidelity decode that the flow decoder expects, (b, 1, 8h, 8w), network units.

        Raises:
            DecoderMissing: If there is no flow decoder.
        """
        return self.flow_decoder().given(latents).spread

    def flow_decoder(self) -> Flow:
        """The flow decoder.

        Raises:
            DecoderMissing: If there is none.
        """
        check_decoders((FLOW,), self.decoders, "this network")
        return cast(Flow, self.flow)

    def reconstruct(
        self,
        frames: Frames,
        rate: Tensor,
        names: Iterable[str] = (FIDELITY,),
        places: Sequence[Place] | None = None,
    ) -> dict[str, Tensor]:
        """Images by decoder of what the integers keep of frames: encoding and decoding in one pass."""
        return self.decode(self.rounded(self.analysis(*frames), rate), rate, names, places)

    def _gained(self, features: tuple[Tensor, ...], rate: Tensor) -> tuple[Tensor, ...]:
        return _products(features, (gain(rate)[0] for gain in self.all_gains))

    def restored(self, latents: tuple[Tensor, ...], rate: Tensor) -> tuple[Tensor, ...]:
        """Decoder input of what symbols stand for, by kind."""
        inverse = _products(latents, (gain(rate)[1] for gain in self.all_gains))
        return tuple(part.contiguous(memory_format=torch.channels_last) for part in inverse)


def _products(tensors: Iterable[Tensor], factors: Iterable[Tensor]) -> tuple[Tensor, ...]:
    return tuple(tensor * factor for tensor, factor in zip(tensors, factors, strict=True))


def count_macs(network: RdpNetwork, size: int = 256) -> float:
    """Multiply-accumulates per pixel of encoding (with hyperprior) plus one decode, convolutions only."""
    total = 0

    def hook(module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        assert isinstance(module, nn.Conv2d)
        kernel = module.kernel_size[0] * module.kernel_size[1]
        total += output.shape[-1] * output.shape[-2] * module.out_channels * module.in_channels * kernel

    handles = [m.register_forward_hook(hook) for m in network.modules() if isinstance(m, nn.Conv2d)]
    try:
        with torch.no_grad():
            rate = torch.full((1,), 0.5)
            symbols = network.quantize(network.analysis(torch.zeros(1, 1, size, size)), rate)
            network.decode(network.latents(symbols, rate), rate)
    finally:
        for handle in handles:
            handle.remove()
    return total / (size * size)
