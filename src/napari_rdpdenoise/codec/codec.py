"""Codec: raw tiles -> integer latents -> fidelity and realism images in raw counts; latents <-> bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_rdpdenoise.codec.bitstream import BitstreamError, CodedTile, TileHeader, pack, unpack
from napari_rdpdenoise.codec.card import ModelCard
from napari_rdpdenoise.codec.latents import MEAN_STEP, Latents, pack_means, unpack_means
from napari_rdpdenoise.codec.means import block_means, correct_means
from napari_rdpdenoise.codec.normalization import Normalization
from napari_rdpdenoise.nn.config import NetworkConfig
from napari_rdpdenoise.nn.decoders.grain import Place, grain
from napari_rdpdenoise.nn.entropy import Symbols
from napari_rdpdenoise.nn.network import STRIDE, RdpNetwork
from napari_rdpdenoise.noise import NoiseModel
from napari_rdpdenoise.tiles import GRID

_CONTAINER_BYTES = 90  # of one coded tile beside its payloads, with what the coder flushes at the end of each
_MEAN_LIMIT = 2.0**30  # steps of a block mean


@dataclass(frozen=True)
class Decoded:
    """Both decodes of one tile, float32 raw counts, (height, width).

    Attributes:
        fidelity: the decode of lowest error (realism 0).
        realism: the decode of most natural texture (realism 1); None if the model has no such decoder or it
            was not asked for.
    """

    fidelity: NDArray[np.float32]
    realism: NDArray[np.float32] | None

    def blend(self, realism: float) -> NDArray[np.float32]:
        """``(1 - realism) * fidelity + realism * realism``, the optimal path between the two (Freirich 2021).

        Raises:
            ValueError: if ``realism`` is above 0 and there is no realism decode.
        """
        if realism == 0:
            return self.fidelity
        if self.realism is None:
            raise ValueError(
                f"realism must be 0 where there is no realism decode, found {realism}; use a model that has "
                "a realism decoder, and decode with both"
            )
        return self.fidelity + np.float32(realism) * (self.realism - self.fidelity)


class Codec:
    """A trained codec on a device.

    Args:
        network: with its weights loaded.
        card: the model's card.
        digest: 16 bytes that identify the weights.
        device: torch device name.
    """

    def __init__(self, network: RdpNetwork, card: ModelCard, digest: bytes, device: str = "cpu") -> None:
        self.card, self.digest = card, digest
        self.encoder_calls = 0
        self._network = network.eval().requires_grad_(False)
        self.to(device)

    @property
    def device(self) -> str:
        """Name of the torch device the codec computes on."""
        return self._device

    @property
    def has_realism(self) -> bool:
        """Whether the model has a realism decoder."""
        return self._network.realism is not None

    def to(self, device: str) -> Codec:
        """Move to another torch device; returns itself."""
        self._network.to(device)
        self._network.to(memory_format=torch.channels_last)
        self._device = device
        return self

    def encode(
        self, tiles: Sequence[NDArray[Any]], normalization: Normalization, rate: float
    ) -> list[Latents]:
        """Encode tiles of equal shape.

        Args:
            tiles: 2-D arrays of raw counts, finite, any real dtype.
            normalization: of the tiles' channel and series.
            rate: position on the gain curve in [0, 1], 0 fewest bits.

        Raises:
            ValueError: if there is no tile, a tile is not 2-D, shapes differ, a value is not finite, or the
                rate is out of range.
        """
        _check(tiles, rate)
        self.encoder_calls += 1
        rate = float(np.float32(rate))  # as the bitstream keeps it
        with torch.inference_mode():
            features = self._features(tiles, normalization)
            symbols, bits = self._quantize(features, rate)
        return [
            self._latents(tile, normalization, rate, symbols, bits, place) for place, tile in enumerate(tiles)
        ]

    def sweep(
        self, tile: NDArray[Any], normalization: Normalization, rates: Sequence[float]
    ) -> Iterator[tuple[NDArray[np.float32], float]]:
        """Fidelity decode in network units (2-D) and bpp of one tile at several rates, analysed only once."""
        _check([tile], 0.0)
        self.encoder_calls += 1
        height, width = tile.shape
        with torch.inference_mode():
            features = self._features([tile], normalization)
            for rate in rates:
                symbols, bits = self._quantize(features, rate)
                image = self._network.fidelity(self._network.latents(symbols, self._rates(1, rate)))
                yield image[0, 0, :height, :width].cpu().numpy(), float(bits[0]) / tile.size

    def decode(
        self, latents: Sequence[Latents], both: bool = True, places: Sequence[Place] | None = None
    ) -> list[Decoded]:
        """Decode latents of equal shape to raw counts.

        Args:
            latents: of this codec's network.
            both: whether the realism decode is wanted too; without it realism 0 costs half as much.
            places: seed and position of each tile, which decide the grain of the realism decode; None for
                seed 0 and the plane's corner.

        Raises:
            ValueError: if shapes differ, there is not one place for each, or the latents are another
                network's.
        """
        if not latents:
            return []
        places = [Place()] * len(latents) if places is None else places
        if len(places) != len(latents):
            raise ValueError(
                f"places: expected one for each of the {len(latents)} latents, found {len(places)}"
            )
        _check_latents(latents, self._network.config)
        with torch.inference_mode():
            y, z = (
                torch.from_numpy(np.stack([getattr(item, name) for item in latents]).astype(np.int32))
                for name in ("y", "z")
            )
            rates = torch.tensor([item.rate for item in latents], dtype=torch.float32, device=self._device)
            hat = self._network.latents(Symbols(y.to(self._device), z.to(self._device)), rates)
            hat = hat.contiguous(memory_format=torch.channels_last)
            fidelity = self._network.fidelity(hat)[:, 0].cpu().numpy()
            decoder = self._network.realism if both else None
            numbers = None if decoder is None else self._grain(hat, places)
            realism = None if decoder is None else decoder(hat, numbers)[:, 0].cpu().numpy()
        return [
            Decoded(_to_counts(fidelity[i], item), None if realism is None else _to_counts(realism[i], item))
            for i, item in enumerate(latents)
        ]

    def compress(self, latents: Latents) -> bytes:
        """Entropy-code latents to bytes, self-contained but for the model."""
        n = latents.normalization
        header = TileHeader(
            *latents.shape,
            rate=latents.rate,
            gain=n.noise.gain,
            offset=n.noise.offset,
            read_noise=n.noise.read_noise,
            center=n.center,
            scale=n.scale,
        )
        y, z = (torch.from_numpy(part.astype(np.int32))[None] for part in (latents.y, latents.z))
        with torch.inference_mode():
            y_bytes, z_bytes = self._network.hyperprior.encode(Symbols(y, z))[0]
        return pack(CodedTile(self.digest, header, (y_bytes, z_bytes, pack_means(latents.means))))

    def decompress(self, data: bytes) -> Latents:
        """Latents from :meth:`compress`'s bytes; symbols, and so the decode, are equal bit for bit.

        Raises:
            BitstreamError: if the bytes are foreign, truncated, altered, of a newer version or another model.
        """
        tile = unpack(data, self.digest)
        if len(tile.payloads) != 3:
            raise BitstreamError(f"data: expected 3 payloads (y, z, means), found {len(tile.payloads)}")
        head = tile.header
        rows, columns = (-(-n // STRIDE) for n in (head.height, head.width))
        with torch.inference_mode():
            symbols = self._network.hyperprior.decode(tile.payloads[0], tile.payloads[1], (rows, columns))
        blocks = (-(-head.height // GRID), -(-head.width // GRID))
        try:
            means = unpack_means(tile.payloads[2], blocks)
            noise = NoiseModel(head.gain, head.offset, head.read_noise)
        except ValueError as error:
            raise BitstreamError(f"data: {error}; copy or encode it again") from error
        y, z = (part[0].numpy().astype(np.int16) for part in symbols)
        normalization = Normalization(noise, head.center, head.scale)
        return Latents(y, z, means, (head.height, head.width), head.rate, normalization, 8.0 * len(data))

    def _features(self, tiles: Sequence[NDArray[Any]], normalization: Normalization) -> Tensor:
        height, width = tiles[0].shape
        pad = [(0, 0), (0, -height % STRIDE), (0, -width % STRIDE)]
        u = np.pad(np.stack([normalization.forward(tile) for tile in tiles]), pad, mode="symmetric")
        return self._network.analysis(torch.from_numpy(u)[:, None].to(self._device))

    def _quantize(self, features: Tensor, rate: float) -> tuple[Symbols, NDArray[np.float64]]:
        symbols, bits = self._network.quantize_and_count(features, self._rates(len(features), rate))
        return symbols, bits.double().cpu().numpy()

    def _grain(self, hat: Tensor, places: Sequence[Place]) -> Tensor | None:
        channels, shape = self._network.config.grain_channels, (2 * hat.shape[-2], 2 * hat.shape[-1])
        if not channels:
            return None
        numbers = torch.stack([grain(channels, shape, place) for place in places])
        return numbers.to(self._device).contiguous(memory_format=torch.channels_last)

    def _rates(self, count: int, rate: float) -> Tensor:
        return torch.full((count,), rate, dtype=torch.float32, device=self._device)

    def _latents(
        self,
        tile: NDArray[Any],
        normalization: Normalization,
        rate: float,
        symbols: Symbols,
        bits: NDArray[np.float64],
        place: int,
    ) -> Latents:
        steps = normalization.target(block_means(tile)).astype(np.float64) / MEAN_STEP
        means = np.rint(np.clip(steps, -_MEAN_LIMIT, _MEAN_LIMIT)).astype(np.int32)
        overhead = 8 * (_CONTAINER_BYTES + len(pack_means(means)))
        short = torch.iinfo(torch.int16)
        y, z = (part[place].clamp(short.min, short.max).to(torch.int16).cpu().numpy() for part in symbols)
        height, width = tile.shape
        return Latents(y, z, means, (height, width), rate, normalization, float(bits[place]) + overhead)


def _to_counts(u: NDArray[np.float32], latents: Latents) -> NDArray[np.float32]:
    height, width = latents.shape
    counts = latents.normalization.inverse(u[:height, :width])
    means = latents.normalization.inverse(latents.means * MEAN_STEP)
    return correct_means(counts, means)


def _check_latents(latents: Sequence[Latents], config: NetworkConfig) -> None:
    expected = (config.latent_channels, config.hyper_channels)
    for item in latents:
        found = (len(item.y), len(item.z))
        if found != expected:
            raise ValueError(
                f"latents must have {expected} channels (y, z) for this model, found {found}; "
                "decode them with the model that encoded them"
            )
        if item.shape != latents[0].shape:
            raise ValueError(f"latents must be of one shape, found {item.shape} beside {latents[0].shape}")


def _check(tiles: Sequence[NDArray[Any]], rate: float) -> None:
    if not tiles:
        raise ValueError("tiles must hold at least one 2-D array, found none")
    for tile in tiles:
        if tile.ndim != 2 or tile.shape != tiles[0].shape or 0 in tile.shape:
            raise ValueError(
                f"tiles must be 2-D, not empty and of one shape, found {tile.shape} beside {tiles[0].shape}"
            )
        if tile.dtype.kind == "f" and not np.isfinite(tile).all():
            raise ValueError("tiles must be finite, found NaN or infinity; fill those pixels first")
    if not 0.0 <= rate <= 1.0:
        raise ValueError(f"rate must be a number from 0 to 1, found {rate}; resolve 'auto' with choose_rate")
