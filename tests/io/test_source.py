"""Axes, dtypes and selections: what is accepted, and what each refusal says."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
import zarr
from hypothesis import given
from hypothesis import strategies as st

from napari_rdpdenoise.io import ImageSource, SelectedSource, check_dtype, list_images, open_image, planes
from napari_rdpdenoise.io.source import SUPPORTED_DTYPES, Layout
from napari_rdpdenoise.io.units import unit_name


@given(st.permutations("TZCYXS"), st.integers(0, 4), st.randoms())
def test_layout_presents_any_order_of_axes_with_rows_and_columns_last(letters, dropped, random):
    kept = [letter for letter in letters if letter in "YX" or random.random() > dropped / 5]
    axes, shape = "".join(kept), tuple(random.randint(1, 4) for _ in kept)
    array = np.arange(np.prod(shape)).reshape(shape)
    layout = Layout(axes, shape)
    expected = np.transpose(array, [axes.index(letter) for letter in layout.axes])
    index = tuple(random.randrange(size) for size in layout.shape[:-2])
    block = layout.orient(array[layout.key(index, slice(None), slice(None))])
    assert layout.shape == expected.shape
    np.testing.assert_array_equal(block, expected[index])


@pytest.mark.parametrize("dtype", SUPPORTED_DTYPES)
def test_supported_dtypes_come_back_in_native_order(dtype):
    assert check_dtype(np.dtype(dtype).newbyteorder(">")) == np.dtype(dtype)
    assert check_dtype(np.dtype(dtype).newbyteorder(">")).isnative


@pytest.mark.parametrize("dtype", ["bool", "complex64", "object", "int64", "uint64", "datetime64[s]"])
def test_other_dtypes_are_refused_by_name(dtype):
    with pytest.raises(
        TypeError, match=f"expected dtype uint8.*found {np.dtype(dtype).name}".replace("[", r"\[")
    ):
        check_dtype(dtype)


@pytest.mark.parametrize("text", ["µm", "um", "\\u00B5m", "micron", "micrometer", "μm"])
def test_spellings_of_micrometre_are_one_unit(text):
    assert unit_name(text) == "micrometer"


@pytest.mark.parametrize("text", [None, "", "pixel", "reference frame"])
def test_no_unit_is_none(text):
    assert unit_name(text) is None


def test_planes_are_all_of_them_or_those_asked_for():
    source = open_image(np.zeros((3, 2, 4, 5), np.uint8), "TCYX")
    assert isinstance(source, ImageSource)
    assert list(planes(source)) == [(t, c) for t in range(3) for c in range(2)]
    assert list(planes(source, channels=[1], time=(1, 3))) == [(1, 1), (2, 1)]
    assert list(planes(open_image(np.zeros((4, 5), np.uint8)))) == [()]


def test_colour_samples_are_chosen_like_channels():
    source = open_image(np.zeros((6, 7, 3), np.uint8))
    assert list(planes(source, channels=[2])) == [(2,)]


@pytest.mark.parametrize(
    ("channels", "time", "message"),
    [
        ([2], None, r"channels: .* 0 to 1, found \(2,\)"),
        ([0, 0], None, "channels: expected different"),
        ([], None, "channels"),
        (None, (0, 4), r"time: .* <= 3, found 0:4"),
        (None, (2, 2), "time"),
    ],
)
def test_planes_that_are_not_there_are_refused(channels, time, message):
    source = open_image(np.zeros((3, 2, 4, 5), np.uint8), "TCYX")
    with pytest.raises(ValueError, match=message):
        planes(source, channels, time)


def test_channels_of_an_image_without_any():
    source = open_image(np.zeros((3, 4, 5), np.uint8), "TYX")
    assert len(planes(source, channels=[0])) == 3
    with pytest.raises(ValueError, match="0 to 0"):
        planes(source, channels=[1])


@pytest.mark.parametrize("sizes", [(), (1,), (3,), (2, 3), (2, 1, 4)])
def test_planes_are_counted_and_found_by_number(sizes):
    found = planes(open_image(np.zeros((*sizes, 4, 5), np.uint8), "TZCQ"[: len(sizes)] + "YX"))
    assert len(found) == len(list(found)) == int(np.prod(sizes))
    assert [found[k] for k in range(len(found))] == list(found) == list(np.ndindex(*sizes))
    assert found[-1] == list(found)[-1]
    assert found[1:3] == list(found)[1:3]
    with pytest.raises(IndexError):
        found[len(found)]


def test_selection_is_a_source_of_the_selected_planes(image):
    array = image((4, 3, 5, 6))
    whole = open_image(array, "TCYX")
    part = SelectedSource(whole, channels=[2, 0], time=(1, 3))
    assert isinstance(part, ImageSource)
    assert part.shape == (2, 2, 5, 6)
    expected = array[1:3][:, [2, 0]]
    for index in planes(part):
        block = part.read(index, slice(1, 4), slice(2, 6))
        np.testing.assert_array_equal(block, expected[index][1:4, 2:6])
    assert part.fingerprint() != SelectedSource(whole, channels=[2, 1], time=(1, 3)).fingerprint()


@pytest.mark.parametrize("index", [(), (0,), (0, 3), (0, -1), (0, 0, 0)])
def test_index_that_names_no_plane_is_refused(index):
    source = open_image(np.zeros((2, 3, 4, 5), np.uint8), "TCYX")
    with pytest.raises(IndexError, match="one integer per axis 'TC'"):
        source.read(index, slice(0, 1), slice(0, 1))


def test_stepped_slices_are_refused():
    with pytest.raises(IndexError, match="step"):
        open_image(np.zeros((4, 5), np.uint8)).read((), slice(0, 4, 2), slice(None))


@pytest.mark.parametrize("name", ["a b.tif", "a b.npy", "a b.zarr"])
def test_files_are_opened_by_their_addresses_as_well(tmp_path, name, image, same_pixels):
    array, path = image((20, 30)), tmp_path / name
    if name.endswith("tif"):
        tifffile.imwrite(path, array, photometric="minisblack")
    elif name.endswith("npy"):
        np.save(path, array)
    else:
        zarr.create_array(path, shape=array.shape, dtype=array.dtype)[...] = array
    for address in (f"file://{path.as_posix()}", path.as_uri()):
        source = open_image(address)
        same_pixels(source, array, "YX")
        source.close()
        assert [info.shape for info in list_images(address)] == [(20, 30)]
