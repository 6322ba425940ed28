"""Images of the training folders: other sizes."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from napari_rdpdenoise.train.data.images import resized


@pytest.fixture
def scene():
    rng = np.random.default_rng(0)
    return (100 + 300 * gaussian_filter(rng.random((64, 96)), 2)).astype(np.float32)


def test_an_image_of_its_own_size_is_the_image_itself(scene):
    assert resized(scene, scene.shape) is scene


@pytest.mark.parametrize("shape", [(32, 48), (90, 135), (32, 135), (65, 95)])
def test_means_and_range_stay(scene, shape):
    other = resized(scene, shape)
    assert other.shape == shape
    assert other.mean() == pytest.approx(scene.mean(), rel=2e-3)
    assert other.min() >= scene.min()
    assert other.max() <= scene.max()


def test_a_smaller_image_is_made_of_means(scene):
    np.testing.assert_allclose(resized(scene, (32, 48)), scene.reshape(32, 2, 48, 2).mean((1, 3)), rtol=1e-5)


def test_an_enlarged_image_has_no_blocks(scene):
    """Its steps are as small as those of what lies between, not none and then a whole one."""
    steps = np.abs(np.diff(resized(scene, (192, 288)), axis=1))
    assert (steps == 0).mean() < 0.05
    assert steps.max() < 0.6 * np.abs(np.diff(scene, axis=1)).max()
