"""Dead pixels on bright structure are found however steep it is; dark places of the image are image."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_rdpdenoise.noise import NoiseModel, estimate_noise
from napari_rdpdenoise.noise.dead import find_dead
from napari_rdpdenoise.noise.invalid_sample import screen_sample
from napari_rdpdenoise.noise.outlier_limit import dead_limit
from tests.noise.test_invalid import FOLDERS
from tests.support.exposures import GAIN, OFFSET, READ, stored

NOISE = NoiseModel(GAIN, OFFSET, READ)
SHAPE = (200, 200)


def bright(kind, width, seed=0):
    """Photo-electrons of points or filaments of a width in pixels on a dim ground."""
    rng, (y, x) = np.random.default_rng(seed), np.mgrid[: SHAPE[0], : SHAPE[1]]
    if kind == "points":
        places = rng.uniform(8, 192, (50, 2))
        return 4 + sum(800 * np.exp(-((y - a) ** 2 + (x - b) ** 2) / 2 / width**2) for a, b in places)
    waves = (y * np.sin(t) + x * np.cos(t) for t in (0.3, 1.9))
    return 4 + sum(600 * np.exp(-((wave % 64 - 32) ** 2) / 2 / width**2) for wave in waves)


def struck(photons, seed=0, count=30):
    """An exposure in which some pixels with much light are dead, and where these are."""
    rng = np.random.default_rng([seed, 1])
    counts = OFFSET + GAIN * rng.poisson(photons) + rng.normal(0, READ, photons.shape)
    light = np.argwhere(ndimage.minimum_filter(photons, 3) > 150)
    dead = np.zeros(photons.shape, bool)
    dead[tuple(rng.permutation(light)[:count].T)] = True
    counts[dead] = OFFSET + rng.normal(0, READ, dead.sum())
    return stored(counts, "u2"), dead


@pytest.mark.parametrize("width", [1.2, 2.0, 5.0])
@pytest.mark.parametrize("kind", ["points", "filaments"])
def test_they_are_found_on_steep_structure(kind, width):
    photons = bright(kind, width)
    image, dead = struck(photons)
    touching = ndimage.convolve(dead.astype(int), np.ones((3, 3), int), mode="constant") > 1
    alone = dead & ~touching
    _, (found,) = screen_sample([image])
    assert found.defects[alone].mean() > 0.9
    assert not found.defects[~dead].any()
    error = found.filled[alone] - (OFFSET + GAIN * photons[alone])
    assert np.median(np.abs(error) / (GAIN * photons[alone])) < 0.2


@pytest.mark.parametrize("seed", range(4))
def test_dark_places_between_light_are_image(seed):
    """Holes in bright areas and places amid points, as small as optics make them."""
    photons = bright("points", 1.0, seed)
    rng = np.random.default_rng(seed)
    holes = np.ones(SHAPE)
    for y, x in rng.integers(4, 190, (60, 2)):
        holes[y : y + 1 + seed, x : x + 1 + seed] = 0
    for light in (
        photons,
        3000 * ndimage.gaussian_filter(holes, 0.8),
        300 * ndimage.gaussian_filter(holes, 0.8),
    ):
        counts = OFFSET + GAIN * rng.poisson(light) + rng.normal(0, READ, SHAPE)
        assert not find_dead(counts, NOISE).any()


def test_where_there_are_many_of_any_depth_they_are_texture():
    """Grain as fine as the pixels has dark ones as well; a limit of the sample tells."""
    rng = np.random.default_rng(0)
    image = OFFSET + 1000 * rng.random(SHAPE)
    assert find_dead(image, NOISE).any()
    assert dead_limit([image], NOISE) == np.inf
    assert not find_dead(image, NOISE, np.inf).any()
    assert not find_dead(np.zeros((4, 9)), NOISE).any()


@pytest.mark.parametrize("folder", FOLDERS)
def test_real_images_are_image(data_folder, folder):
    from skimage.io import imread

    paths = sorted((data_folder / "data" / "train" / folder).glob("*.png"))
    for path in paths[:: max(1, len(paths) // 3)]:
        image = imread(path)
        noise = estimate_noise([image])
        assert find_dead(image, noise, dead_limit([image], noise)).sum() <= 1
