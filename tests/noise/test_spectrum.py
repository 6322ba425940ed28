"""The spectrum of patches: flat for white noise, whatever lies under it, and not for anything else."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_rdpdenoise.noise.spectrum import BLOCK, PATCH, blocks_of, patch_spectrum, slope


def white(size: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((size, size))


def test_blocks_are_the_planes_row_by_row():
    plane = np.arange(70 * 100, dtype=np.float32).reshape(70, 100)
    blocks = blocks_of(plane)
    assert blocks.shape == (6, BLOCK, BLOCK)
    np.testing.assert_array_equal(blocks[4], plane[32:64, 32:64])
    assert blocks_of(plane[:20]).shape == (0, BLOCK, BLOCK)


@pytest.mark.parametrize("structure", [0.0, 100.0])
def test_the_plateau_is_the_noise_variance_under_smooth_structure(structure):
    smooth = ndimage.gaussian_filter(white(512, 1), 8)
    spectrum = patch_spectrum(blocks_of(3 * white(512) + structure * smooth / smooth.std()))
    assert spectrum.shape == (PATCH**2,)
    assert (np.diff(spectrum) >= 0).all()
    np.testing.assert_allclose(spectrum[:5], 9.0, rtol=0.06)


@pytest.mark.parametrize("size", [64, 128, 256, 512])
def test_white_noise_has_no_slope_however_few_blocks_there_are(size):
    found = [slope(patch_spectrum(b), len(b)) for b in (blocks_of(white(size, seed)) for seed in range(5))]
    assert np.mean(found) == pytest.approx(1.0, abs=0.03)
    assert max(found) < 1.1


@pytest.mark.parametrize("sigma", [0.5, 0.7])
def test_blurred_noise_has_a_slope(sigma):
    blocks = blocks_of(ndimage.gaussian_filter(white(256), sigma))
    assert slope(patch_spectrum(blocks), len(blocks)) > 1.4


def test_many_blocks_are_thinned_to_the_same_answer():
    blocks = blocks_of(white(1024))
    np.testing.assert_allclose(patch_spectrum(blocks), patch_spectrum(blocks[:512]), rtol=0.03)
