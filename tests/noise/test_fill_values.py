"""Values that are not image are found whatever they are and wherever they lie; image never is."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_rdpdenoise.noise.fill_values import describe_fill_value, find_fill_values
from tests.support.exposures import GAIN, OFFSET, exposure, light, stored

Y, X = np.mgrid[:160, :160]
REGIONS = {
    "border": (Y < 40) | (X > 130),
    "narrow border": Y < 2,
    "corner": X + Y < 120,
    "field of view": np.hypot(Y - 80, X - 80) > 75,
    "holes": np.hypot(Y % 50 - 20, X % 60 - 30) < 5,
    "lines": (Y == 53) | (X == 101),
    "slanted line": np.abs(Y - 0.3 * X - 50) < 0.7,
    "bar": (abs(Y - 140) < 3) & (abs(X - 110) < 30),
}
CODES = [(0, "u2"), (65535, "u2"), (-1, "i2"), (32767, "i2"), (-9999, "f4"), (0, "f4"), (1e30, "f4")]
# the camera's zero level of 8-bit images lies lower, and white is above all that they show
CODES_OF_BYTES = [(0, 60.0), (255, 95.0)]


def found_values(image):
    return [fill.value for fill in find_fill_values([image])]


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize(("value", "dtype"), CODES)
def test_regions_of_a_value_are_found(region, value, dtype):
    counts, _ = exposure()
    image = stored(np.where(REGIONS[region], value, counts), dtype)
    assert found_values(image) == [np.float32(value) if dtype == "f4" else value]


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize(("value", "less"), CODES_OF_BYTES)
def test_also_in_bytes(region, value, less):
    counts, _ = exposure(peak=30)
    image = stored(np.where(REGIONS[region], value, counts - less), "u1")
    assert found_values(image) == [value]


@pytest.mark.parametrize("size", [3, 4, 6])
@pytest.mark.parametrize(("value", "dtype"), [(0, "u2"), (65535, "u2"), (-1, "f4")])
def test_a_single_small_block_is_found(size, value, dtype):
    """Too large for a defect, and all that there is of the value."""
    counts, _ = exposure()
    counts[100 : 100 + size, 60 : 60 + size] = value
    assert found_values(stored(counts, dtype)) == [value]


def test_several_values_at_once():
    counts, _ = exposure()
    image = np.where(REGIONS["corner"], -1.0, np.where(X > 130, -9999.0, counts)).astype(np.float32)
    assert found_values(image) == [-9999, -1]


def test_a_value_amid_the_noise_is_found_by_its_constancy():
    counts, _ = exposure()
    (fill,) = find_fill_values([stored(np.where(REGIONS["border"], OFFSET + 10, counts), "u2")])
    assert (fill.value, fill.amid) == (OFFSET + 10, True)


@pytest.mark.parametrize("order", [0, 1])
def test_interpolated_borders_are_told_from_sharp_ones(order):
    counts, _ = exposure()
    turned = ndimage.rotate(counts, 23, reshape=False, order=order, mode="grid-constant")
    for dtype in ("u2", "f4"):
        (fill,) = find_fill_values([stored(turned, dtype)])
        assert (fill.value, fill.mixed) == (0, order == 1)
        assert describe_fill_value([stored(turned, dtype)], 0).mixed == (order == 1)


def test_windows_that_are_filled_altogether():
    counts, _ = exposure()
    image = stored(counts, "u2")
    assert found_values(image) == []
    assert [f.value for f in find_fill_values([image, np.zeros_like(image)])] == [0]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ["black", "thresholded", "saturated 255", "saturated 4095", "blank"])
def test_image_is_image(kind, seed):
    """Black backgrounds, saturated cells and empty images are what they are."""
    rng, photons = np.random.default_rng(seed), light(seed=seed)
    counts, _ = exposure(seed)
    image = {
        "black": stored(2 * rng.poisson(photons) - 12, "u1"),
        "thresholded": np.maximum(counts - 112, 0).astype(np.float32),
        "saturated 255": stored(np.minimum(counts, 255), "u1"),
        "saturated 4095": stored(np.minimum(30 * counts, 4095), "u2"),
        "blank": np.zeros((160, 160), np.uint16),
    }[kind]
    ends = [image == image.min(), image == image.max()]
    assert (
        max(
            ndimage.label(end)[0].max() and np.bincount(ndimage.label(end)[0].ravel())[1:].max()
            for end in ends
        )
        > 20
    )
    assert found_values(image) == []


@pytest.mark.parametrize("scale", [1, 37])
@pytest.mark.parametrize("mean", [0.02, 0.1, 0.5, 2.0])
def test_sparse_photons_are_image(mean, scale):
    rng, photons = np.random.default_rng(0), light()
    assert found_values(stored(scale * rng.poisson(photons / photons.mean() * mean), "u1")) == []


@pytest.mark.parametrize("dtype", ["i2", "i4", "f4"])
@pytest.mark.parametrize("mean", [0.05, 0.5, 4.0])
def test_negative_codes_among_photons(mean, dtype):
    """Gaps of -1 and single dead pixels of -2, however few photons are beside them."""
    rng, photons = np.random.default_rng(0), light()
    counts = rng.poisson(photons / photons.mean() * mean)
    counts[70:87] = -1
    assert found_values(counts.astype(dtype)) == [-1]
    counts[:, 33] = -1
    counts[rng.random(counts.shape) < 1e-3] = -2
    found = find_fill_values([counts.astype(dtype)])
    assert [(fill.value, fill.code) for fill in found] == [(-2, True), (-1, True)]


@pytest.mark.parametrize("mean", [0.02, 0.3, 2.0])
def test_a_dark_level_below_zero_is_image(mean):
    rng, photons = np.random.default_rng(0), light()
    for off in (1, 2):
        assert found_values((rng.poisson(photons / photons.mean() * mean) - off).astype(np.int16)) == []
    assert found_values((rng.poisson(photons / photons.mean() * mean) - 0.5).astype(np.float32)) == []


def test_labels_and_drawings_are_image():
    """Without noise constancy says nothing."""
    labels, _ = ndimage.label(REGIONS["holes"])
    assert found_values(labels.astype(np.uint16)) == []
    assert found_values(255 * REGIONS["bar"].astype(np.uint8)) == []


def test_few_levels_are_image():
    """Of strong lossy compression few levels are left, each in many small regions."""
    counts, _ = exposure()
    assert found_values(stored(np.rint(ndimage.gaussian_filter(counts, 0.7) / 6) * 6 - 80, "u1")) == []


def test_small_windows_and_missing_values():
    assert find_fill_values([]) == ()
    assert found_values(np.zeros((3, 3), np.uint8)) == []
    counts, _ = exposure()
    holes = np.where(REGIONS["border"], np.nan, counts).astype(np.float32)
    assert found_values(holes) == []
    assert found_values(np.where(REGIONS["lines"], 0, holes)) == [0]


@pytest.mark.parametrize("level", [0, 100, 110, 300, 65535])
@pytest.mark.parametrize("dtype", ["u2", "f4"])
def test_blank_frames_are_no_image_whatever_their_level(level, dtype):
    frames = [stored(exposure(seed)[0], dtype) for seed in range(4)]
    frames[2] = np.full_like(frames[2], level)
    (found,) = find_fill_values(frames)
    assert found.value == level
    assert find_fill_values(frames[:2]) == ()


def test_a_dark_frame_of_a_series_whose_ground_is_dark_is_image():
    frames = [np.clip(stored(exposure(seed)[0], "i4") - 115, 0, None).astype("u2") for seed in range(4)]
    frames[2] = np.zeros_like(frames[2])
    assert find_fill_values(frames) == ()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("blur", "photons"), [(1.1, 9000), (1.3, 12000), (1.7, 40000)])
def test_thin_light_that_saturates_is_image(blur, photons, seed):
    """Filaments whose middle is cut off by the camera fade beside it, within a few pixels."""
    rng, thin = np.random.default_rng(seed), np.zeros((160, 160))
    for slope, start in ((0.3, 20), (-0.6, 130), (1.4, -40)):
        thin[abs(Y - slope * X - start) < 0.7] = photons
    counts = OFFSET + GAIN * rng.poisson(light(seed=seed) + ndimage.gaussian_filter(thin, blur))
    image = stored(np.minimum(counts + rng.normal(0, 3, counts.shape), 4095), "u2")
    assert (image == 4095).sum() > 100
    assert found_values(image) == []


@pytest.mark.parametrize("seed", range(3))
def test_cells_that_were_cut_out_at_a_level_of_light_are_mixed_with_nothing(seed):
    y, x = np.mgrid[:256, :256]
    places = np.random.default_rng(seed).uniform(0, 256, (40, 2))
    photons = 8 + sum(
        np.random.default_rng([seed, k]).uniform(20, 150)
        * np.exp(-((y - a) ** 2 + (x - b) ** 2) / 2 / (3 + k % 9) ** 2)
        for k, (a, b) in enumerate(places)
    )
    rng = np.random.default_rng(seed)
    image = stored(OFFSET + GAIN * rng.poisson(photons) + rng.normal(0, 3, photons.shape), "u2")
    image[photons < 20] = 0
    assert [(fill.value, fill.mixed) for fill in find_fill_values([image])] == [(0, False)]
