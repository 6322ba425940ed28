"""Tiles from anywhere, their checksums right: refused or decoded to numbers, never a crash or a hang."""

from __future__ import annotations

import dataclasses
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pytest

from napari_rdpdenoise.codec import Codec, Normalization, load_model
from napari_rdpdenoise.codec.bitstream import BitstreamError, CodedTile, pack, unpack
from napari_rdpdenoise.nn.entropy import Symbols
from napari_rdpdenoise.noise import NoiseModel

NORMALIZATION = Normalization(NoiseModel(2.0, 100.0, 3.0), 12.0, 1.0)
NUMBERS = 21  # offset of rate and normalisation in the bytes
MIB = 2**20


@pytest.fixture(params=["first format", "second format"])
def codec(request, tiny_model, tiny_series_model) -> Codec:
    """A small model of either format."""
    return load_model(tiny_model if request.param == "first format" else tiny_series_model, "cpu")


def coded(codec: Codec, shape=(70, 130), level=30.0) -> bytes:
    tile = np.random.default_rng(0).poisson(level, shape).astype(np.uint16) * 2 + 100
    return codec.compress(codec.encode([tile], NORMALIZATION, 0.7)[0])


def with_checksum(body: bytes) -> bytes:
    return body + struct.pack("<I", zlib.crc32(body))


def decoded_or_refused(codec: Codec, data: bytes) -> bool:
    """Whether it was decoded, then to finite numbers."""
    try:
        latents = codec.decompress(data)
    except BitstreamError:
        return False
    (image,) = codec.decode([latents])
    assert image["fidelity"].shape == latents.shape
    assert np.isfinite(image["fidelity"]).all()
    return True


def mutated(rng: np.random.Generator, data: bytes) -> bytes:
    """Some bytes changed, cut out, put in or doubled; a payload changed in place of all else."""
    tile, kind = unpack(data), rng.integers(0, 6)
    if kind < 2:  # anything, numbers and lengths included
        body = bytearray(data[:-4])
        for _ in range(rng.integers(1, 5)):
            body[rng.integers(NUMBERS if kind else 4, len(body))] = rng.integers(0, 256)
        return with_checksum(bytes(body))
    payloads = list(tile.payloads)
    place = rng.integers(0, len(payloads))
    old = payloads[place]
    at = int(rng.integers(0, len(old)))
    payloads[place] = {
        2: old[:at] + rng.bytes(int(rng.integers(1, 9))) + old[at + 4 :],
        3: old[: 4 * (at // 4)],
        4: old + rng.bytes(4 * int(rng.integers(1, 60))),
        5: old[:at] + bytes([rng.choice([0, 255])]) * (len(old) - at),
    }[int(kind)]
    return pack(dataclasses.replace(tile, payloads=tuple(payloads)))


def test_mutated_tiles_of_layout_3_are_refused_or_give_numbers():
    folder = Path(__file__).parents[1] / "support" / "streams"
    codec, rng, began = load_model(folder, "cpu"), np.random.default_rng(0), time.monotonic()
    with np.load(folder / "by_kind.npz") as kept:
        streams = [kept[f"{number}.bytes"].tobytes() for number in range(6)]
    assert all(unpack(data).version == 3 and decoded_or_refused(codec, data) for data in streams)
    results = [decoded_or_refused(codec, mutated(rng, streams[number % 6])) for number in range(120)]
    assert sum(results) < 60
    assert time.monotonic() - began < 60


@pytest.mark.parametrize("seed", range(4))
def test_mutated_tiles_are_refused_or_give_numbers(codec, seed):
    rng, data = np.random.default_rng(seed), coded(codec)
    began = time.monotonic()
    results = [decoded_or_refused(codec, mutated(rng, data)) for _ in range(100)]
    assert decoded_or_refused(codec, data)
    assert sum(results) < 50
    assert time.monotonic() - began < 60


@pytest.mark.parametrize("height", [71, 4096, 2**20, 2**32 - 1])
@pytest.mark.parametrize("width", [130, 131, 4096, 2**32 - 1])
def test_sizes_that_the_bytes_cannot_hold_are_refused_before_anything_is_allocated(codec, height, width):
    resource = pytest.importorskip("resource")
    tile = unpack(coded(codec))
    old = b"".join(_varint(n) for n in (tile.header.height, tile.header.width))
    body = pack(tile)[:-4]
    assert body.count(old) == 1
    new = b"".join(_varint(n) for n in (height, width))
    data = with_checksum(body.replace(old, new))
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    if -(-height // 64) * -(-width // 64) == 6:  # 131 px: the same number of symbols
        return
    with pytest.raises(BitstreamError):
        codec.decompress(data)
    assert time.monotonic() - began < 5
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < 64 * MIB


def _varint(number: int) -> bytes:
    parts = []
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*parts, number])


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("filler", [b"\0", b"\xff", b"\x0f", b"\xf0\xff"])
@pytest.mark.parametrize("length", [0, 4, 8, 4000, 400_000])
def test_streams_of_one_byte_are_refused(codec, place, filler, length):
    """Escapes without an end among them."""
    tile = unpack(coded(codec))
    payloads = list(tile.payloads)
    payloads[place] = (filler * length)[:length]
    with pytest.raises(BitstreamError):
        codec.decompress(pack(dataclasses.replace(tile, payloads=tuple(payloads))))


@pytest.mark.parametrize("values", [(-32768, 32767), (0, 0), (-300, 300)])
def test_symbols_come_back_whatever_they_are(codec, values):
    """All escapes among them."""
    import torch

    channels = codec._network.symbol_channels
    sizes = [(1, channels[0], 8, 4), (1, channels[1], 4, 2), *((1, c, 16, 8) for c in channels[2:])]
    rng = np.random.default_rng(0)
    parts = [torch.from_numpy(rng.choice(values, size).astype(np.int32)) for size in sizes]
    coder = codec._network.hyperprior
    (payloads,) = coder.encode(Symbols(*parts))
    for part, again in zip(parts, coder.decode(payloads, (4, 2)), strict=True):
        assert torch.equal(part, again)


def test_a_tile_of_another_number_of_payloads_is_refused(codec):
    tile = unpack(coded(codec))
    for payloads in ((), tile.payloads[:-1], (*tile.payloads, b"")):
        with pytest.raises(BitstreamError, match="payloads"):
            codec.decompress(pack(CodedTile(tile.model_digest, tile.header, payloads)))
