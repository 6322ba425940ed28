"""Borders that repeat the image are found, whatever their width and side; image never is."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_rdpdenoise.io import open_image
from napari_rdpdenoise.noise import estimate_noise
from napari_rdpdenoise.noise.invalid import screen
from napari_rdpdenoise.noise.invalid_sample import screen_sample
from napari_rdpdenoise.noise.repeated import find_repeated, has_repeated
from napari_rdpdenoise.stream.sample import sample_channel
from tests.noise.test_invalid import FOLDERS
from tests.support.exposures import exposure, stored

SIDES = {
    "top": ((40, 0), (0, 0)),
    "bottom": ((0, 1), (0, 0)),
    "left": ((0, 0), (2, 0)),
    "right": ((0, 0), (0, 30)),
    "corner": ((25, 0), (0, 17)),
    "all around": ((3, 5), (7, 20)),
}


def padded(side, mode, dtype="u2"):
    """An exposure of which a part is image, and where that is."""
    counts, _ = exposure(shape=(200, 200), peak=60)
    widths = SIDES[side]
    inside = tuple(slice(before, 200 - after) for before, after in widths)
    border = np.ones((200, 200), bool)
    border[inside] = False
    return np.pad(stored(counts, dtype)[inside], widths, mode=mode), border


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
@pytest.mark.parametrize("side", SIDES)
def test_rows_and_columns_that_repeat_the_edge_are_found(side, dtype):
    image, border = padded(side, "edge", dtype)
    assert has_repeated([image])
    assert np.array_equal(find_repeated(image), border)


@pytest.mark.parametrize("mode", ["mean", "median", "maximum"])
def test_so_is_what_columns_have_in_common(mode):
    image, border = padded("corner", mode, "f4")
    assert has_repeated([image])
    found = find_repeated(image)
    assert found[border].mean() > 0.95
    assert not found[~border].any()


@pytest.mark.parametrize("order", [0, 1])
def test_also_where_the_image_was_moved_by_parts_of_a_pixel(order):
    counts, _ = exposure(shape=(200, 200), peak=60)
    moved = ndimage.shift(counts, (20.4, -9.3), order=order, mode="nearest")
    for dtype in ("u2", "f4"):
        found = find_repeated(stored(moved, dtype))
        assert found[:19].all()
        assert found[:, -8:].all()
        assert not found[22:, :-11].any()


def test_the_noise_is_measured_as_without_them():
    image, border = padded("all around", "edge")
    image[:60] = image[60]
    border[:60] = True
    rule, (found,) = screen_sample([image])
    assert rule.repeated
    assert np.array_equal(found.regions, border)
    expected = estimate_noise([image[60:-5, 7:-20]])
    for level in (110.0, 150.0, 200.0):
        assert rule.noise.variance(level) == pytest.approx(expected.variance(level), rel=0.15)


def test_tiles_decide_as_the_plane_does():
    image = np.pad(stored(exposure(shape=(250, 220))[0], "u2"), ((70, 0), (0, 100)), mode="edge")
    rule, (whole,) = screen_sample([image])
    for y in range(0, 320, 64):
        for x in range(0, 320, 64):
            rows, columns = (slice(max(n - 64, 0), n + 128) for n in (y, x))
            part = screen(image[rows, columns], rule)
            own, all_of_it = np.s_[y - rows.start :, x - columns.start :], np.s_[y : y + 64, x : x + 64]
            found = np.zeros((64, 64), bool) if part.regions is None else part.regions[own][:64, :64]
            assert np.array_equal(found, whole.regions[all_of_it])


def test_it_is_told_in_one_line_and_not_taken_for_an_enlarged_image():
    image, _ = padded("corner", "edge")
    (told,) = sample_channel(open_image(image)).left_alone()
    assert "repeat" in told
    assert "not image (20 % of the sample)" in told


def test_who_wants_every_number_as_image_has_it():
    image, _ = padded("corner", "edge")
    rule, (found,) = screen_sample([image], "none")
    assert not rule.repeated
    assert found.regions is None


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
def test_image_is_image(dtype):
    """Also black and saturated parts, rows that are there twice, and images that were enlarged."""
    image = stored(exposure(shape=(200, 200))[0], dtype)
    doubled = image.copy()
    doubled[90] = doubled[91]
    twice, rows = np.kron(image[:100, :100], np.ones((2, 2), dtype)), np.repeat(image[:100], 2, axis=0)
    quarter = np.repeat(image[:160], [1, 1, 1, 2] * 40, axis=0)
    dim = stored(np.clip(image - 118.0, 0, 60), dtype)
    for kind in (image, doubled, twice, rows, quarter, dim, np.zeros_like(image)):
        assert not has_repeated([kind])
    assert not find_repeated(doubled).any()


@pytest.mark.parametrize("folder", FOLDERS)
def test_real_images_are_image(data_folder, folder):
    from skimage.io import imread

    paths = sorted((data_folder / "data" / "train" / folder).glob("*.png"))
    assert not any(has_repeated([imread(path)]) for path in paths[:: max(1, len(paths) // 10)])


def test_small_and_missing():
    assert not has_repeated([])
    assert not has_repeated([np.ones((5, 7), np.uint8), np.full((60, 60), np.nan, np.float32)])


def with_bar(dtype, length, width, along=0):
    """An exposure into which a strip of grey levels was drawn, and where that is."""
    counts, _ = exposure(shape=(200, 200), peak=60)
    image, bar = stored(counts / 2 if dtype == "u1" else counts, dtype), np.zeros((200, 200), bool)
    levels = stored(np.linspace(255, 0, length), dtype)[:, None]
    place = slice(30, 30 + length), slice(170, 170 + width)
    for part, value in ((image, levels), (bar, True)):
        (part.T if along else part)[place] = value
    return image, bar


@pytest.mark.parametrize("along", [0, 1])
@pytest.mark.parametrize(
    ("dtype", "length", "width"), [("u1", 140, 12), ("u1", 90, 8), ("u2", 140, 20), ("f4", 140, 12)]
)
def test_a_calibration_bar_is_no_image_and_its_levels_are_no_noise(dtype, length, width, along):
    image, bar = with_bar(dtype, length, width, along)
    rule, (found,) = screen_sample([image])
    assert rule.repeated
    assert found.regions is not None
    assert np.array_equal(found.regions, bar)
    without = screen_sample([with_bar(dtype, length, 0)[0]])[0].noise
    level = float(np.median(image))
    assert rule.noise.variance(level) == pytest.approx(without.variance(level), rel=0.05)


def test_rows_that_are_there_twice_or_everywhere_are_no_calibration_bar():
    counts, _ = exposure(shape=(200, 200), peak=60)
    image = stored(counts, "u2")
    image[100:104] = image[100]
    assert not has_repeated([image])
    assert not has_repeated([np.repeat(image[::8], 8, axis=0)])
