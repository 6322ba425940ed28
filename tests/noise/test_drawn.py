"""Masks, labels and blank images come out as they went in; whatever noise made is no such image."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_rdpdenoise.noise.drawn import is_drawn
from napari_rdpdenoise.noise.invalid import screen
from napari_rdpdenoise.noise.invalid_sample import screen_sample
from tests.support.exposures import exposure, light, stored

SHAPE = (160, 160)
CELLS = light(SHAPE) > 20
DRAWN = {
    "a mask of 255": 255 * CELLS.astype("u1"),
    "a mask of 1": CELLS.astype("u1"),
    "a mask of floats": CELLS.astype("f4"),
    "labels": ndimage.label(CELLS)[0].astype("u2"),
    "a threshold's levels": np.digitize(light(SHAPE), [10, 20, 40]).astype("u1"),
    "one value": np.full(SHAPE, 137, "u2"),
    "one value of floats": np.full(SHAPE, 0.1, "f4"),
    "nothing": np.zeros(SHAPE, "u1"),
    "missing values around it": np.where(np.arange(160) < 40, np.nan, CELLS).astype("f4"),
}


@pytest.mark.parametrize("name", DRAWN)
@pytest.mark.parametrize("choice", ["auto", "none", 0, 255])
def test_nothing_of_them_is_changed(name, choice):
    image = DRAWN[name]
    assert is_drawn([image])
    rule, (found,) = screen_sample([image], choice)
    assert rule.drawn
    assert found.left.all()
    assert found.defects is None
    assert np.isfinite(found.filled).all()


@pytest.mark.parametrize("mean", [0.002, 0.02, 0.1, 0.5, 0.7, 1, 3])
@pytest.mark.parametrize("scale", [1, 37])
def test_photons_are_no_drawing(mean, scale):
    photons = np.random.default_rng(0).poisson(light(SHAPE) / light(SHAPE).mean() * mean)
    assert not is_drawn([scale * photons])
    assert not is_drawn([scale * np.minimum(photons, 1)])


def test_images_are_no_drawings():
    counts, _ = exposure()
    image = stored(counts, "u2")
    for other in (image, image // 16, image // 32 * 32, ndimage.median_filter(image, 3), image[:7, :7]):
        assert not is_drawn([other])
    assert not is_drawn([image, DRAWN["one value"]])
    assert not is_drawn([])
    assert not is_drawn([np.full(SHAPE, np.nan)])


def test_repeated_pixels_are_no_drawing():
    counts, _ = exposure(shape=(64, 64))
    assert not screen_sample([np.kron(stored(counts, "u2"), np.ones((4, 4), "u2"))])[0].drawn


def test_noise_that_the_sample_does_not_show_is_denoised():
    rule, _ = screen_sample([DRAWN["one value"]])
    assert screen(stored(exposure()[0], "u2"), rule).regions is None
