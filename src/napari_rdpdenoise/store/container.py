"""Bytes of a chunk: `StoredTile` <-> bytes. Knows numbers and bytes, not the model.

A chunk is one tile of each of its planes, one after the other, each after its length (uint32). All numbers
are little-endian. A tile::

    offset  bytes
    0       4       magic "RDPS"
    4       1       version of this layout
    5       3       number type, such as "u2" or "f4", padded with blanks
    8       8       seed of the plane
    16      24      uint32: rows and columns of the tile; its first row and column within what was coded, its
                    margin; first row and column of what was coded within the plane
    40      4       bytes of the latents, uint32; 0 for none: the tile is kept as it was
    44      1       number of layers
    45      9 each  kind of the layer (a letter), step float32, bytes uint32
            ...     latents (`codec.bitstream`), then the layers, one after the other
            4       CRC-32 of everything before
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

VERSION = 1
"""Version of the layout that `pack` writes and `unpack` reads."""

MAX_PIXELS = 20_000_000
"""Pixels of a tile: more would not fit into usual memory."""

_MAGIC = b"RDPS"
_HEAD = struct.Struct("<3sQ6IIB")
_LAYER = struct.Struct("<cfI")
_CRC = struct.Struct("<I")
_LENGTH = struct.Struct("<I")
_TYPES = ("u1", "u2", "u4", "i1", "i2", "i4", "f2", "f4", "f8")


class StoreError(ValueError):
    """A chunk that cannot be read; all others of its array still can."""


@dataclass(frozen=True)
class Layer:
    """What is kept of a tile beside its latents.

    Attributes:
        data: Bytes, in the form of its kind.
        step: Noise standard deviations of a step, or of the whole residual where it is none and the original
            is kept in its place; 0 where there is neither.
    """

    data: bytes
    step: float = 0.0


@dataclass(frozen=True)
class StoredTile:
    """One tile as it is stored.

    Attributes:
        dtype: Number type of its pixels.
        shape: Rows and columns of the tile, without its margin, px.
        latents: Bytes of `Codec.compress`; empty for none, the tile is then kept as it was.
        offset: First row and column of the tile within what was coded, px.
        origin: First row and column of what was coded within the plane, px.
        seed: Seed of the plane's random numbers, 64 bits.
        layers: Layers by kind, a letter.
    """

    dtype: np.dtype
    shape: tuple[int, ...]
    latents: bytes = b""
    offset: tuple[int, int] = (0, 0)
    origin: tuple[int, int] = (0, 0)
    seed: int = 0
    layers: Mapping[str, Layer] = field(default_factory=dict)


def pack(tile: StoredTile) -> bytes:
    """Return the bytes of a tile.

    Raises:
        ValueError: If it has more pixels than a tile may have.
    """
    if math.prod(tile.shape) > MAX_PIXELS:
        raise ValueError(f"tile: expected at most {MAX_PIXELS} pixels, found {tile.shape}; use smaller tiles")
    kind = np.dtype(tile.dtype).str[1:].encode().ljust(3)
    numbers = (*tile.shape, *tile.offset, *tile.origin)
    head = _HEAD.pack(kind, tile.seed, *numbers, len(tile.latents), len(tile.layers))
    table = b"".join(
        _LAYER.pack(name.encode(), layer.step, len(layer.data)) for name, layer in tile.layers.items()
    )
    data = b"".join(layer.data for layer in tile.layers.values())
    body = b"".join([_MAGIC, bytes([VERSION]), head, table, tile.latents, data])
    return body + _CRC.pack(zlib.crc32(body))


def unpack(data: bytes) -> StoredTile:
    """Return the tile that `pack` wrote; ``data`` are all its bytes.

    Raises:
        StoreError: If the bytes are foreign, of a newer version, cut short, or altered.
    """
    data = bytes(data)
    if not data.startswith(_MAGIC):
        raise StoreError(
            f"chunk: expected a coded tile that starts with {_MAGIC!r}, found {data[:4]!r}; it is not one of "
            "this store: copy the store again"
        )
    start = len(_MAGIC) + 1
    if len(data) < start + _HEAD.size + _CRC.size:
        raise StoreError(f"chunk: expected a whole tile, found {len(data)} bytes; copy the store again")
    if data[4] != VERSION:
        raise StoreError(
            f"chunk: expected version {VERSION} of the layout, found {data[4]}; update napari-rdpdenoise"
        )
    if zlib.crc32(data[: -_CRC.size]) != _CRC.unpack(data[-_CRC.size :])[0]:
        raise StoreError(
            f"chunk: expected the bytes that its checksum is of, found others, or a part ({len(data)} "
            "bytes); copy the store again"
        )
    return _parsed(data, start)


def _parsed(data: bytes, start: int) -> StoredTile:
    kind, seed, *numbers, latents, count = _HEAD.unpack_from(data, start)
    at = start + _HEAD.size
    sizes = [*numbers[:2], latents]
    layers: list[tuple[str, float, int]] = []
    if len(data) >= at + count * _LAYER.size + _CRC.size:
        for number in range(count):
            name, step, size = _LAYER.unpack_from(data, at + number * _LAYER.size)
            layers.append((name.decode("latin-1"), step, size))
    at += count * _LAYER.size
    total = at + latents + sum(size for *_, size in layers) + _CRC.size
    name = kind.rstrip(b" ").decode("latin-1")
    steps = all(math.isfinite(step) and step >= 0 for _, step, _ in layers)
    if total != len(data) or name not in _TYPES or not steps or len(layers) != count:
        raise StoreError("chunk: expected a whole tile, found an impossible header; copy the store again")
    if min(sizes[:2]) < 1 or math.prod(sizes[:2]) > MAX_PIXELS:
        raise StoreError(
            f"chunk: expected a tile of 1 to {MAX_PIXELS} pixels, found {sizes[0]} x {sizes[1]}; copy the "
            "store again"
        )
    parts = _cut(data, at, [latents, *(size for *_, size in layers)])
    found = {name: Layer(part, step) for (name, step, _), part in zip(layers, parts[1:], strict=True)}
    height, width, *places = numbers
    return StoredTile(
        np.dtype(f"={name}"),
        (height, width),
        parts[0],
        (places[0], places[1]),
        (places[2], places[3]),
        seed,
        found,
    )


def pack_chunk(tiles: Iterable[bytes]) -> bytes:
    """Bytes of a chunk from those of its tiles, one for each plane."""
    return b"".join(_LENGTH.pack(len(tile)) + tile for tile in tiles)


def unpack_chunk(data: bytes, planes: int) -> list[bytes]:
    """Bytes of each tile of a chunk.

    Args:
        data: Bytes of `pack_chunk`.
        planes: Number of planes of the chunk.

    Raises:
        StoreError: If it is not one of so many planes.
    """
    tiles: list[bytes] = []
    at = 0
    while at + _LENGTH.size <= len(data) and len(tiles) < planes:
        (size,) = _LENGTH.unpack_from(data, at)
        at += _LENGTH.size + size
        tiles.append(bytes(data[at - size : at]))
    if at != len(data) or len(tiles) != planes:
        raise StoreError(
            f"chunk: expected {planes} coded {'plane' if planes == 1 else 'planes'}, found other bytes, or a "
            f"part of them ({len(data)} bytes); copy the store again"
        )
    return tiles


def _cut(data: bytes, at: int, sizes: list[int]) -> list[bytes]:
    parts = []
    for size in sizes:
        parts.append(data[at : at + size])
        at += size
    return parts
