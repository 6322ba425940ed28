"""Claims that no file can keep, and files that are damaged inside: named errors, before memory is taken."""

from __future__ import annotations

import json
import os
import struct
import sys
import time
import warnings
import zlib

import numpy as np
import pytest
import tifffile

from napari_rdpdenoise.io import open_image
from napari_rdpdenoise.io.lazy import lazy_source
from napari_rdpdenoise.io.limits import opening, words
from napari_rdpdenoise.settings import RunSettings
from napari_rdpdenoise.stream import output_spec


def write_tiff(path, shape, data=bytes(64), compression=1, count=None):
    """A TIFF of one strip of 16-bit pixels, whatever its size."""
    height, width = shape
    tags = [(256, width), (257, height), (258, 16), (259, compression), (262, 1), (273, 122), (277, 1)]
    tags += [(278, height), (279, len(data) if count is None else count)]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    path.write_bytes(struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + bytes(4) + data)
    return path


def write_zarr(path, shape, chunks, compressor=None, **more):
    path.mkdir()
    meta = {"zarr_format": 2, "shape": shape, "chunks": chunks, "dtype": "<u2", "compressor": compressor}
    (path / ".zarray").write_text(
        json.dumps({**meta, "fill_value": 0, "order": "C", "filters": None, **more})
    )
    return path


def ome(size):
    pixels = f'DimensionOrder="XYCZT" Type="uint16" SizeX="16" SizeY="16" SizeZ="1" SizeC="1" SizeT="{size}"'
    return (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
        f'<Image ID="Image:0"><Pixels ID="Pixels:0" {pixels}><TiffData/></Pixels></Image></OME>'
    )


def one_page(path, description):
    tifffile.imwrite(path, np.zeros((16, 16), np.uint16), description=description, metadata=None)
    return path


def with_pipe(path):
    write_zarr(path, [4, 64, 64], [1, 64, 64])
    os.mkfifo(path / "2.0.0")
    return path


GIANTS = {
    "a terabyte in a strip": lambda f: write_tiff(f / "a.tif", (10**6, 10**6)),
    "a terabyte of nothing": lambda f: write_tiff(f / "a.tif", (10**6, 10**6), b"", 8),
    "a terabyte of few bytes": lambda f: write_tiff(f / "a.tif", (10**6, 10**6), zlib.compress(b"12"), 8),
    "ten gigabytes in a strip": lambda f: write_tiff(f / "a.tif", (70_000, 70_000), os.urandom(200_000), 8),
    "a terabyte of chunks": lambda f: write_zarr(f / "a.zarr", [10**6, 10**6], [1024, 1024]),
    "a terabyte in a chunk": lambda f: write_zarr(f / "a.zarr", [10**6, 10**6], [10**6, 10**6]),
    "a larger chunk than the image": lambda f: write_zarr(f / "a.zarr", [64, 64], [10**6, 10**6]),
    "ten million planes": lambda f: write_zarr(f / "a.zarr", [10**7, 16, 16], [1, 16, 16]),
    "chunks of nothing": lambda f: write_zarr(f / "a.zarr", [4, 64, 64], [0, 0, 0]),
    "chunks below nothing": lambda f: write_zarr(f / "a.zarr", [4, 64, 64], [-1, 64, 64]),
    "sizes below nothing": lambda f: write_zarr(f / "a.zarr", [-4, 64, 64], [1, 64, 64]),
    "too few chunk sizes": lambda f: write_zarr(f / "a.zarr", [4, 64, 64], [64, 64]),
    "an unknown compressor": lambda f: write_zarr(f / "a.zarr", [4, 64], [64, 64], {"id": "nothing"}),
    "an unknown type": lambda f: write_zarr(f / "a.zarr", [4, 64], [64, 64], dtype="<q9"),
    "no JSON": lambda f: write_text(f / "a.zarr", ".zarray", "{"),
    "other JSON": lambda f: write_text(f / "a.zarr", ".zarray", "[]"),
    "nothing in version 3": lambda f: write_text(f / "a.zarr", "zarr.json", ""),
    "other JSON in version 3": lambda f: write_text(f / "a.zarr", "zarr.json", '{"zarr_format": 3}'),
    "pipes for chunks": lambda f: with_pipe(f / "a.zarr"),
    "a mapped terabyte": lambda f: write_npy(f / "a.npy", (10**6, 10**6)),
    "a mapped size below nothing": lambda f: write_npy(f / "a.npy", (-4, 5)),
}


def write_text(path, name, text):
    path.mkdir()
    (path / name).write_text(text)
    return path


def write_npy(path, shape):
    head = repr({"descr": "<u2", "fortran_order": False, "shape": shape}).ljust(117) + "\n"
    path.write_bytes(b"\x93NUMPY\x01\0" + struct.pack("<H", len(head)) + head.encode() + bytes(64))
    return path


@pytest.mark.parametrize("make", GIANTS.values(), ids=GIANTS)
def test_refused_by_name_before_memory_is_taken(tmp_path, make):
    resource = pytest.importorskip("resource")
    path = make(tmp_path)
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    with pytest.raises(ValueError, match=r"(?s)^image: expected .*found .*\ba\b.*;|sizes") as error:
        open_image(path)
    assert "Traceback" not in str(error.value)
    assert time.monotonic() - began < 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024


