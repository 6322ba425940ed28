"""A thousand chunks with changed bytes: refused in words, or harmless; none hangs or fills the memory."""

from __future__ import annotations

import resource
import struct
import sys
import time
import zlib

import numpy as np
import pytest

from napari_rdpdenoise.store.chunk import decode_chunk
from napari_rdpdenoise.store.container import StoreError, pack, pack_chunk, unpack, unpack_chunk
from napari_rdpdenoise.store.reading import open_group
from napari_rdpdenoise.store.view import View

SHAPE, SECONDS = (1, 96, 112), 10


@pytest.fixture
def chunks(store, stack):
    """Chunks with all kinds of layers, as bytes."""
    image = stack(SHAPE)
    image[0, 50, 60] = 30000
    found = []
    for residual in ("1", "lossless", "none"):
        path = store(image, residual, name=f"{residual}.ome.zarr")
        array = open_group(path)["0"]
        assert array.shards is None
        found.append((path / "0" / "c" / "0" / "0" / "0").read_bytes())
    return found


def changed(rng, data):
    data = bytearray(data)
    for _ in range(rng.integers(1, 5)):
        place = rng.integers(len(data)) if rng.random() < 0.5 else rng.integers(min(len(data), 160))
        data[place] = rng.choice([0, 1, 127, 128, 255, rng.integers(256)])
    cut = rng.random()
    return bytes(data[: rng.integers(len(data))] if cut < 0.1 else data + b"\0" * (cut > 0.95))


def sealed(data):
    """With the checksum that an attacker would put there."""
    return data[:-4] + struct.pack("<I", zlib.crc32(data[:-4])) if len(data) > 4 else data


def mutated(rng, chunk, number):
    """Changes that the checksum sees, that it does not see, and within the latents alone."""
    if number % 4 == 0:
        return changed(rng, chunk)
    (tile,) = unpack_chunk(chunk, 1)
    if number % 4 < 3:
        return pack_chunk([sealed(changed(rng, tile))])
    parts = unpack(tile)
    latents = sealed(changed(rng, parts.latents))
    return pack_chunk([pack(type(parts)(**{**vars(parts), "latents": latents}))])


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no count of memory here")
def test_mutated_chunks_are_refused_or_harmless(chunks):
    rng = np.random.default_rng(0)
    views = [View(), View(layer="original"), View(0.5)]
    for chunk in chunks:
        decode_chunk(chunk, SHAPE, np.dtype("uint16"), 0, View(0.5))
    before, refused = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, 0
    for number in range(1000):
        data = mutated(rng, chunks[number % 3], number)
        began = time.monotonic()
        try:
            found = decode_chunk(data, SHAPE, np.dtype("uint16"), 0, views[rng.integers(3)])
        except StoreError as error:
            refused += 1
            assert str(error).startswith(("chunk: expected", "layer: expected")), error  # noqa: PT017
        except FileNotFoundError as error:
            assert str(error).startswith("model: expected"), error  # noqa: PT017
        else:
            assert found.shape == SHAPE
        assert time.monotonic() - began < SECONDS
    assert refused > 300
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 2 * before
