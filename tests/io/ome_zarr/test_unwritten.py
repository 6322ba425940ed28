"""Chunks that nobody wrote, or that have other names than the metadata say, are not taken for dark planes."""

from __future__ import annotations

import json

import numpy as np
import pytest
import zarr

from napari_rdpdenoise.io import open_image


def array_of(path, data, zarr_format=2, separator="."):
    name = "v2" if zarr_format == 2 else "default"
    encoding = {"name": name, "separator": separator}
    shape, chunks = data.shape, (1,) * (data.ndim - 2) + (16, 16)
    array = zarr.create_array(
        path,
        shape=shape,
        chunks=chunks,
        dtype=data.dtype,
        zarr_format=zarr_format,
        chunk_key_encoding=encoding,
    )
    array[...] = data
    return path


def declare(path, separator):
    """Another separator in the metadata than in the names of the chunks."""
    file = next(path / name for name in (".zarray", "zarr.json") if (path / name).exists())
    said = json.loads(file.read_text())
    if file.name == ".zarray":
        said["dimension_separator"] = separator
    else:
        said["chunk_key_encoding"]["configuration"]["separator"] = separator
    file.write_text(json.dumps(said))


@pytest.mark.parametrize("shape", [(20, 30), (3, 20, 30), (2, 3, 20, 30)])
@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize(("written", "declared"), [(".", "/"), ("/", ".")])
def test_chunks_of_other_names_are_refused(tmp_path, image, shape, zarr_format, written, declared):
    path = array_of(tmp_path / "a.zarr", image(shape), zarr_format, written)
    open_image(path).close()
    declare(path, declared)
    with pytest.raises(
        ValueError, match=r"image: expected chunks of a with names like .*, found .*[01]; correct"
    ):
        open_image(path)


def test_an_array_that_nobody_wrote_to_is_told(tmp_path):
    path = array_of(tmp_path / "a.zarr", np.zeros((3, 20, 30), np.uint16))
    with pytest.warns(UserWarning, match="a: of the last 3 of 3 steps of the first axis nothing was written"):
        source = open_image(path)
    assert source.shape == (3, 20, 30)


def test_chunks_beyond_the_shape_are_no_other_names(tmp_path, image):
    path = array_of(tmp_path / "a.zarr", image((3, 20, 30)))
    for chunk in (*path.glob("0.*"), *path.glob("1.*")):
        chunk.unlink()
    said = json.loads((path / ".zarray").read_text())
    said["shape"][0] = 2
    (path / ".zarray").write_text(json.dumps(said))
    with pytest.warns(UserWarning, match="of the last 2 of 2 steps"):
        open_image(path)


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("separator", [".", "/"])
def test_chunks_that_are_missing_amid_others_are_counted(tmp_path, image, zarr_format, separator):
    path = array_of(tmp_path / "a.zarr", image((4, 20, 30)), zarr_format, separator)
    encode = zarr.open_array(path, mode="r").metadata.encode_chunk_key
    for chunk in ((1, 0, 0), (2, 1, 1)):
        (path / encode(chunk)).unlink()
    with pytest.warns(UserWarning, match="2 of its 16 chunk files are not there, .* read as that value, 0 "):
        source = open_image(path)
    assert not source.read((1,), slice(0, 16), slice(0, 16)).any()
