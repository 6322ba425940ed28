"""Borders that were filled by straight ramps are found, whatever their side and end; image never is."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_rdpdenoise.io import open_image
from napari_rdpdenoise.noise import estimate_noise, ramps
from napari_rdpdenoise.noise.invalid import screen
from napari_rdpdenoise.noise.invalid_sample import screen_sample
from napari_rdpdenoise.noise.ramps import find_ramps, ramp_tolerance
from napari_rdpdenoise.stream.sample import sample_channel
from napari_rdpdenoise.tiles import plan_tiles
from tests.noise.test_invalid import FOLDERS
from tests.support.exposures import exposure, stored

SIDES = {
    "top": ((30, 0), (0, 0)),
    "bottom": ((0, 8), (0, 0)),
    "left": ((0, 0), (20, 0)),
    "corner": ((25, 0), (0, 17)),
    "all around": ((40, 40), (40, 40)),
    "wide": ((0, 100), (0, 0)),
    "wide all around": ((64, 64), (64, 64)),
}


def padded(side, dtype="u2", end=0):
    """An exposure with a border, and where that is."""
    counts, _ = exposure(shape=(200, 200), peak=60)
    image = np.pad(stored(counts, dtype), SIDES[side], mode="linear_ramp", end_values=end)
    return image, np.pad(np.zeros((200, 200), bool), SIDES[side], constant_values=True)


@pytest.mark.parametrize("end", [0, 150])
@pytest.mark.parametrize("dtype", ["u1", "u2", "f4", "f8"])
@pytest.mark.parametrize("side", SIDES)
def test_ramps_are_found(side, dtype, end):
    image, border = padded(side, dtype, end)
    found = find_ramps(image, ramp_tolerance([image]))
    assert found[border].mean() > 0.97
    assert found[~border].sum() <= 4, "where an edge pixel goes on as the ramp by chance"


@pytest.mark.parametrize("end", [0, 150])
@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
def test_where_two_ramps_meet_no_gap_is_left(dtype, end):
    """Lines of two pixels were: what is filled around them is far from them, and they came out changed."""
    image, border = padded("corner", dtype, end)
    found = find_ramps(image, ramp_tolerance([image]))
    assert (border & ~found).sum() <= 2


@pytest.mark.parametrize("dtype", ["u2", "f4"])
@pytest.mark.parametrize("side", ["corner", "all around", "wide all around"])
def test_the_noise_is_measured_as_without_them(side, dtype):
    image, border = padded(side, dtype)
    rule, (found,) = screen_sample([image])
    assert rule.ramps is not None
    assert found.regions[border].mean() > 0.97
    expected = estimate_noise([image[~border].reshape(200, 200)])
    for level in (110.0, 150.0, 200.0):
        assert rule.noise.variance(level) == pytest.approx(expected.variance(level), rel=0.1)


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
def test_a_tile_without_any_takes_a_glance(dtype, monkeypatch):
    """It took more time than all else that is looked for."""
    image, _ = padded("all around", dtype)
    tolerance = ramp_tolerance([image])
    whole, last = find_ramps(image, tolerance), find_ramps(image[-80:], tolerance)
    assert last.any()
    monkeypatch.setattr(ramps, "_may_hold_ramps", lambda *_: True)
    assert np.array_equal(whole, find_ramps(image, tolerance))
    assert np.array_equal(last, find_ramps(image[-80:], tolerance))
    assert not find_ramps(image[40:-40, 40:-40], tolerance).any()
    monkeypatch.undo()
    monkeypatch.setattr(ramps, "_both_ways", pytest.fail)
    assert not find_ramps(image[40:-40, 40:-40], tolerance).any()


def test_the_largest_numbers_are_image():
    image = np.random.default_rng(0).choice([-1.5e308, 1.5e308], (200, 200))
    assert not find_ramps(image, 1.0).any()


def test_tiles_decide_as_the_plane_does():
    image, _ = padded("all around")
    rule, (whole,) = screen_sample([image])
    for y in range(0, 280, 70):
        for x in range(0, 280, 70):
            rows, columns = (slice(max(n - 64, 0), n + 134) for n in (y, x))
            part = screen(image[rows, columns], rule)
            own, all_of_it = np.s_[y - rows.start :, x - columns.start :], np.s_[y : y + 70, x : x + 70]
            found = np.zeros((70, 70), bool) if part.regions is None else part.regions[own][:70, :70]
            assert np.mean(found != whole.regions[all_of_it]) < 0.01


@pytest.mark.parametrize("tile", [64, 128])
@pytest.mark.parametrize("end", [0, 150])
def test_tiles_of_any_size_decide_alike(tile, end):
    """Sums that run on from the edge of a tile, rounded, decided where just half of a ramp is rough."""
    rng = np.random.default_rng(1)
    photons = 30 * np.exp(12 * ndimage.gaussian_filter(rng.normal(size=(256, 256)), 8))
    counts = 2 * rng.poisson(photons) + 100 + rng.normal(0, 4, photons.shape)
    image = np.pad(stored(counts, "u2"), 64, mode="linear_ramp", end_values=end)
    tolerance = ramp_tolerance([image])
    whole = find_ramps(image, tolerance)
    for part in plan_tiles(image.shape, tile, 64):
        assert np.array_equal(find_ramps(image[part.outer], tolerance)[part.core_in_outer], whole[part.core])


def test_it_is_told_in_one_line_and_stays_as_it_is():
    image, _ = padded("corner")
    (told,) = sample_channel(open_image(image)).left_alone()
    assert "straight ramps" in told
    assert "not image (18 % of the sample)" in told


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
def test_image_is_image(dtype):
    """Also what is smooth, dark or enlarged, and an illumination that fades in a straight line."""
    image = stored(exposure(shape=(200, 200))[0], dtype)
    rows = np.arange(200.0)[:, None]
    faded = stored(np.broadcast_to(100 + rows / 8, (200, 200)), dtype)
    striped = stored(faded + 0.4 * np.random.default_rng(0).normal(size=(200, 200)), dtype)
    enlarged = np.kron(image[:25, :25], np.ones((8, 8), dtype))
    bilinear = stored(
        np.array([np.interp(np.arange(200) / 8, np.arange(25), r) for r in image[:200, :25]]), dtype
    )
    block = image.copy()
    block[:, 150:] = block[:60] = 200
    for kind in (
        image,
        block,
        faded,
        striped,
        enlarged,
        bilinear,
        bilinear.T,
        image // 100,
        np.zeros_like(image),
    ):
        assert ramp_tolerance([kind]) is None


@pytest.mark.parametrize("folder", FOLDERS)
def test_real_images_are_image(data_folder, folder):
    from skimage.io import imread

    paths = sorted((data_folder / "data" / "train" / folder).glob("*.png"))
    assert all(ramp_tolerance([imread(path)]) is None for path in paths[:: max(1, len(paths) // 6)])


def test_small_and_missing():
    assert ramp_tolerance([]) is None
    assert ramp_tolerance([np.ones((5, 7), np.uint8), np.full((60, 60), np.nan, np.float32)]) is None
