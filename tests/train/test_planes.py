"""Planes of what a user gives: arrays, files, folders; and what is refused."""

import numpy as np
import pytest
import tifffile
from skimage.io import imsave

from napari_rdpdenoise.train.planes import MOST_PLANES, filled, take_planes


@pytest.fixture
def stack():
    return np.random.default_rng(0).integers(0, 4000, (3, 64, 80)).astype(np.uint16)


def test_array_file_folder_and_list_give_the_same_planes(stack, tmp_path):
    tifffile.imwrite(tmp_path / "stack.tif", stack)
    forms = [stack, tmp_path / "stack.tif", tmp_path, list(stack)]
    taken = [take_planes(form, "noisy") for form in forms]
    assert len({planes.fingerprints() for planes in taken}) == 1
    assert taken[0].pixels == stack.size


def test_a_colour_image_is_not_three_planes(stack, tmp_path):
    tifffile.imwrite(tmp_path / "rgb.tif", np.moveaxis(stack, 0, -1).astype(np.uint8), photometric="rgb")
    with pytest.raises(ValueError, match=r"colour image.*rgb\.tif"):
        take_planes(tmp_path / "rgb.tif", "noisy")


def test_many_planes_are_thinned_evenly_and_counted():
    planes = [np.full((64, 64), value, np.uint16) for value in range(2 * MOST_PLANES)]
    taken = take_planes(planes, "noisy")
    assert len(taken) == MOST_PLANES == taken.left_out
    values = [int(plane[0, 0]) for plane in taken.planes]
    assert (values[0], values[-1]) == (0, 2 * MOST_PLANES - 1)
    assert max(np.diff(values)) <= 3
    assert take_planes(planes, "noisy", thin=False).left_out == 0


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ([], ValueError, "noisy: expected at least one image"),
        (np.zeros(70), ValueError, r"noisy: .*\(70,\)"),
        (np.zeros((63, 80)), ValueError, "noisy: .*64 px"),
        (np.zeros((64, 64), complex), TypeError, "noisy: .*complex"),
        (np.full((64, 64), np.nan), ValueError, "noisy: .*finite"),
    ],
)
def test_what_is_of_no_use_is_refused_by_name(given, error, words):
    with pytest.raises(error, match=words):
        take_planes(given, "noisy")


def test_missing_values_are_filled_and_nothing_else(stack):
    plane = stack[0].astype(np.float32)
    plane[3, 4] = np.nan
    whole = filled(plane)
    assert whole[3, 4] == np.nanmedian(plane)
    assert np.array_equal(np.delete(whole, 4, axis=1), np.delete(plane, 4, axis=1))
    assert filled(stack) is stack  # nothing can be missing among integers


def test_a_png_is_taken_as_its_one_channel(stack, tmp_path):
    grey = (stack[0] // 16).astype(np.uint8)
    for name, image in (
        ("grey", grey),
        ("rgb", np.dstack([grey] * 3)),
        ("alpha", np.dstack([grey, grey // 2])),
    ):
        imsave(tmp_path / f"{name}.png", image, check_contrast=False)
        (plane,) = take_planes(tmp_path / f"{name}.png", "noisy").planes
        assert plane.dtype == np.uint8
        np.testing.assert_array_equal(plane, grey)
    imsave(tmp_path / "colours.png", np.moveaxis(stack, 0, -1).astype(np.uint8), check_contrast=False)
    with pytest.raises(ValueError, match=r"colour image.*colours\.png"):
        take_planes(tmp_path / "colours.png", "noisy")
