"""Values that are not image are looked for in the corners as well, where labels and borders are."""

from __future__ import annotations

import numpy as np
import pytest

from napari_rdpdenoise.io import open_image
from napari_rdpdenoise.noise.invalid import screen
from napari_rdpdenoise.stream.sample import sample_channel
from tests.support.exposures import GAIN, OFFSET, READ, corrected, exposure, light, stored

CORNERS = {
    "top left": (slice(20, 28), slice(30, 150)),
    "top right": (slice(20, 28), slice(-150, -30)),
    "bottom left": (slice(-28, -20), slice(30, 150)),
    "bottom right": (slice(-28, -20), slice(-150, -30)),
}


@pytest.mark.parametrize(("planes", "corner"), [*((1, corner) for corner in CORNERS), (9, "bottom left")])
def test_a_scale_bar_in_a_corner_of_a_large_image_is_found(planes, corner):
    image = np.stack([stored(exposure(n, (900, 700), peak=30.0)[0], "u1") for n in range(planes)])
    image[(slice(None), *CORNERS[corner])] = 255
    sample = sample_channel(open_image(image, axes="TYX"))
    assert [fill.value for fill in sample.rule.values] == [255]
    assert screen(image[0], sample.rule).regions[CORNERS[corner]].all()
    (told,) = sample.left_alone()
    assert "value 255" in told
    assert "(0 %" not in told


def test_a_border_that_repeats_the_edge_of_a_large_image_is_found():
    image = stored(exposure(1, (900, 1100))[0], "u2")
    image[:9] = image[9]
    sample = sample_channel(open_image(image, axes="YX"))
    assert sample.rule.repeated
    assert screen(image, sample.rule).regions[:9].all()


def test_a_large_plain_image_is_image_in_its_corners():
    image = stored(exposure(1, (900, 700))[0], "u2")
    sample = sample_channel(open_image(image, axes="YX"))
    assert not sample.rule.values
    assert not sample.left_alone()


@pytest.mark.parametrize(("last", "told"), [(0.2, True), (1.0, False)])
def test_a_series_that_was_corrected_for_bleaching_is_told(last, told):
    rng, frames = np.random.default_rng(3), []
    for t in range(10):
        share = last ** (t / 9)
        photons = light() * share
        frames.append((GAIN * rng.poisson(photons) + rng.normal(0, READ, photons.shape)) / share + OFFSET)
    sample = sample_channel(open_image(stored(np.stack(frames)[:, None], "u2"), axes="TCYX"), 0)
    assert (sample.trend(sample.rule.noise) is not None) == told


def test_each_plane_has_its_own_noise_where_it_changes():
    series = np.stack([np.zeros((6, 160, 160), "u2"), corrected(count=6)], axis=1)
    sample = sample_channel(open_image(series, axes="TCYX"), 1)
    noises = sample.noise_of_planes(1)
    spread = [float(noise.variance(150.0)) for noise in noises]
    assert len(noises) == 6
    assert spread == sorted(spread)
    assert spread[-1] > 5 * spread[0]
    assert sample_channel(open_image(series[:1], axes="TCYX"), 1).noise_of_planes(1).gain > 0
