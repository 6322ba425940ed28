"""The tile container: nothing is lost, and nothing damaged is accepted."""

from __future__ import annotations

import math
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_rdpdenoise.codec.bitstream import (
    BY_KIND,
    VERSION,
    BitstreamError,
    CodedTile,
    TileHeader,
    pack,
    unpack,
)

headers = st.builds(
    TileHeader,
    height=st.integers(1, 4400),
    width=st.integers(1, 4400),
    rate=st.floats(0, 1),
    gain=st.floats(0.001, 1e9) | st.just(0.0),
    offset=st.floats(-1e12, 1e12),
    read_noise=st.floats(1e-6, 1e12),
    center=st.floats(-1e9, 1e9),
    scale=st.floats(1e-3, 1),
)
tiles = st.builds(
    CodedTile,
    model_digest=st.binary(min_size=16, max_size=16),
    header=headers,
    payloads=st.lists(st.binary(max_size=300), max_size=4).map(tuple),
    version=st.sampled_from([BY_KIND, VERSION]),
)
DIGEST = bytes(range(16))
HEADER = TileHeader(1216, 1200, 0.35, 2.1, 100.0, 1.6, 12.5, 0.25)
TILE = CodedTile(DIGEST, HEADER, (b"hyper", b"", b"latent" * 50))


@given(tiles)
def test_what_is_packed_comes_back(tile: CodedTile) -> None:
    assert unpack(pack(tile)) == tile
    assert unpack(memoryview(pack(tile)), tile.model_digest) == tile


def test_the_overhead_is_small() -> None:
    header_bytes = struct.calcsize("<f5d") + 2 + 2
    overhead = len(pack(TILE)) - sum(map(len, TILE.payloads)) - header_bytes
    assert overhead < 60
    assert overhead + header_bytes < 85  # 0.0007 bits per pixel of a 1024 x 1024 tile


@given(tiles, st.data())
def test_any_altered_byte_is_refused(tile: CodedTile, data: st.DataObject) -> None:
    packed = bytearray(pack(tile))
    position = data.draw(st.integers(0, len(packed) - 1))
    packed[position] ^= data.draw(st.integers(1, 255))
    with pytest.raises(BitstreamError):
        unpack(bytes(packed))


@given(tiles, st.data())
def test_any_cut_is_refused(tile: CodedTile, data: st.DataObject) -> None:
    packed = pack(tile)
    with pytest.raises(BitstreamError, match="truncated"):
        unpack(packed[: data.draw(st.integers(0, len(packed) - 1))])


@given(st.binary(max_size=200))
def test_foreign_bytes_raise_nothing_but_the_error(data: bytes) -> None:
    with pytest.raises(BitstreamError):
        unpack(data)
    with pytest.raises(BitstreamError):
        unpack(b"RDPD" + bytes([VERSION]) + data)


def _with_checksum(body: bytes) -> bytes:
    return body + struct.pack("<I", zlib.crc32(body))


def test_each_refusal_has_its_own_message() -> None:
    packed = pack(TILE)
    flipped = packed[:-20] + bytes([packed[-20] ^ 1]) + packed[-19:]
    newer = packed[:4] + bytes([VERSION + 1]) + packed[5:]
    zero = packed[:4] + b"\0" + packed[5:]
    no_height = packed[:65] + b"\0" + packed[67:-4]
    cases = [
        (b"II*\0" + packed[4:], r"must be a coded tile that starts with b'RDPD', got b'II\*\\x00'; pass"),
        (newer, r"layout version 5, newer than 4.*update napari-rdpdenoise"),
        (zero, r"layout version 0, this version reads 3 and 4 only"),
        (packed[:-1], r"truncated: it ends after \d+ bytes"),
        (b"", r"truncated: it ends after 0 bytes"),
        (packed + b"xy", r"altered: 2 bytes more"),
        (flipped, r"altered: the checksum must be"),
        (packed[:65] + b"\xff" * 10 + packed[75:], r"altered: a length has too many bytes"),
        (_with_checksum(no_height), r"impossible header: height must be 1 or more pixels, got 0"),
    ]
    for data, message in cases:
        with pytest.raises(BitstreamError, match=message):
            unpack(data, DIGEST)


def test_another_model_is_refused_by_name() -> None:
    other = DIGEST[::-1]
    message = f"model at hand \\({other.hex()}\\), but was made by model {DIGEST.hex()}; load that model"
    with pytest.raises(BitstreamError, match=message):
        unpack(pack(TILE), other)


def test_damage_is_not_mistaken_for_another_model() -> None:
    packed = pack(TILE)
    with pytest.raises(BitstreamError, match="altered"):
        unpack(packed[:5] + b"\xff" + packed[6:], DIGEST)


@given(st.floats(0, 1))
def test_the_rate_is_float32_from_the_start(rate: float) -> None:
    header = TileHeader(1, 1, rate, 1, 0, 1, 0, 1)
    assert header.rate == struct.unpack("<f", struct.pack("<f", rate))[0]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("height", 0, "height must be 1 or more pixels, got 0"),
        ("width", -3, "width must be 1 or more pixels, got -3"),
        ("rate", 1.5, "rate must be a number from 0 to 1, got 1.5"),
        ("rate", math.nan, "rate must be a number from 0 to 1, got nan"),
        ("gain", math.inf, "gain must be finite, got inf"),
        ("scale", math.nan, "scale must be finite, got nan"),
        ("height", 2**32 - 1, "at most 20000000 pixels together, got 4294967295 x 5"),
        ("scale", 0.0, "scale above 0 and at most 1, got 1.0, 1.0 and 0.0"),
        ("scale", 1.5, "scale above 0 and at most 1"),
        ("scale", 1e-300, "counts that are finite, .*, 1e-300; divide"),
        ("gain", -1.0, "gain must be at least 0"),
        ("gain", 1e300, "counts that are finite"),
        ("read_noise", 0.0, "read_noise above 0"),
        ("read_noise", 1e38, "counts that are finite"),
        ("center", 1e300, "counts that are finite"),
        ("offset", -1e300, "counts that are finite"),
    ],
)
def test_impossible_headers_are_refused(name: str, value: float, message: str) -> None:
    numbers = dict.fromkeys(("rate", "gain", "offset", "read_noise", "center", "scale"), 1.0)
    with pytest.raises(ValueError, match=message):
        TileHeader(**{"height": 5, "width": 5, **numbers, name: value})


def test_a_digest_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="model_digest must be 16 bytes, got 4"):
        pack(CodedTile(b"abcd", HEADER, ()))
