"""What stands out of an image for another reason than a defect of the camera is left in it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_rdpdenoise.noise import NoiseModel
from napari_rdpdenoise.noise.invalid_sample import screen_sample
from napari_rdpdenoise.noise.outlier_limit import outlier_limit
from tests.support.exposures import GAIN, OFFSET, READ, exposure, light, stored

SEEDS = range(4)
NOISE = NoiseModel(GAIN, OFFSET, READ)


def electron_multiplying(seed):
    """Single photo-electrons, each multiplied by a register, whose gain is exponential."""
    rng = np.random.default_rng(seed)
    electrons = rng.poisson(0.05 * light((256, 256), seed) / light().mean())
    return 100 + rng.gamma(electrons, 300.0) + rng.normal(0, 10, electrons.shape)


def single_molecules(seed, sigma=0.7, photons=50):
    """Points of light, hardly a pixel wide, a few times brighter than their background."""
    rng = np.random.default_rng(seed)
    points = np.zeros((256 * 5, 256 * 5))
    points[tuple(rng.integers(40, 1240, (2, 120)))] = photons
    blurred = ndimage.gaussian_filter(points, 5 * sigma).reshape(256, 5, 256, 5).sum((1, 3))
    return OFFSET + GAIN * rng.poisson(5 + blurred) + rng.normal(0, READ, blurred.shape)


def grey_levels(seed):
    """An 8-bit image in much light: its steps, in single pixels, are many times the noise."""
    rng = np.random.default_rng(seed)
    levels = np.rint(light((256, 256), seed) + rng.normal(0, 0.21, (256, 256)))
    return 100 + 120 * levels + rng.normal(0, 15, levels.shape)


def found(image):
    rule, (screened,) = screen_sample([image])
    return rule, np.zeros(image.shape, bool) if screened.defects is None else screened.defects


@pytest.mark.parametrize("make", [electron_multiplying, single_molecules, grey_levels])
def test_light_and_grain_are_no_defects(make):
    assert sum(int(found(stored(make(seed), "u2"))[1].sum()) for seed in SEEDS) <= 1


@pytest.mark.parametrize("make", [electron_multiplying, single_molecules, grey_levels])
def test_defects_far_beyond_them_are_found_all_the_same(make):
    image = make(0)
    rng = np.random.default_rng(9)
    struck = rng.random(image.shape) < 2e-4
    _, defects = found(stored(np.where(struck, 60000, image), "u2"))
    assert (defects & struck).sum() >= 0.9 * struck.sum()
    assert (defects & ~struck).sum() <= 1


@pytest.mark.parametrize(("share", "strength"), [(1e-4, 20), (1e-3, 30), (1e-2, 30), (1e-2, 1000)])
def test_defects_of_a_camera_need_no_more_than_noise(share, strength):
    counts, sigma = exposure(shape=(256, 256))
    struck = np.random.default_rng(1).random(counts.shape) < share
    image = stored(counts + struck * strength * sigma, "u2")
    limit = outlier_limit([image], NOISE)
    assert limit.limit <= np.sqrt(2) + 1e-9
    _, defects = found(image)
    assert (defects & struck).sum() >= 0.9 * struck.sum()
    assert (defects & ~struck).sum() <= 1


def test_the_user_is_told_of_what_is_spared():
    from napari_rdpdenoise.io import open_image
    from napari_rdpdenoise.stream.sample import sample_channel

    rule, _ = found(stored(grey_levels(0), "u2"))
    assert rule.outliers.spared > 10
    (told,) = sample_channel(open_image(stored(grey_levels(0), "u2"))).left_alone()
    assert "taken for image" in told
    assert sample_channel(open_image(stored(exposure()[0], "u2"))).left_alone() == []


def test_more_than_a_camera_has_are_none():
    """A share of some per cent is the sample, however clear each pixel is."""
    counts, sigma = exposure(shape=(256, 256))
    for share, none in ((0.01, False), (0.03, True)):
        struck = np.random.default_rng(1).random(counts.shape) < share
        limit = outlier_limit([stored(counts + 30 * struck * sigma, "u2")], NOISE)
        assert (limit.limit == np.inf) == none
        assert (limit.spared > 1000) == none


@pytest.mark.parametrize("strength", [20, 60, 200])
@pytest.mark.parametrize("axis", [0, 1])
def test_a_line_of_the_sensor_is_no_texture(axis, strength):
    """A column that is bright from some place on, alone among good pixels, is replaced."""
    frames = []
    for seed in SEEDS:
        counts, sigma = exposure(seed)
        column = np.zeros(counts.shape, bool)
        column[70:, 50] = True
        line = column if axis == 0 else column.T
        frames.append(stored(counts + strength * sigma * line, "u2"))
    rule, sample = screen_sample(frames)
    assert rule.outliers.limit <= 2
    found = np.mean([part.defects[line].mean() for part in sample if part.defects is not None])
    assert found > (0.6 if strength < 60 else 0.8)
