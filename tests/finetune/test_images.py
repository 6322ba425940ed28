"""Planes of what a user gives: arrays, files, folders; and what is refused."""

import numpy as np
import pytest
import tifffile
from skimage.io import imsave

from napari_rdpdenoise.finetune import images as planes_module
from napari_rdpdenoise.finetune import unread
from napari_rdpdenoise.finetune.images import MOST_PLANES, filled, refuse_constant, take_planes


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


def test_what_lies_in_one_stack_is_known(stack, tmp_path):
    for k in range(2):
        tifffile.imwrite(tmp_path / f"{k}.tif", stack)
        imsave(tmp_path / f"{k}.png", stack[0], check_contrast=False)
    assert sorted(
        map(take_planes(tmp_path, "noisy").stacks.count, take_planes(tmp_path, "noisy").stacks)
    ) == [
        *[1] * 2,
        *[3] * 6,
    ]
    assert len(set(take_planes(stack, "noisy").stacks)) == 1
    assert len(set(take_planes(list(stack), "noisy").stacks)) == 1  # planes of who knows what
    assert take_planes([stack, stack], "noisy").stacks == ("noisy[0]",) * 3 + ("noisy[1]",) * 3


class Recording:
    """An array that tells what is read of it."""

    def __init__(self, shape):
        self.shape, self.dtype, self.read = shape, np.dtype(np.uint16), []

    def __getitem__(self, index):
        self.read.append(index)
        return np.full(self.shape[-2:], sum(index), np.uint16)


def test_only_what_is_kept_is_read():
    given = Recording((4, MOST_PLANES, 64, 64))
    taken = take_planes(given, "noisy")
    assert len(given.read) == len(taken) == MOST_PLANES
    assert len(set(given.read)) == MOST_PLANES
    assert taken.left_out == 3 * MOST_PLANES


def test_only_files_that_are_kept_are_decoded(stack, tmp_path, monkeypatch):
    for k in range(6):
        imsave(tmp_path / f"{k}.png", stack[0] + k, check_contrast=False)
    monkeypatch.setattr(planes_module, "MOST_PLANES", 2)
    grey, read = unread._grey, []
    monkeypatch.setattr(unread, "_grey", lambda path: read.append(path.name) or grey(path))
    taken = take_planes(tmp_path, "noisy")
    assert read == list(taken.names) == ["0.png", "5.png"]
    np.testing.assert_array_equal(taken.planes[1], stack[0] + 5)


def test_thinned_planes_of_unequal_size_stay_below_the_most_pixels(monkeypatch):
    monkeypatch.setattr(planes_module, "MOST_PIXELS", 10 * 64 * 64)
    sizes = [64] * 10 + [256, 64]  # at the end, where an even share takes it
    taken = take_planes([np.zeros((n, 64)) for n in sizes], "noisy")
    assert 1 < len(taken) < len(sizes)
    assert taken.pixels <= 10 * 64 * 64


@pytest.mark.parametrize(("thin", "words"), [(False, "give fewer pairs"), (True, "crop it")])
def test_what_would_not_fit_in_memory_is_refused_before_it_is_read(thin, words):
    edge = 20_000
    given = Recording((2, edge, edge))
    with pytest.raises(ValueError, match=f"noisy: expected at most 300 million pixels.*{words}"):
        take_planes(given, "noisy", thin=thin)
    assert given.read == []


@pytest.mark.parametrize("value", [0.0, 300.0, np.nan])
def test_a_constant_plane_is_refused_by_name(stack, value):
    flat = np.full(stack.shape[1:], 300.0)
    flat[0, 0] = 300.0 if value == 300 else np.nan if np.isnan(value) else 301
    images = take_planes([stack[0], flat], "noisy")
    if value == 0:
        refuse_constant(images, "noisy")
    else:
        with pytest.raises(ValueError, match=r"noisy: .*one value 300 everywhere in noisy\[1\]"):
            refuse_constant(images, "noisy")


def test_planes_of_a_picture_are_known_to_be_colours(stack, tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", stack, photometric="rgb", planarconfig="separate")
    tifffile.imwrite(tmp_path / "b.tif", stack[0])
    assert take_planes(tmp_path / "a.tif", "noisy").of_pictures
    assert not take_planes(tmp_path / "b.tif", "noisy").of_pictures
    assert not take_planes(tmp_path, "noisy").of_pictures, "one of them is not"
    assert not take_planes(stack, "noisy").of_pictures, "an array has no names of axes"
