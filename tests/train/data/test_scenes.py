"""Simulated scenes: light of every fineness, the same for the same generator."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_rdpdenoise.train.data.scenes import draw_scene


@pytest.fixture(scope="module")
def scenes():
    rng = np.random.default_rng(0)
    return [draw_scene(96, rng) for _ in range(120)]


def test_scenes_are_light_that_varies(scenes):
    for scene in scenes:
        assert scene.shape == (96, 96)
        assert scene.dtype == np.float32
        assert np.isfinite(scene).all()
        assert scene.min() > 0
        assert scene.std() > 1e-3 * scene.mean()


@pytest.mark.parametrize("size", [32, 33, 152, 256])
def test_scenes_have_any_size_and_follow_their_generator(size):
    one, other, another = (draw_scene(size, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert one.shape == (size, size)
    np.testing.assert_array_equal(one, other)
    assert not np.array_equal(one, another)


def test_scenes_are_fine_and_coarse_dense_and_sparse(scenes):
    def fine(scene):
        return np.var(scene - ndimage.gaussian_filter(scene, 2.0)) / np.var(scene)

    def dense(scene):
        low, high = np.percentile(scene, [0.5, 99.9])
        return np.mean((scene - low) / (high - low) > 0.2)

    fineness, density = ([measure(scene) for scene in scenes] for measure in (fine, dense))
    for found in (fineness, density):
        assert np.percentile(found, 10) < 0.15
        assert np.percentile(found, 90) > 0.3


def test_scenes_have_no_direction_of_their_own(scenes):
    across = np.mean([np.var(np.diff(scene, axis=0)) / np.var(scene) for scene in scenes])
    along = np.mean([np.var(np.diff(scene, axis=1)) / np.var(scene) for scene in scenes])
    assert abs(across / along - 1) < 0.15


def test_the_optics_leave_no_lone_pixels(scenes):
    """Whatever is drawn is at least as wide as the least blur."""
    for scene in scenes:
        around = ndimage.maximum_filter(
            scene, footprint=[[True, True, True], [True, False, True], [True, True, True]]
        )
        base = scene.min()
        assert ((scene - base) <= 8 * (around - base) + 1e-6).all()
