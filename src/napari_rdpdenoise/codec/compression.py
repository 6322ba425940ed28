"""Latents as bytes: entropy-coded, complete but for the model, or as the cache keeps them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from napari_rdpdenoise.codec.bitstream import BY_KIND, BitstreamError, CodedTile, TileHeader, pack, unpack
from napari_rdpdenoise.codec.latents import Latents, pack_means, unpack_means
from napari_rdpdenoise.codec.normalization import Normalization
from napari_rdpdenoise.nn.entropy import Symbols
from napari_rdpdenoise.nn.network import STRIDE, RdpNetwork
from napari_rdpdenoise.noise import NoiseModel
from napari_rdpdenoise.tiles import GRID


def compressed(latents: Latents, network: RdpNetwork, digest: bytes) -> bytes:
    """Bytes of latents; ``digest`` identifies the weights. See `Codec.compress`."""
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
    with torch.inference_mode():
        (coded,) = network.hyperprior.encode(symbols_of([latents], "cpu"))
    return pack(CodedTile(digest, header, (*coded, pack_means(latents.means))))


def decompressed(data: bytes, network: RdpNetwork, digest: bytes) -> Latents:
    """Latents of `compressed` bytes; arguments as there, errors as of `Codec.decompress`."""
    tile = unpack(data, digest)
    hyperprior, by_kind = network.hyperprior, tile.version == BY_KIND
    expected = (*(hyperprior.kinds if by_kind else ("symbols",)), "means")
    if len(tile.payloads) != len(expected):
        raise BitstreamError(
            f"data: expected {len(expected)} payloads ({', '.join(expected)}), found {len(tile.payloads)}"
        )
    *coded, coded_means = tile.payloads
    head = tile.header
    rows, columns = (-(-n // STRIDE) for n in (head.height, head.width))
    blocks = (-(-head.height // GRID), -(-head.width // GRID))
    try:
        means = unpack_means(coded_means, blocks)
        noise = NoiseModel(head.gain, head.offset, head.read_noise)
        with torch.inference_mode():
            decode = hyperprior.decode_by_kind if by_kind else hyperprior.decode
            symbols = decode(coded, (rows, columns))
    except ValueError as error:
        raise BitstreamError(f"data was altered: {error}; copy or encode it again") from error
    parts = tuple(part[0].numpy().astype(np.int16) for part in symbols)
    normalization = Normalization(noise, head.center, head.scale)
    return Latents(parts, means, (head.height, head.width), head.rate, normalization, 8.0 * len(data))


def cached(
    data: bytes, network: RdpNetwork, shape: tuple[int, ...], normalization: Normalization, rate: float
) -> Latents:
    """Latents of bytes that a cache kept.

    Args:
        data: Bytes of `Latents.to_bytes`.
        network: Network that is to have made them.
        shape: Height and width of the tile, px.
        normalization: Normalisation of the tile.
        rate: Position on the gain curve that it was encoded at.

    Raises:
        ValueError: If they are no latents that the network would have made of it.
    """
    latents = Latents.from_bytes(data)
    high, wide = (-(-n // STRIDE) for n in shape)
    edges = dict(zip("yzd", (2, 1, 4), strict=True))  # hyper-latents are at 1/16, the others finer
    kinds = zip(network.hyperprior.kinds, network.symbol_channels, strict=True)
    symbols = [(channels, edges[kind] * high, edges[kind] * wide) for kind, channels in kinds]
    expected = (shape, normalization, float(np.float32(rate)), symbols, [-(-n // GRID) for n in shape])
    sizes = [part.shape for part in latents.symbols]
    found = (latents.shape, latents.normalization, latents.rate, sizes, list(latents.means.shape))
    if found != expected or not 0 < latents.bits < np.inf:
        raise ValueError(f"latents: expected {expected}, found {found} and {latents.bits} bits")
    return latents


def symbols_of(latents: Sequence[Latents], device: str) -> Symbols:
    """A batch of symbols as the network takes them."""
    kinds = zip(*(item.symbols for item in latents), strict=True)
    return Symbols(*(torch.from_numpy(np.stack(kind).astype(np.int32)).to(device) for kind in kinds))
