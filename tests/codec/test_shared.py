"""Planes that share their noise do not vouch for each other."""

from __future__ import annotations

import numpy as np
import pytest

import napari_rdpdenoise as rdp
from napari_rdpdenoise.codec.autorate import choose_neighbours
from napari_rdpdenoise.codec.shared import SHARED, noise_in_common
from napari_rdpdenoise.noise import NoiseModel

SIGMA = 12.0


@pytest.fixture(scope="module")
def shipped():
    return rdp.load_model(device="cpu")


def scene(shape=(160, 192)):
    y, x = np.mgrid[: shape[0], : shape[1]]
    return 90 + 40 * np.tanh(3 * np.sin(y / 9) * np.cos(x / 14)) + 20 * np.sin((x - y) / 23)


def noisy(seed, image=None):
    image = scene() if image is None else image
    return (image + np.random.default_rng(seed).normal(0, SIGMA, image.shape)).astype(np.float32)


def common(codec, tile, other):
    normalization = codec.fit([tile], NoiseModel(0.0, 0.0, SIGMA))
    return noise_in_common(codec, [tile], normalization, [(None, other)])


def test_it_is_1_of_copies_and_near_0_of_other_exposures(shipped):
    tile = noisy(0)
    assert common(shipped, tile, tile) > 0.999
    assert common(shipped, tile, 0.6 * tile + 30) > 0.7
    assert abs(common(shipped, tile, noisy(1))) < 0.1
    assert abs(common(shipped, tile, noisy(1, scene()[::-1]))) < 0.1


@pytest.mark.parametrize("share", [0.0, 0.25, 0.75, 1.0])
def test_it_grows_with_the_share_of_the_noise(shipped, share):
    fixed = np.random.default_rng(9).normal(0, SIGMA, scene().shape)
    planes = [
        (scene() + np.sqrt(share) * fixed + np.sqrt(1 - share) * (noisy(seed) - scene())).astype(np.float32)
        for seed in range(2)
    ]
    assert common(shipped, *planes) == pytest.approx(share, abs=0.12)


def test_a_plane_without_neighbours_has_nothing_in_common(shipped):
    tile = noisy(0)
    normalization = shipped.fit([tile], NoiseModel(0.0, 0.0, SIGMA))
    assert noise_in_common(shipped, [tile], normalization, [(None, None)]) == 0


def test_a_tile_without_any_image_tells_nothing(shipped):
    tile = noisy(0)
    normalization = shipped.fit([tile], NoiseModel(0.0, 0.0, SIGMA))
    blank = np.ma.masked_array(noisy(1), True)
    found = noise_in_common(shipped, [blank, tile], normalization, [(noisy(2), None), (tile, None)])
    assert found == pytest.approx(noise_in_common(shipped, [tile], normalization, [(tile, None)]))


def test_other_exposures_are_chosen_and_copies_are_not(shipped):
    tile = noisy(0)
    normalization = shipped.fit([tile], NoiseModel(0.0, 0.0, SIGMA))

    def chosen(candidates):
        return choose_neighbours(shipped, [tile], normalization, candidates)[0]

    assert chosen({"T": [(noisy(1), noisy(2))]}) == "T"
    assert chosen({"S": [(tile.copy(), tile.copy())]}) is None
    both = {"S": [(tile.copy(), tile.copy())], "T": [(noisy(1), noisy(2))]}
    assert chosen(both) == "T"
    assert SHARED < 0.5


def test_a_grey_picture_saved_as_colours_is_denoised_as_it_would_be_alone(shipped):
    grey = np.clip(noisy(3), 0, 255).astype(np.uint8)
    camera = (0.0, 0.0, SIGMA)
    alone = rdp.denoise(grey, model=shipped, camera=camera)
    colours = rdp.denoise(np.stack([grey] * 3, axis=-1), model=shipped, camera=camera)
    for colour in range(3):
        difference = colours[..., colour].astype(float) - alone
        assert np.sqrt(np.square(difference).mean()) < 0.1 * SIGMA
