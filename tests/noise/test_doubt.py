"""Doubt whether noise is noise: none of ordinary noise, full of texture and of too much light."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_rdpdenoise.noise import NoiseModel, estimate_noise, shares_noise


def cells(size: int = 256, seed: int = 0) -> np.ndarray:
    """Smooth cells on a dark ground, 0 to about 1."""
    field = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal((size, size)), 8)
    return np.clip(field / field.std(), 0, 3) / 3


def texture(size: int = 256, seed: int = 0) -> np.ndarray:
    """Membranes and grain as fine as the pixels, as in electron micrographs; 0 to 1."""
    rng = np.random.default_rng(seed)

    def field(sigma: float) -> np.ndarray:
        smooth = ndimage.gaussian_filter(rng.standard_normal((size, size)), sigma)
        return smooth / smooth.std()

    membranes = sum(np.exp(-np.square(field(sigma) / width)) for sigma, width in ((2, 0.5), (5, 0.15)))
    return np.clip(0.8 - 0.35 * membranes + 0.04 * field(0.5) * (1 + 0.5 * field(12)), 0, 1)


def exposed(scene: np.ndarray, photons: float, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    counts = 0.5 * (rng.poisson(photons * scene) + rng.normal(0, 1.5, scene.shape)) + 100
    return np.round(counts).astype(np.uint16)


@pytest.mark.parametrize(
    ("photons", "size"), [(5, 64), (20, 64), (100, 64), (5, 256), (100, 256), (500, 256), (2000, 256)]
)
def test_ordinary_noise_is_not_doubted(photons, size):
    assert estimate_noise([exposed(cells(size), photons)]).doubt < 0.05


@pytest.mark.parametrize("photons", [10_000, 100_000])
def test_so_much_light_is_doubted_whatever_the_image(photons):
    for scene in (cells(), texture()):
        noise = estimate_noise([exposed(scene, photons)])
        assert noise.doubt == 1
        assert not shares_noise(noise)


@pytest.mark.parametrize("photons", [300, 2000, 20_000])
def test_texture_as_fine_as_the_pixels_is_doubted_and_no_shared_noise(photons):
    noise = estimate_noise([exposed(texture(), photons)])
    assert noise.doubt == 1
    assert not shares_noise(noise)


def test_texture_under_stronger_noise_is_not_doubted():
    assert estimate_noise([exposed(texture(), 10)]).doubt < 0.1


def test_shared_noise_is_not_doubted_for_its_colour():
    rng = np.random.default_rng(3)
    clean = 100 + 40 * cells(384)
    shared = ndimage.gaussian_filter(rng.standard_normal(clean.shape), 0.6)
    noise = estimate_noise([clean + shared / shared.std() * np.sqrt(2 * (clean - 100) + 16)])
    assert shares_noise(noise)
    assert noise.doubt < 0.05


def test_strong_noise_that_does_not_grow_with_the_light_is_not_doubted():
    rng = np.random.default_rng(4)
    assert estimate_noise([10 * cells() + rng.standard_normal((256, 256))]).doubt < 0.05


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((64, 64)),
        np.full((128, 128), np.nan),
        np.full((3, 5), 7.0),
        np.where(np.indices((256, 256))[0] < 128, np.nan, exposed(cells(), 50)),
        np.pad(exposed(cells(128), 50), 64),
    ],
    ids=["zero", "nan", "tiny", "half-nan", "padded"],
)
def test_what_says_nothing_is_not_doubted(image):
    assert estimate_noise([image]).doubt < 0.05


@pytest.mark.parametrize("doubt", [-0.1, 1.5, float("nan")])
def test_impossible_doubts_are_refused(doubt):
    with pytest.raises(ValueError, match="doubt"):
        NoiseModel(1.0, 0.0, 1.0, doubt=doubt)
