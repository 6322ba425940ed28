"""NumPy, dask and zarr arrays as sources."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
import zarr

from napari_rdpdenoise.io import open_image
from napari_rdpdenoise.io.arrays import ArraySource
from napari_rdpdenoise.io.source import SUPPORTED_DTYPES


def _numpy(array):
    return array


def _strided(array):
    return np.asfortranarray(array)


def _big_endian(array):
    return array.astype(array.dtype.newbyteorder(">"))


def _dask(array):
    return da.from_array(array, chunks=tuple(max(1, size // 2) for size in array.shape))


def _zarr(array):
    return zarr.array(array, chunks=tuple(max(1, size // 2) for size in array.shape))


KINDS = [_numpy, _strided, _big_endian, _dask, _zarr]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((1, 1), "YX"),
        ((13, 7), "YX"),
        ((7, 13), "XY"),
        ((3, 13, 7), "TYX"),
        ((13, 7, 3), "YXS"),
        ((13, 7, 2), "YXC"),
        ((2, 13, 3, 7), "TYZX"),
        ((2, 3, 2, 13, 7), "TZCYX"),
        ((2, 2, 3, 2, 5, 4), "QTZCYX"),
        ((1, 1, 1, 1, 1), "TCZYX"),
    ],
)
def test_any_region_equals_that_of_the_whole(kind, shape, axes, image, same_pixels):
    array = image(shape)
    same_pixels(open_image(kind(array), axes), array, axes)


@pytest.mark.parametrize("dtype", SUPPORTED_DTYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_dtype_is_read_as_it_is(kind, dtype, image, same_pixels):
    array = image((2, 9, 8), dtype)
    same_pixels(open_image(kind(array)), array, "TYX", regions=4)


@pytest.mark.parametrize(
    ("shape", "dtype", "axes"),
    [
        ((5, 6), "uint8", "YX"),
        ((4, 5, 6), "uint8", "TYX"),
        ((2, 4, 5, 6), "uint16", "TZYX"),
        ((2, 2, 4, 5, 6), "uint16", "TCZYX"),
        ((5, 6, 3), "uint8", "SYX"),
        ((5, 6, 4), "uint8", "SYX"),
        ((5, 6, 3), "uint16", "TYX"),
        ((2, 5, 6, 3), "uint8", "TSYX"),
    ],
)
def test_axes_assumed_for_arrays(shape, dtype, axes):
    assert open_image(np.zeros(shape, dtype)).metadata.axes == axes


def test_dask_computes_only_the_chunks_touched():
    computed = []

    def block(block_info=None):
        computed.append(block_info[None]["chunk-location"])
        return np.zeros(block_info[None]["chunk-shape"], np.uint16)

    lazy = da.map_blocks(
        block, chunks=((1,) * 6, (8,) * 4, (8,) * 4), dtype=np.uint16, meta=np.zeros((), "u2")
    )
    source = open_image(lazy)
    assert computed == []
    source.read((4,), slice(7, 9), slice(16, 24))
    assert sorted(computed) == [(4, 0, 2), (4, 1, 2)]


@pytest.mark.parametrize("kind", [_numpy, _dask, _zarr])
def test_fingerprint_tells_contents_apart(kind, image):
    one, same, other = (kind(image((2, 5, 6), seed=seed)) for seed in (0, 0, 1))
    assert open_image(one).fingerprint() == open_image(same).fingerprint()
    assert open_image(one).fingerprint() != open_image(other).fingerprint()
    assert open_image(one, "ZYX").fingerprint() != open_image(one, "TYX").fingerprint()


def test_source_is_returned_as_it_is():
    source = open_image(np.zeros((4, 5), np.uint8))
    assert open_image(source) is source
    assert open_image(source, "yx") is source
    with pytest.raises(ValueError, match=r"expected YX.*found XY"):
        open_image(source, "XY")


@pytest.mark.parametrize(
    ("array", "error", "message"),
    [
        (np.zeros(5, np.uint8), ValueError, "at least 2 dimensions"),
        (np.zeros((), np.uint8), ValueError, "at least 2 dimensions"),
        (np.zeros((0, 5), np.uint8), ValueError, r"at least one pixel.*\(0, 5\)"),
        (np.zeros((3, 0, 5, 5), np.uint8), ValueError, "at least one pixel"),
        (np.zeros((5, 5), bool), TypeError, "found bool; a mask"),
        (np.zeros((5, 5), complex), TypeError, "found complex128"),
        (np.zeros((5, 5), object), TypeError, "found object"),
        (np.zeros((1,) * 6, np.uint16), ValueError, "axes"),
        ([[1, 2], [3, 4]], TypeError, r"found builtins.list; convert it with numpy.asarray"),
        (5, TypeError, "found builtins.int"),
    ],
)
def test_what_is_no_image_is_refused(array, error, message):
    with pytest.raises(error, match=message):
        open_image(array)


def test_npy_file_is_mapped(tmp_path, image, same_pixels):
    array = image((3, 9, 8))
    np.save(tmp_path / "stack.npy", array)
    source = open_image(tmp_path / "stack.npy")
    same_pixels(source, array, "TYX")
    assert source.metadata.name == "stack"


def test_path_errors_say_what_was_expected(tmp_path):
    with pytest.raises(FileNotFoundError, match="found nothing at"):
        open_image(tmp_path / "none.tif")
    (tmp_path / "note.txt").write_text("no image")
    with pytest.raises(ValueError, match=r"expected a TIFF.*another kind"):
        open_image(tmp_path / "note.txt")
    with pytest.raises(ValueError, match="another kind"):
        open_image(tmp_path)


def test_what_a_masked_array_hides_is_invalid():
    array = np.arange(24, dtype=np.uint16).reshape(2, 3, 4)
    hidden, given = array > 20, array[0] < 2
    source = ArraySource(np.ma.masked_array(array, hidden), invalid=given)
    whole = slice(0, 3), slice(0, 4)
    for t in range(2):
        assert (source.read((t,), *whole) == array[t]).all()
        assert (source.read_invalid((t,), *whole) == (hidden[t] | given)).all()
    assert ArraySource(np.ma.masked_array(array, False)).fingerprint() != source.fingerprint()
    assert not ArraySource(np.ma.masked_array(array)).read_invalid((0,), *whole).any()


def test_a_shape_that_is_not_known_is_refused():
    array = da.from_array(np.arange(24).reshape(6, 4).astype("u2"), chunks=(2, 4))
    with pytest.raises(ValueError, match=r"image: expected a known shape, found .*nan"):
        ArraySource(array[array[:, 0] > 3])
