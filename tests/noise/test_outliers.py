"""Defects of the camera are found at any strength and place, light never is."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_rdpdenoise.noise import NoiseModel, outliers
from napari_rdpdenoise.noise.outliers import fill_outliers, find_outliers
from tests.support.exposures import GAIN, OFFSET, READ, exposure, light, stored

NOISE = NoiseModel(GAIN, OFFSET, READ)


@pytest.mark.parametrize("dtype", ["u2", "f4"])
@pytest.mark.parametrize("strength", [15, 50, 1000])
def test_hot_and_cold_pixels_anywhere(strength, dtype):
    """Corners and edges included; cold ones down to no counts at all."""
    counts, sigma = exposure()
    for number, (y, x) in enumerate([(0, 0), (0, 80), (159, 159), (80, 80), (81, 159), (40, 120), (7, 3)]):
        sign = -1 if number % 2 and strength <= 15 else 1
        struck = counts.copy()
        struck[y, x] = light()[y, x] * GAIN + OFFSET + sign * strength * sigma[y, x]
        image = stored(np.clip(struck, 0, None), dtype)
        assert np.argwhere(find_outliers(image, NOISE)).tolist() == [[y, x]]


def test_nothing_is_found_in_clean_exposures():
    found = [find_outliers(stored(exposure(seed)[0], "u2"), NOISE).sum() for seed in range(10)]
    assert sum(found) <= 1


@pytest.mark.parametrize(
    "shape", [[(0, 0), (0, 1)], [(0, 0), (1, 1), (2, 2), (3, 3)], [(0, k) for k in range(9)]]
)
def test_tracks_of_cosmic_rays(shape):
    counts, _ = exposure()
    lost = np.zeros(counts.shape, bool)
    for y, x in shape:
        lost[60 + y, 90 + x] = lost[y, 30 + x] = True
    found = find_outliers(stored(counts + 3000 * lost, "u2"), NOISE)
    assert np.array_equal(found, lost)


@pytest.mark.parametrize("photons", [100, 3000, 100000])
@pytest.mark.parametrize("sigma", [0.6, 0.8, 1.3])
def test_points_of_light_are_image(sigma, photons):
    """Single molecules and beads, wherever in a pixel they are."""
    rng = np.random.default_rng(0)
    points = np.zeros((160 * 5, 160 * 5))
    points[tuple(rng.integers(20, 780, (2, 80)))] = photons
    blurred = ndimage.gaussian_filter(points, 5 * sigma).reshape(160, 5, 160, 5).sum((1, 3))
    counts = OFFSET + GAIN * rng.poisson(5 + blurred) + rng.normal(0, READ, blurred.shape)
    assert find_outliers(counts, NOISE).sum() <= 1


@pytest.mark.parametrize("mean", [0.02, 0.2, 1.0])
def test_single_photons_are_image(mean):
    rng = np.random.default_rng(0)
    image = rng.poisson(np.full((300, 300), mean)).astype(np.uint8)
    assert not find_outliers(image, NoiseModel(1.0, 0.0, 0.1)).any()


def test_tiles_decide_as_the_plane_does():
    counts, sigma = exposure()
    rng = np.random.default_rng(1)
    image = stored(counts + (rng.random(counts.shape) < 0.004) * 40 * sigma, "u2")
    whole, margin = find_outliers(image, NOISE), 24
    assert whole.sum() > 50
    for y in (0, 40, 80, 120):
        for x in (0, 40, 80, 120):
            rows, columns = (slice(max(n - margin, 0), n + 40 + margin) for n in (y, x))
            part = find_outliers(image[rows, columns], NOISE)
            inside = part[y - rows.start :, x - columns.start :][:40, :40]
            assert np.array_equal(inside, whole[y : y + 40, x : x + 40])


def test_filling_takes_the_surroundings():
    image = np.full((20, 20), 100, np.uint16)
    marked = np.zeros(image.shape, bool)
    marked[0, 0] = marked[5, 5] = marked[5, 6] = marked[19, 10] = True
    filled = fill_outliers(np.where(marked, 65535, image).astype(np.uint16), marked)
    assert filled.dtype == np.uint16
    assert np.array_equal(filled, image)


def test_small_tiles_have_none():
    assert not find_outliers(np.array([[0, 65535], [0, 0]], np.uint16), NOISE).any()


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize(("sign", "strength"), [(1, 30), (1, 200), (-1, 18)])
def test_columns_and_rows_of_the_sensor(axis, sign, strength):
    """Whole or from some place on, one pixel wide; thin bars that optics have blurred are image."""
    counts, sigma = exposure()
    lost = np.zeros(counts.shape, bool)
    lost[:, 50] = lost[90:, 120] = True
    lines = lost if axis == 0 else lost.T
    image = stored(counts + sign * strength * sigma * lines, "u2")
    found = find_outliers(image, NOISE)
    assert found[lines].mean() > (0.85 if sign > 0 else 0.6)
    assert found[~lines].mean() < 2e-4
    bar = ndimage.gaussian_filter1d(lines * 1.0, 0.6, axis=1 - axis)
    assert not find_outliers(stored(counts + sign * strength * sigma * bar, "u2"), NOISE)[1:-1, 1:-1].any()


@pytest.mark.parametrize("dtype", ["u2", "i2", "f4"])
def test_coarse_numbers_pass_over_no_defect(monkeypatch, dtype):
    """They choose what is looked at more closely, no more."""
    counts, _ = exposure()
    rng = np.random.default_rng(0)
    counts.flat[rng.integers(0, counts.size, 300)] += rng.normal(0, 300, 300)
    image = stored(np.clip(counts, 0, 30000), dtype)
    found = outliers.find_outstanding(image, NOISE, 0.7)
    assert len(found.height) > 100
    for finest in (0.0, 4.0):  # none, and coarser ones
        monkeypatch.setattr(outliers, "_FINEST", finest)
        for part, same in zip(found, outliers.find_outstanding(image, NOISE, 0.7), strict=True):
            np.testing.assert_array_equal(part, same)
