"""Codec: raw tiles -> integer latents -> images of the decoders in raw counts; latents <-> bytes."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_rdpdenoise.codec.card import ModelCard
from napari_rdpdenoise.codec.checks import check_latents, check_neighbours, check_tiles
from napari_rdpdenoise.codec.coded_tile import coded_tile, means_reach, to_counts
from napari_rdpdenoise.codec.compression import cached, compressed, decompressed, symbols_of
from napari_rdpdenoise.codec.decoded import Decoded
from napari_rdpdenoise.codec.interval import IntervalTable
from napari_rdpdenoise.codec.latents import Latents
from napari_rdpdenoise.codec.network_input import Neighbours, network_input
from napari_rdpdenoise.codec.normalization import UNIT, Normalization, fit_normalization
from napari_rdpdenoise.codec.precision import (
    BFLOAT16_VERSION,
    MOST,
    Precision,
    choose_precision,
    decoded,
    encoded,
    encoder_reach,
    numbers_of,
)
from napari_rdpdenoise.nn.decoder_names import FIDELITY, FLOW, check_decoders
from napari_rdpdenoise.nn.decoders.place import Place
from napari_rdpdenoise.nn.decoders.sampling import PLAIN, Sampling
from napari_rdpdenoise.nn.network import Frames, RdpNetwork
from napari_rdpdenoise.noise import NoiseModel


class Codec:
    """A trained codec on a device.

    Args:
        network: Network with its weights loaded.
        card: Card of the model.
        digest: 16 bytes that identify the weights.
        device: Name of the torch device.

    Attributes:
        precision: Numbers that the network computes with; `at` gives a codec of others.
    """

    def __init__(self, network: RdpNetwork, card: ModelCard, digest: bytes, device: str = "cpu") -> None:
        self.card, self.digest = card, digest
        self.precision: Precision = "float32"
        self._calls = [0]  # shared with codecs of another precision
        self._network = network.eval().requires_grad_(False)
        self.to(device)

    @property
    def device(self) -> str:
        """Name of the torch device the codec computes on."""
        return next(self._network.parameters()).device.type

    @property
    def encoder_calls(self) -> int:
        """Batches that went through the encoder, of codecs of this network at any precision."""
        return self._calls[0]

    @property
    def decoders(self) -> tuple[str, ...]:
        """Names of the model's decoders."""
        return self._network.decoders

    @property
    def planes(self) -> int:
        """Planes that the encoder sees: 1, or 3 with the previous and the next one."""
        return self._network.config.planes

    @property
    def bounded(self) -> bool:
        """Whether images of more light than the model was trained on are scaled down to that."""
        return self._network.config.bounded

    def fit(self, planes: Sequence[NDArray[Any]], noise: NoiseModel) -> Normalization:
        """Normalisation of one channel for this model; arguments as for `fit_normalization`."""
        return fit_normalization(planes, noise, self.bounded)

    def check(self, names: Iterable[str], realism: float | None = None) -> None:
        """Refuse decoders that the model does not have.

        Args:
            names: Names of the decoders.
            realism: Realism that asks for the realism decoder; None where it is asked for by name.

        Raises:
            DecoderMissing: If the model has no decoder of one of the names.
        """
        check_decoders(names, self.decoders, f"model {self.card.name}", realism)

    def to(self, device: str) -> Codec:
        """Move to another torch device; returns itself."""
        self._network.to(device)
        self._network.to(memory_format=torch.channels_last)
        return self

    def at(self, precision: Literal["auto", "float32", "bfloat16"]) -> Codec:
        """This codec, or one of the same network that computes with other numbers.

        Args:
            precision: Numbers to compute with; "auto" takes what is faster on the codec's device.

        Raises:
            ValueError: If the device does not have them.
        """
        chosen = choose_precision(precision, self.device)
        if chosen == self.precision:
            return self
        other = copy.copy(self)
        other.precision = chosen
        return other

    @property
    def identity(self) -> bytes:
        """What tells apart what codecs make of one image: weights, and precision if it is not float32."""
        if self.precision == "float32":
            return self.digest
        return self.digest + self.precision.encode() + BFLOAT16_VERSION

    def encode(
        self,
        tiles: Sequence[NDArray[Any]],
        normalization: Normalization,
        rate: float,
        neighbours: Sequence[Neighbours] | None = None,
    ) -> list[Latents]:
        """Encode tiles of equal shape.

        Args:
            tiles: 2-D arrays of raw counts, finite, any real dtype.
            normalization: Normalisation of the tiles' channel and series.
            rate: Position on the gain curve in [0, 1], 0 fewest bits.
            neighbours: Same places of the planes before and after each tile, raw counts at the tile's
                brightness (`network_input.brightened`), None where there is none. None: every tile is encoded
                alone.

        Raises:
            ValueError: If there is no tile, a tile is not 2-D, shapes differ, a value is not finite, the rate
                is out of range, or neighbours are given to a model that sees single planes.
        """
        check_tiles(tiles, rate)
        check_neighbours(tiles, neighbours, self.planes, self.card.name)
        self._calls[0] += 1
        rate = float(np.float32(rate))  # as the bitstream keeps it
        with torch.inference_mode():
            frames = self._frames(tiles, normalization, neighbours)
            rates = self._rates(len(tiles), rate)
            found = encoded(self._network, frames, rates, normalization.scale, self.precision)
        parts = [part.to(torch.int16).cpu().numpy() for part in found.symbols]
        restored = [part.cpu().numpy() for part in found.restored]
        costs = found.bits.double().cpu().numpy()
        return [
            replace(
                coded_tile(tile, normalization, rate, tuple(part[i] for part in parts), float(costs[i])),
                restored=tuple(part[i] for part in restored),
            )
            for i, tile in enumerate(tiles)
        ]

    def sweep(
        self,
        tile: NDArray[Any],
        normalization: Normalization,
        rates: Iterable[float],
        neighbours: Neighbours | None = None,
    ) -> Iterator[tuple[NDArray[np.float32], float]]:
        """Fidelity decode in network units (2-D) and bpp of one tile at several rates, analysed only once.

        Rates may be an iterator: each is asked for when its decode is. Numbers are chosen by the tile's
        pixels, for all rates alike; those of `decode` by its result.
        """
        given = None if neighbours is None else [neighbours]
        check_tiles([tile], 0.0)
        check_neighbours([tile], given, self.planes, self.card.name)
        self._calls[0] += 1
        height, width = tile.shape
        with torch.inference_mode():
            frames = self._frames([tile], normalization, given)
            (reach,) = encoder_reach(frames, normalization.scale)
            precision: Precision = self.precision if reach <= MOST else "float32"
            with numbers_of(reach, precision):
                features = self._network.analysis(*frames)
        for rate in rates:
            with torch.inference_mode():  # not while others wait for the next rate
                q = self._rates(1, rate)
                with numbers_of(reach, precision):
                    latents, bits = self._network.coded(features, q)
                with numbers_of(reach, self.precision):
                    image = self._network.decode(latents, q)[FIDELITY]
            yield image[0, 0, :height, :width].cpu().numpy(), float(bits.double()[0]) / tile.size

    def decode(
        self,
        latents: Sequence[Latents],
        names: Iterable[str] = (FIDELITY,),
        places: Sequence[Place] | None = None,
        sampling: Sampling = PLAIN,
    ) -> list[Decoded]:
        """Decode latents of equal shape to raw counts.

        Args:
            latents: Latents of this codec's network.
            names: Names of the decoders, out of `decoders`; each takes its time.
            places: Seed and position of each tile, which decide a decoder's random numbers; None for seed 0
                and the plane's corner.
            sampling: Steps and constraints of the flow decoder.

        Raises:
            DecoderMissing: If the model has no decoder of one of the names.
            ValueError: If shapes differ, there is not one place for each, or the latents are another
                network's.
        """
        names = tuple(names)
        self.check(names)
        if not latents:
            return []
        places = [Place()] * len(latents) if places is None else places
        if len(places) != len(latents):
            raise ValueError(
                f"places: expected one for each of the {len(latents)} latents, found {len(places)}"
            )
        check_latents(latents, self._network.hyperprior.kinds, self._network.symbol_channels)
        with torch.inference_mode():
            rates = torch.tensor([item.rate for item in latents], dtype=torch.float32, device=self.device)
            hat = self._decoder_input(latents, rates)

            def given(which: NDArray[np.intp], some_names: tuple[str, ...]) -> dict[str, Tensor]:
                some = tuple(part[which] for part in hat) if len(which) < len(latents) else hat
                some_places = [places[i] for i in which]
                return self._network.decode(some, rates[which], some_names, some_places, sampling)

            scales = [item.normalization.scale for item in latents]
            reach = [means_reach(item) for item in latents]
            images = {
                name: image[:, 0].cpu().numpy()
                for name, image in decoded(given, names, reach, scales, self.precision).items()
            }
        return [
            Decoded({name: to_counts(image[i], item) for name, image in images.items()})
            for i, item in enumerate(latents)
        ]

    @property
    def intervals(self) -> IntervalTable:
        """The table that makes half widths of intervals of the expected error.

        Raises:
            DecoderMissing: If the model has no flow decoder.
            ValueError: If its card has no table.
        """
        self.check((FLOW,))
        if self.card.intervals is None:
            raise ValueError(
                f"quantity: expected a model whose card has intervals, found none in that of "
                f"{self.card.name}; use quantity 'image', or another model"
            )
        return self.card.intervals

    def expected_error(self, latents: Sequence[Latents]) -> list[NDArray[np.float32]]:
        """Error rms that is expected of the decode of lowest error, pixel by pixel, without any sampling.

        Args:
            latents: Latents of this codec's network, of one shape.

        Returns:
            Noise standard deviations, float32, (height, width) each.

        Raises:
            DecoderMissing: If the model has no flow decoder, which tells it.
            ValueError: If shapes differ, or the latents are another network's.
        """
        self.check((FLOW,))
        if not latents:
            return []
        check_latents(latents, self._network.hyperprior.kinds, self._network.symbol_channels)
        with torch.inference_mode():
            rates = torch.tensor([item.rate for item in latents], dtype=torch.float32, device=self.device)
            spread = self._network.expected_error(self._decoder_input(latents, rates))
            found = spread[:, 0].float().cpu().numpy()
        return [
            found[i, : item.shape[0], : item.shape[1]] * np.float32(UNIT / item.normalization.scale)
            for i, item in enumerate(latents)
        ]

    def known(
        self, data: bytes, shape: tuple[int, ...], normalization: Normalization, rate: float
    ) -> Latents:
        """Latents from the bytes that a cache kept of a tile, if that is what they are.

        Args:
            data: Bytes of `Latents.to_bytes`.
            shape: Height and width of the tile, px.
            normalization: Normalisation of the tile.
            rate: Position on the gain curve that it was encoded at.

        Raises:
            ValueError: If they are no latents that this codec would have made of it.
        """
        return cached(data, self._network, shape, normalization, rate)

    def compress(self, latents: Latents) -> bytes:
        """Entropy-code latents to bytes, self-contained but for the model."""
        return compressed(latents, self._network, self.digest)

    def decompress(self, data: bytes) -> Latents:
        """Latents from :meth:`compress`'s bytes; symbols, and so the decode, are equal bit for bit.

        Raises:
            BitstreamError: if the bytes are foreign, truncated, altered, of a newer version or another model.
        """
        return decompressed(data, self._network, self.digest)

    def _frames(
        self,
        tiles: Sequence[NDArray[Any]],
        normalization: Normalization,
        neighbours: Sequence[Neighbours] | None,
    ) -> Frames:
        forward = normalization.forward
        beside = neighbours and [
            (None if before is None else forward(before), None if after is None else forward(after))
            for before, after in neighbours
        ]
        return network_input([forward(tile) for tile in tiles], self.device, beside)

    def _decoder_input(self, latents: Sequence[Latents], rates: Tensor) -> tuple[Tensor, ...]:
        """What decoders read; the entropy model is asked only of latents that do not bring its answer."""
        known = [item.restored for item in latents if item.restored is not None]
        if len(known) < len(latents):
            return self._network.latents(symbols_of(latents, self.device), rates)
        # of a single one no copy, which would also be in another order of memory
        kinds = [kind[0][None] if len(kind) == 1 else np.stack(kind) for kind in zip(*known, strict=True)]
        parts = (torch.from_numpy(kind).to(self.device) for kind in kinds)
        return self._network.restored(tuple(parts), rates)

    def _rates(self, count: int, rate: float) -> Tensor:
        return torch.full((count,), rate, dtype=torch.float32, device=self.device)