@pytest.mark.parametrize("declared", [10**3, 10**6])
@pytest.mark.parametrize("kind", ["ome", "imagej", "shaped"])
def test_planes_that_are_declared_and_not_there_cost_nothing(tmp_path, kind, declared):
    description = {
        "ome": ome(declared),
        "imagej": f"ImageJ=1.53\nimages={declared}\nframes={declared}\nhyperstack=true\n",
        "shaped": json.dumps({"shape": [declared, 16, 16]}),
    }[kind]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = open_image(one_page(tmp_path / "a.tif", description))
    assert image.shape[-3:] in ((1, 16, 16), (16, 16))


def test_more_planes_than_can_be_planned_are_refused_in_words(tiny_codec):
    class Many:
        shape, dtype, ndim = (10**7, 16, 16), np.dtype(np.uint16), 3

        def __getitem__(self, key):
            return np.zeros((16, 16), np.uint16)

    from napari_rdpdenoise.io.arrays import ArraySource

    source = ArraySource(Many(), identity="many")
    with pytest.raises(ValueError, match=r"at most 2000000 planes or tiles .*found 10000000 .*--time A:B"):
        output_spec(source, RunSettings(), tiny_codec)
    output_spec(source, RunSettings(time=(0, 10)), tiny_codec)


def test_a_strip_larger_than_the_cache_is_decoded_once(tmp_path):
    pixels = np.arange(9000, dtype=np.uint16) + np.zeros((9000, 1), np.uint16)
    image = open_image(write_tiff(tmp_path / "a.tif", pixels.shape, zlib.compress(pixels.tobytes(), 1), 8))
    for y in (0, 4000, 8990):
        block = image.read((), slice(y, y + 10), slice(5, 3000))
        np.testing.assert_array_equal(block, pixels[y : y + 10, 5:3000])
    assert image._store.decoded == 1


@pytest.mark.filterwarnings("ignore:.*chunk files are not there")
@pytest.mark.parametrize("content", [b"", b"x", b"\0" * 10, zlib.compress(bytes(10**6)), os.urandom(4000)])
def test_a_damaged_chunk_is_named_with_its_plane(tmp_path, content):
    path = write_zarr(tmp_path / "cells.zarr", [3, 64, 64], [1, 64, 64], {"id": "zlib", "level": 1})
    (path / "2.0.0").write_bytes(content)
    image = open_image(path)
    assert not image.read((1,), slice(0, 64), slice(0, 64)).any()
    with pytest.raises(
        ValueError, match=r"image: expected to read plane \(2,\) of cells, found it damaged \(.*copy"
    ):
        image.read((2,), slice(0, 64), slice(0, 64))


@pytest.mark.parametrize("content", [b"x" * 100, zlib.compress(bytes(100)), os.urandom(4000)])
def test_a_damaged_strip_is_named_with_its_plane(tmp_path, content):
    image = open_image(write_tiff(tmp_path / "cells.tif", (64, 64), content, 8))
    words = r"image: expected to read plane \(\) of cells.tif \(from byte \d+ on\), found it damaged"
    with pytest.raises(ValueError, match=words):
        image.read((), slice(0, 64), slice(0, 64))


@pytest.mark.skipif(
    sys.platform == "win32" or os.getuid() == 0, reason="who may read everything sees no such error"
)
def test_a_file_that_may_not_be_read_is_named(tmp_path):
    path = write_zarr(tmp_path / "cells.zarr", [64, 64], [64, 64])
    (path / "0.0").write_bytes(bytes(8192))
    (path / "0.0").chmod(0)
    with pytest.raises(OSError, match=r"plane \(\) of cells cannot be read \(.*check the disk"):
        open_image(path).read((), slice(0, 64), slice(0, 64))


def test_a_file_that_was_deleted_since_it_was_opened_is_told_as_gone_not_as_a_fault_of_the_disk(tmp_path):
    path = tmp_path / "cells.tif"
    tifffile.imwrite(path, np.zeros((3, 64, 64), np.uint16), metadata={"axes": "TYX"})
    image = open_image(path)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"plane \(1,\) .*no file .*cells.tif any more; put it back"):
        image.read((1,), slice(0, 64), slice(0, 64))
    lazy = open_image(lazy_source(image, "cells"), axes="TYX")  # as napari holds it
    with pytest.raises(
        FileNotFoundError, match=r"^image: plane \(1,\) of cells.tif cannot .*cells.tif any more"
    ):
        lazy.read((1,), slice(0, 64), slice(0, 64))


def test_an_address_for_which_a_library_is_missing_is_not_called_damaged():
    with (
        pytest.raises(
            ValueError, match=r"can reach, found s3://b/a.zarr \(Install s3fs.*install what is missing"
        ),
        opening("s3://b/a.zarr", "an image"),
    ):
        raise ImportError("Install s3fs to access S3")


@pytest.mark.parametrize("name", ["", " "])
def test_an_empty_name_is_told_as_one(name):
    with pytest.raises(ValueError, match="image: expected a path, found an empty one"):
        open_image(name)


def test_sizes_are_told_in_units():
    assert [words(n) for n in (0, 999, 1000, 1.5e9, 2e12, 3e18)] == [
        "0 bytes",
        "999 bytes",
        "1 kB",
        "1.5 GB",
        "2 TB",
        "3000000 TB",
    ]
