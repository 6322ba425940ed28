"""Versioned container of one tile's coded latents: `CodedTile` <-> bytes.

The module knows bytes and numbers, not the model. All numbers are little-endian::

    offset  bytes
    0       4       magic "RDPD"
    4       1       version of this layout
    5       16      digest of the model that coded the tile
    21      44      rate float32; gain, offset, read_noise, center, scale float64
    65      varint  height, width, number of payloads, length of each payload
            ...     payloads, one after the other
            4       CRC-32 of everything before

Apart from the payloads that is 69 bytes and the varints (7 bits a byte: 2 bytes hold up to 16383), of which
about 50 are the header: rates are quoted on these real bytes.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

VERSION = 4
"""Version of the layout that `pack` writes: symbols of all kinds are one payload."""

BY_KIND = 3
"""Version that `unpack` reads too: each kind of symbols is a payload. In older ones machines could differ."""

_MAGIC = b"RDPD"
_DIGEST_BYTES = 16
_RATE = struct.Struct("<f")
_NUMBERS = struct.Struct("<f5d")
_FLOATS = ("rate", "gain", "offset", "read_noise", "center", "scale")  # in this order
_CRC = struct.Struct("<I")
MAX_PIXELS = 20_000_000
"""Pixels of a tile, a tile of 4096 px with its halo: a larger one would not fit into usual memory."""

# The largest that a network and block means may give, stabilised units, and the largest count of that.
_REACH, _LARGEST = 2.0**30 * 4, 1e38
# Five bytes hold 35 bits, more than any tile needs; without a limit altered bytes could make huge integers.
_VARINT_BYTES = 5


class BitstreamError(ValueError):
    """Bytes that are not a complete, unaltered tile of this version and model."""


@dataclass(frozen=True)
class TileHeader:
    """What the decoder must know of a tile beside its symbols.

    Attributes:
        height: Height of the tile, pixels, at least 1.
        width: Width of the tile, pixels, at least 1; `MAX_PIXELS` with the height at most.
        rate: Position on the gain curve, 0 to 1, rounded to float32 when set, so that what was
            encoded and what is decoded use the same number.
        gain: Raw counts per detected photon, at least 0.
        offset: Raw counts without light.
        read_noise: Standard deviation without light, raw counts, above 0.
        center: Number subtracted after the variance is stabilised, stabilised units.
        scale: Factor after that, above 0 and at most 1.

    Raises:
        ValueError: If a size or number is out of its range or not finite, or counts would not be either.
    """

    height: int
    width: int
    rate: float
    gain: float
    offset: float
    read_noise: float
    center: float
    scale: float

    def __post_init__(self) -> None:
        """Check the numbers and round the rate."""
        for name in ("height", "width"):
            if not 1 <= (size := getattr(self, name)) < 2**32:
                raise ValueError(
                    f"{name} must be 1 or more pixels, got {size}; pass the shape of the coded tile"
                )
        if not 0.0 <= self.rate <= 1.0:
            raise ValueError(
                f"rate must be a number from 0 to 1, got {self.rate}; resolve 'auto' before coding"
            )
        for name in _FLOATS[1:]:
            if not math.isfinite(number := getattr(self, name)):
                raise ValueError(
                    f"{name} must be finite, got {number}; check the noise estimate of the image"
                )
        if self.height * self.width > MAX_PIXELS:
            raise ValueError(
                f"height and width must be at most {MAX_PIXELS} pixels together, got {self.height} x "
                f"{self.width}; code smaller tiles"
            )
        if self.gain < 0 or self.read_noise <= 0 or not 0 < self.scale <= 1:
            raise ValueError(
                "gain must be at least 0, read_noise above 0 and scale above 0 and at most 1, got "
                f"{self.gain}, {self.read_noise} and {self.scale}; check the noise estimate of the image"
            )
        if not self._largest() < _LARGEST:
            raise ValueError(
                f"{', '.join(_FLOATS[1:])} must give counts that are finite, got "
                f"{', '.join(f'{getattr(self, name):g}' for name in _FLOATS[1:])}; divide the image"
            )
        object.__setattr__(self, "rate", _RATE.unpack(_RATE.pack(self.rate))[0])

    def _largest(self) -> float:
        """Bound of what the decoder computes, raw counts."""
        reach = _REACH / self.scale + abs(self.center)
        if self.gain == 0:
            return reach * self.read_noise + abs(self.offset)
        read = self.read_noise / self.gain  # photo-electrons
        return (reach * reach + read * read) * max(self.gain, 1.0) + abs(self.offset)


@dataclass(frozen=True)
class CodedTile:
    """One tile as the entropy coder left it.

    Attributes:
        model_digest: 16 bytes that name the model whose decoder fits.
        header: Size, rate and normalisation of the tile.
        payloads: Strings of the coder, in the order in which the model reads them; each may be empty.
        version: Version of the layout, `VERSION` or `BY_KIND`, which says what the payloads are.
    """

    model_digest: bytes
    header: TileHeader
    payloads: tuple[bytes, ...]
    version: int = VERSION


def pack(tile: CodedTile) -> bytes:
    """Return the bytes of a coded tile.

    Raises:
        ValueError: If the model digest is not 16 bytes long.
    """
    if len(tile.model_digest) != _DIGEST_BYTES:
        raise ValueError(
            f"model_digest must be {_DIGEST_BYTES} bytes, got {len(tile.model_digest)}; use codec.digest"
        )
    header = tile.header
    numbers = _NUMBERS.pack(*(getattr(header, name) for name in _FLOATS))
    lengths = _varints([header.height, header.width, len(tile.payloads), *map(len, tile.payloads)])
    body = b"".join([_MAGIC, bytes([tile.version]), tile.model_digest, numbers, lengths, *tile.payloads])
    return body + _CRC.pack(zlib.crc32(body))


def unpack(data: bytes, model_digest: bytes | None = None) -> CodedTile:
    """Return the coded tile that `pack` wrote; ``data`` are all its bytes, with nothing before or after.

    Raises:
        BitstreamError: If the bytes are foreign, of a newer version, cut short, followed by others, altered
            or made by another model than that of the digest, if one is given. Each has its own message.
    """
    data = bytes(data)
    _check_origin(data)
    reader = _Reader(data)
    digest = reader.take(_DIGEST_BYTES)
    rate, gain, offset, read_noise, center, scale = _NUMBERS.unpack(reader.take(_NUMBERS.size))
    height, width, count = reader.varint(), reader.varint(), reader.varint()
    # Each payload has at least one length byte; this bounds the loop for altered counts.
    reader.need(count)
    lengths = [reader.varint() for _ in range(count)]
    reader.need(sum(lengths))
    payloads = tuple(reader.take(length) for length in lengths)
    reader.finish()
    if model_digest is not None and digest != model_digest:
        raise BitstreamError(
            f"data must be coded by the model at hand ({model_digest.hex()}), but was made by model "
            f"{digest.hex()}; load that model or encode the image again"
        )
    try:
        header = TileHeader(height, width, rate, gain, offset, read_noise, center, scale)
    except ValueError as error:
        raise BitstreamError(f"data holds an impossible header: {error}") from None
    return CodedTile(digest, header, payloads, data[len(_MAGIC)])


def _check_origin(data: bytes) -> None:
    """Refuse bytes that this layout does not describe."""
    start = data[: len(_MAGIC)]
    if start != _MAGIC[: len(start)]:
        raise BitstreamError(
            f"data must be a coded tile that starts with {_MAGIC!r}, got {start!r}; "
            "pass the bytes that Codec.compress returned"
        )
    if len(data) <= len(_MAGIC):
        raise _truncated(len(data))
    version = data[len(_MAGIC)]
    if version > VERSION:
        raise BitstreamError(
            f"data has layout version {version}, newer than {VERSION}, the newest known here; "
            "update napari-rdpdenoise"
        )
    if version not in (BY_KIND, VERSION):
        raise BitstreamError(
            f"data has layout version {version}, this version reads {BY_KIND} and {VERSION} only; encode the "
            "image again"
        )


def _truncated(length: int) -> BitstreamError:
    return BitstreamError(
        f"data is truncated: it ends after {length} bytes, within the tile; copy or encode it again"
    )


def _altered(why: str) -> BitstreamError:
    return BitstreamError(f"data was altered: {why}; copy or encode it again")


def _varints(values: Iterable[int]) -> bytes:
    """Base-128 bytes of non-negative integers, lowest first, the top bit set on all but the last."""
    out = bytearray()
    for value in values:
        while value > 0x7F:
            out.append(value & 0x7F | 0x80)
            value >>= 7
        out.append(value)
    return bytes(out)


class _Reader:
    """Takes a tile's bytes from front to back; the checksum stays out of reach until `finish`."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = len(_MAGIC) + 1
        self._end = len(data) - _CRC.size

    def need(self, size: int) -> None:
        if self._position + size > self._end:
            raise _truncated(len(self._data))

    def take(self, size: int) -> bytes:
        self.need(size)
        start, self._position = self._position, self._position + size
        return self._data[start : self._position]

    def varint(self) -> int:
        value = 0
        for index in range(_VARINT_BYTES):
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << (7 * index)
            if byte < 0x80:
                return value
        raise _altered("a length has too many bytes")

    def finish(self) -> None:
        if self._position != self._end:
            raise _altered(f"{self._end - self._position} bytes more than the tile has")
        (expected,) = _CRC.unpack_from(self._data, self._end)
        found = zlib.crc32(self._data[: self._end])
        if found != expected:
            raise _altered(f"the checksum must be {expected:08x} but is {found:08x}")
