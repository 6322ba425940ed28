"""Dead pixels that touch, amid light, are found; light with small holes never is."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_rdpdenoise.noise import NoiseModel, dead_groups
from napari_rdpdenoise.noise.dead_groups import find_dead_groups, find_dip_groups
from napari_rdpdenoise.noise.invalid import screen
from napari_rdpdenoise.noise.invalid_sample import screen_sample
from napari_rdpdenoise.noise.outlier_limit import dead_groups_limit
from tests.noise.test_invalid import FOLDERS
from tests.support.exposures import GAIN, OFFSET, READ, exposure, light, stored

NOISE = NoiseModel(GAIN, OFFSET, READ)


def with_groups(shape, dtype="u2"):
    """An exposure with dead groups on bright slopes, as it is and without them, and where they are."""
    counts, _ = exposure(0, (300, 300), 800)
    bright = np.argwhere(light((300, 300), 0, 800) > 120)
    rng, dead, places = np.random.default_rng(0), np.zeros((300, 300), bool), []
    for y, x in rng.permutation(bright[((bright > 8) & (bright < 290)).all(1)]):
        if all(abs(y - a) + abs(x - b) > 14 for a, b in places):
            places.append((y, x))
            dead[y : y + shape[0], x : x + shape[1]] = True
        if len(places) == 12:
            break
    struck = np.where(dead, OFFSET + rng.normal(0, READ, dead.shape), counts)
    return stored(struck, dtype), counts, dead


@pytest.mark.parametrize("dtype", ["u2", "i4", "f4"])
@pytest.mark.parametrize("shape", [(1, 2), (2, 1), (2, 2)])
def test_they_are_found_and_filled_from_the_light_around_them(shape, dtype):
    image, counts, dead = with_groups(shape, dtype)
    _, (found,) = screen_sample([image])
    assert found.defects is not None
    assert (found.defects & dead).sum() >= 0.9 * dead.sum()
    assert not (found.defects & ~dead).any()
    held = found.defects & dead
    off = (found.filled - counts)[held] / np.sqrt(NOISE.variance(counts[held]))
    assert np.sqrt(np.mean(off**2)) < 2.5
    kept = (image - counts)[held] / np.sqrt(NOISE.variance(counts[held]))
    assert np.sqrt(np.mean(kept**2)) > 8


@pytest.mark.parametrize("dtype", ["u2", "f4"])
@pytest.mark.parametrize("limit", [0.1, 0.8, 1.0])
def test_noise_is_passed_over_and_nothing_else(dtype, limit, monkeypatch):
    """What bright noise explains is not looked at further, which took most of the time."""
    image, _, _ = with_groups((2, 2), dtype)
    image[:150] = np.random.default_rng(1).normal(OFFSET, 3 * READ, (150, 300)).clip(0).astype(dtype)
    found = find_dip_groups(image, NOISE, limit)
    looked_at, judge = [], dead_groups._of_shape
    monkeypatch.setattr(
        dead_groups, "_of_shape", lambda *given: looked_at.append(given[2][0].size) or judge(*given)
    )
    image, _, _ = with_groups((2, 2), dtype)
    find_dip_groups(image, NOISE, 1.0)
    assert max(looked_at) < 1e-3 * image.size
    image[:150] = np.random.default_rng(1).normal(OFFSET, 3 * READ, (150, 300)).clip(0).astype(dtype)
    monkeypatch.setattr(dead_groups, "_may_be_deep", lambda here, *_: np.ones(here.shape, bool))
    for one, other in zip(found, find_dip_groups(image, NOISE, limit), strict=True):
        assert np.array_equal(one, other)


def test_tiles_decide_as_the_plane_does():
    image, _, _ = with_groups((2, 2))
    rule, (whole,) = screen_sample([image])
    for y in range(0, 300, 60):
        for x in range(0, 300, 60):
            rows, columns = (slice(max(n - 64, 0), n + 124) for n in (y, x))
            part = screen(image[rows, columns], rule)
            own, all_of_it = np.s_[y - rows.start :, x - columns.start :], np.s_[y : y + 60, x : x + 60]
            found = np.zeros((60, 60), bool) if part.defects is None else part.defects[own][:60, :60]
            assert np.array_equal(found, whole.defects[all_of_it])


@pytest.mark.parametrize("sigma", [0.8, 1.0, 1.3])
@pytest.mark.parametrize("sign", [1, -1])
def test_diffraction_limited_spots_and_the_gaps_between_them_are_image(sigma, sign):
    """Single molecules and beads of much light, dense enough to leave dark gaps, and the reverse."""
    rng, photons = np.random.default_rng(1), np.zeros((240, 240))
    for density in (0.004, 0.05):
        photons = ndimage.gaussian_filter((rng.random((240, 240)) < density) * 3000.0, sigma)
        photons = 5 + (photons if sign > 0 else np.maximum(photons.max() - photons, 0))
        image = stored(OFFSET + GAIN * rng.poisson(photons) + rng.normal(0, READ, photons.shape), "u2")
        if sign > 0:
            assert screen_sample([image])[1][0].defects is None
        assert not find_dead_groups(image, NOISE).any()


@pytest.mark.parametrize("folder", FOLDERS)
def test_real_images_have_none(data_folder, folder):
    from skimage.io import imread

    from napari_rdpdenoise.noise import estimate_noise

    paths = sorted((data_folder / "data" / "train" / folder).glob("*.png"))
    for path in paths[:: max(1, len(paths) // 6)]:
        image = imread(path)
        noise = estimate_noise([image])
        assert not find_dead_groups(image, noise, dead_groups_limit([image], noise)).any()


def test_small_planes_have_none():
    assert not find_dead_groups(np.zeros((3, 3), "u2"), NOISE).any()
    assert dead_groups_limit([np.zeros((3, 3), "u2")], NOISE) == np.inf
