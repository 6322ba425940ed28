"""What is kept of one tile: integer symbols and block means, with all that decoding needs."""

from __future__ import annotations

import math
import struct
import zlib
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numcodecs import Blosc
from numpy.typing import NDArray

from napari_rdpdenoise.codec.normalization import UNIT, Normalization
from napari_rdpdenoise.noise import NoiseModel
from napari_rdpdenoise.tiles import GRID

MEAN_STEP = 1 / (512 * UNIT)  # network units: an 8th of the noise of a block's mean, so that light is kept
MEAN_LIMIT = 2**30
"""Largest block mean, steps."""

_HEAD = struct.Struct("<4I7dI")  # block means, tile, numbers, kinds of symbols
_SIZE = struct.Struct("<3I")  # of one kind
_PROMISED = struct.Struct("<4xI8x")  # head of what Blosc makes: bytes that come out of it
_MOST_BYTES = 2**30
_PADDED = 16  # px: sizes that the network computes with are multiples of it


@dataclass(frozen=True)
class Latents:
    """Integer latents of one tile.

    Attributes:
        symbols: Integers of each kind that the network makes, int16 (channels, rows, columns) each.
        means: Block means in steps of ``MEAN_STEP`` normalised units, int32 (blocks down, blocks across).
        shape: Height and width of the tile, px.
        rate: Position on the gain curve, [0, 1].
        normalization: Map between raw counts and network units.
        bits: Bits of the tile when entropy-coded, container included, as the entropy model estimates them.
        restored: Numbers that the symbols of all kinds but the hyper-latents stand for, float32, where
            encoding has just computed them; None for latents from bytes: decoding then computes the same.
    """

    symbols: tuple[NDArray[np.int16], ...]
    means: NDArray[np.int32]
    shape: tuple[int, int]
    rate: float
    normalization: Normalization
    bits: float
    restored: tuple[NDArray[np.float32], ...] | None = field(default=None, compare=False, repr=False)

    @property
    def bpp(self) -> float:
        """Bits per pixel of the tile, estimated."""
        return self.bits / (self.shape[0] * self.shape[1])

    def to_bytes(self) -> bytes:
        """Fast, compressed form for the cache (not the entropy-coded bitstream)."""
        n = self.normalization
        numbers = (self.rate, n.noise.gain, n.noise.offset, n.noise.read_noise, n.center, n.scale, self.bits)
        head = _HEAD.pack(*self.means.shape, *self.shape, *numbers, len(self.symbols))
        sizes = b"".join(_SIZE.pack(*part.shape) for part in self.symbols)
        body = b"".join(part.tobytes() for part in self.symbols) + self.means.tobytes()
        # byte shuffle: the upper bytes of int16 symbols are nearly all equal
        return head + sizes + Blosc("zstd", 3, Blosc.SHUFFLE).encode(np.frombuffer(body, np.int16))

    @classmethod
    def from_bytes(cls, data: bytes) -> Latents:
        """Inverse of :meth:`to_bytes`.

        Raises:
            ValueError: If the bytes are something else.
        """
        try:
            rows, columns, height, width, *numbers, count = _HEAD.unpack_from(data)
            rate, gain, offset, read_noise, center, scale, bits = numbers
            body_at = _HEAD.size + count * _SIZE.size
            sizes = list(_SIZE.iter_unpack(data[_HEAD.size : body_at]))
            body, symbols, at = _inflated(data[body_at:]), [], 0
            for size in sizes:
                symbols.append(np.frombuffer(body, np.int16, math.prod(size), at).reshape(size))
                at += symbols[-1].nbytes
            means = np.frombuffer(body, np.int32, offset=at).reshape(rows, columns)
        except struct.error as error:
            raise ValueError(f"latents: expected bytes of a cached tile, found others ({error})") from None
        normalization = Normalization(NoiseModel(gain, offset, read_noise), center, scale)
        return cls(tuple(symbols), means, (height, width), rate, normalization, bits)


def _inflated(data: bytes) -> bytes:
    """Body of a cached tile."""
    (promised,) = _PROMISED.unpack_from(data)
    if promised > _MOST_BYTES:
        raise ValueError(f"latents: expected at most {_MOST_BYTES} bytes, found {promised} promised")
    try:
        return bytes(Blosc().decode(data))
    except RuntimeError as error:
        raise ValueError(
            f"latents: expected compressed bytes of a cached tile, found others ({error})"
        ) from None


def cropped(latents: Latents, y: slice, x: slice) -> Latents:
    """Latents of a part of a tile; away from its edges it is decoded as the tile is.

    Args:
        latents: Latents of the tile.
        y: Rows, px, which begin at a multiple of `tiles.GRID` and end at one, or with the tile.
        x: Columns, as the rows.
    """
    padded = [-(-size // _PADDED) * _PADDED for size in latents.shape]

    def of(part: NDArray[Any]) -> NDArray[Any]:
        steps = [size // count for size, count in zip(padded, part.shape[1:], strict=True)]
        stops = [-(-span.stop // _PADDED) * _PADDED for span in (y, x)]
        rows, columns = (
            slice(span.start // step, stop // step)
            for span, stop, step in zip((y, x), stops, steps, strict=True)
        )
        return part[:, rows, columns]

    blocks = [slice(span.start // GRID, -(-span.stop // GRID)) for span in (y, x)]
    return replace(
        latents,
        symbols=tuple(map(of, latents.symbols)),
        means=latents.means[blocks[0], blocks[1]],
        shape=(y.stop - y.start, x.stop - x.start),
        restored=None if latents.restored is None else tuple(map(of, latents.restored)),
    )


def pack_means(means: NDArray[np.int32]) -> bytes:
    """Block means as few bytes: differences to the left neighbour, deflated."""
    steps = np.diff(means, axis=1, prepend=np.int32(0)).astype(np.int32)
    zigzag = ((steps << 1) ^ (steps >> 31)).astype(np.uint32)
    planes = zigzag.astype("<u4").reshape(-1, 1).view(np.uint8).T  # bytes of equal weight together
    return zlib.compress(planes.tobytes(), 9)


def unpack_means(data: bytes, shape: tuple[int, int]) -> NDArray[np.int32]:
    """Inverse of :func:`pack_means`.

    Raises:
        ValueError: if the bytes do not hold ``shape`` means.
    """
    wanted = 4 * shape[0] * shape[1]
    inflating = zlib.decompressobj()
    try:  # no more than is wanted, whatever is promised
        planes = np.frombuffer(inflating.decompress(data, wanted + 1), np.uint8)
    except zlib.error as error:
        raise ValueError(f"block means: expected deflated bytes, found damaged ones ({error})") from error
    if planes.size != wanted or not inflating.eof or inflating.unused_data:
        raise ValueError(f"block means: expected {shape[0]} x {shape[1]} values, found more or fewer")
    zigzag = np.ascontiguousarray(planes.reshape(4, -1).T).view("<u4").reshape(shape).astype(np.uint32)
    steps = (zigzag >> 1).astype(np.int32) ^ -(zigzag & 1).astype(np.int32)
    means = np.cumsum(steps, axis=1, dtype=np.int64).astype(np.int32)  # modulo 2^32, as the differences are
    if np.abs(means, dtype=np.int64).max() > MEAN_LIMIT:
        raise ValueError(f"block means: expected at most {MEAN_LIMIT} steps, found more")
    return means
