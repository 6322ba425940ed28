"""The error without a truth: it meets the true one, and its differences are exact."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_rdpdenoise.metrics.risk import STRENGTH, recorrupt


@pytest.fixture(scope="module")
def scene():
    rows, columns = np.indices((512, 512))
    truth = 4 * np.sin(rows / 9) * np.cos(columns / 13)
    return truth, (truth + np.random.default_rng(3).normal(size=truth.shape)).astype(np.float32)


@pytest.mark.parametrize("strength", [0.3, STRENGTH, 1.0])
@pytest.mark.parametrize("sigma", [0.0, 0.7, 2.0, 6.0])
def test_the_risk_of_a_filter_is_its_error_at_that_noise(scene, strength, sigma):
    truth, t = scene
    pair = recorrupt(t, 1, strength)
    denoised = ndimage.gaussian_filter(pair.seen, sigma)
    true = np.mean((denoised - truth) ** 2) / pair.variance
    assert pair.risk(denoised) == pytest.approx(true, abs=4 * (1.5 + 1 / strength) / 512)


def test_filters_are_told_apart_by_thousandths(scene):
    truth, t = scene
    pair = recorrupt(t, 2)
    sigmas = (1.4, 1.5, 1.6, 1.7, 1.8)
    images = [ndimage.gaussian_filter(pair.seen, sigma) for sigma in sigmas]
    true = [np.mean((image - truth) ** 2) / pair.variance for image in images]
    found = [pair.risk(image) for image in images]
    np.testing.assert_allclose(np.diff(found), np.diff(true), atol=1e-3)


def test_the_value_is_far_more_exact_than_the_comparison_of_two_images(scene):
    """Of a good filter; ``kept`` is the image whose noise the filter cannot know."""
    truth, t = scene
    found, compared = [], []
    for seed in range(12):
        pair = recorrupt(t[:256, :256], seed)
        denoised = ndimage.gaussian_filter(pair.seen, 2.0)
        kept = pair.given - pair.added / pair.strength
        true = np.mean((denoised - truth[:256, :256]) ** 2)
        found.append(pair.risk(denoised) * pair.variance - true)
        compared.append(np.mean((kept - denoised) ** 2) - 1 - 1 / pair.strength**2 - true)
    assert np.std(found) < 0.3 * np.std(compared)


def test_the_value_is_exact_where_the_image_was_left_as_it_is(scene):
    """A texture that fills the frequencies of the noise: a blurred image is far from the answer."""
    texture = 8 * np.random.default_rng(5).normal(size=(256, 256)).astype(np.float32)
    found = []
    for seed in range(8):
        pair = recorrupt(texture + np.random.default_rng(seed).normal(size=texture.shape), 100 + seed, 0.25)
        found.append(pair.risk(pair.seen))
    assert np.abs(np.subtract(found, 1)).max() < 0.05


def test_the_added_noise_has_nothing_in_common_with_the_image():
    t = np.random.default_rng(0).normal(size=(600, 600))
    pair = recorrupt(t, 5)
    assert abs(np.mean(pair.given * pair.added)) < 0.01
    assert pair.seen.var() == pytest.approx(pair.variance, rel=0.02)
    assert pair.seen.dtype == np.float32
    np.testing.assert_array_equal(pair.seen, recorrupt(t, 5).seen)
    assert not np.array_equal(pair.seen, recorrupt(t, 6).seen)


def test_a_strength_of_nothing_is_refused():
    with pytest.raises(ValueError, match=r"strength: expected a number above 0, found 0"):
        recorrupt(np.zeros((4, 4)), 0, 0.0)
