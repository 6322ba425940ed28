"""A chunk that becomes more than its array says is refused before it takes memory."""

from __future__ import annotations

import gzip
import zlib

import numpy as np
import pytest
import zarr

from napari_rdpdenoise.io import open_image
from napari_rdpdenoise.io.ome_zarr.inflation import check_inflation

PIXELS = np.random.default_rng(0).poisson(40, (4, 64, 64)).astype(np.uint16)
KINDS = {"zlib": (2, "zlib"), "gzip": (2, "gzip"), "gzip in version 3": (3, "gzip")}


def write(path, kind, chunks=(1, 64, 64)):
    import numcodecs
    from zarr.codecs import GzipCodec

    version, name = KINDS[kind]
    codec = GzipCodec() if version == 3 else numcodecs.get_codec({"id": name})
    array = zarr.create_array(
        path, shape=PIXELS.shape, chunks=chunks, dtype="u2", zarr_format=version, compressors=codec
    )
    array[...] = PIXELS
    return path / ("c/2/0/0" if version == 3 else "2.0.0")


def packed(kind, size):
    data = bytes(size)
    return zlib.compress(data, 9) if kind == "zlib" else gzip.compress(data, 9)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [10**6, 80 * 10**6, 2**28])
def test_bombs_are_refused_with_file_and_plane(tmp_path, kind, size):
    """Whether the file itself is too large already, or only what it becomes."""
    write(tmp_path / "a.zarr", kind).write_bytes(packed(kind, size))
    image = open_image(tmp_path / "a.zarr")
    np.testing.assert_array_equal(image.read((1,), slice(0, 64), slice(0, 64)), PIXELS[1])
    with pytest.raises(ValueError, match=r"expected to read plane \(2,\) of a, found it damaged"):
        image.read((2,), slice(0, 64), slice(0, 64))


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_told_before_anything_is_decoded(tmp_path, kind):
    write(tmp_path / "a.zarr", kind).write_bytes(packed(kind, 2**28))
    with pytest.raises(ValueError, match="chunk"):
        check_inflation(zarr.open_array(tmp_path / "a.zarr", mode="r"), (2, 0, 0))


@pytest.mark.parametrize("kind", KINDS)
def test_whole_chunks_of_any_content_pass(tmp_path, kind, monkeypatch):
    monkeypatch.setattr("napari_rdpdenoise.io.ome_zarr.inflation._ALLOWED", 0)
    write(tmp_path / "a.zarr", kind, (3, 40, 64))
    image = open_image(tmp_path / "a.zarr")
    for number, plane in enumerate(PIXELS):
        np.testing.assert_array_equal(image.read((number,), slice(0, 64), slice(0, 64)), plane)


@pytest.mark.parametrize("shards", [None, (2, 64, 64)])
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_folder_in_the_place_of_a_chunk_is_no_empty_chunk(tmp_path, zarr_format, shards):
    if zarr_format == 2 and shards:
        return
    array = zarr.create_array(
        tmp_path / "a.zarr", shape=(4, 64, 64), chunks=(1, 64, 64), shards=shards, dtype="u2",
        zarr_format=zarr_format,
    )  # fmt: skip
    array[...] = PIXELS
    file = next(p for p in sorted((tmp_path / "a.zarr").rglob("*")) if p.is_file() and p.suffix != ".json")
    file = next(p for p in (file.parent / "0", file.parent / "0.0.0", file) if p.is_file())
    file.unlink()
    (file / "moved here").mkdir(parents=True)
    source = open_image(tmp_path / "a.zarr")
    np.testing.assert_array_equal(source.read((3,), slice(0, 64), slice(0, 64)), PIXELS[3])
    with pytest.raises(ValueError, match=r"plane \(0,\) of a, found it damaged \(a folder in the place of"):
        source.read((0,), slice(0, 64), slice(0, 64))
