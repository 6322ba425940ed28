"""Noise that neighbouring pixels share is found, white noise and structure are left alone."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from scipy.signal import fftconvolve

from napari_rdpdenoise.noise import NoiseModel, estimate_noise
from napari_rdpdenoise.noise.correlation import measure_correlation

NOISE = NoiseModel(gain=2.0, offset=100.0, read_noise=4.0)


def scene(seed: int, size: int = 384) -> np.ndarray:
    """Smooth cells on a dark ground, counts."""
    rng = np.random.default_rng(seed)
    cells = ndimage.gaussian_filter(rng.standard_normal((size, size)), 12)
    texture = ndimage.gaussian_filter(rng.standard_normal((size, size)), 2)
    inside = np.clip(cells / cells.std() - 0.5, 0, None)
    return 110 + 400 * inside * (1 + 0.3 * texture / texture.std())


def exposed(seed: int, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """Noisy and clean image; the noise went through a blur of ``sigma`` px and kept its variance."""
    clean = scene(seed)
    white = np.random.default_rng(seed + 1).standard_normal(clean.shape)
    shared = ndimage.gaussian_filter(white, sigma) if sigma else white
    return clean + shared / shared.std() * np.sqrt(NOISE.variance(clean)), clean


@pytest.mark.parametrize("seed", range(4))
def test_white_noise_is_called_white(seed: int) -> None:
    noisy, _ = exposed(seed, 0.0)
    assert measure_correlation([noisy], estimate_noise([noisy])) is None
    assert estimate_noise([noisy]).notes == ()


@pytest.mark.parametrize("sigma", [0.5, 0.6, 0.7, 0.9])
@pytest.mark.parametrize("seed", range(2))
def test_shared_noise_is_measured(seed: int, sigma: float) -> None:
    noisy, clean = exposed(seed, sigma)
    found = estimate_noise([noisy])
    assert "share their noise" in found.notes[-1]
    true = np.mean((noisy - clean) ** 2)
    assert 0.65 < found.variance(clean).mean() / true < 1.35


@pytest.mark.parametrize("seed", [2, 3])
def test_noise_that_is_shared_by_little_is_measured_and_taken_for_white(seed: int) -> None:
    clean = scene(seed, 512)
    white = np.random.default_rng(seed + 1).standard_normal(clean.shape)
    shared = white + 0.02 * sum(np.roll(white, step, axis) for step in (-1, 1) for axis in (0, 1))
    noisy = clean + shared / shared.std() * np.sqrt(NOISE.variance(clean))
    found = estimate_noise([noisy])
    assert found.notes == ()
    true = np.mean((noisy - clean) ** 2)
    assert 0.93 < found.variance(clean).mean() / true < 1.15


@pytest.mark.parametrize(("narrow", "wide", "share"), [(0.6, 1.6, 0.5), (0.65, 2.0, 0.35), (0.5, 1.5, 0.3)])
@pytest.mark.parametrize("seed", range(2))
def test_tails_of_shared_noise_are_measured(seed: int, narrow: float, wide: float, share: float) -> None:
    clean = scene(seed)
    white = np.random.default_rng(seed + 1).standard_normal(clean.shape)
    near, far = (ndimage.gaussian_filter(white, sigma) for sigma in (narrow, wide))
    shared = (1 - share) * near + share * far
    noisy = clean + shared / shared.std() * np.sqrt(NOISE.variance(clean))
    found = estimate_noise([noisy])
    true = np.mean((noisy - clean) ** 2)
    assert 0.8 < found.variance(clean).mean() / true < 1.35


def granules(seed: int, width: float, strength: float, size: int = 384) -> np.ndarray:
    """Dense granules of ``width`` px, in all of the image but not everywhere as bright, counts."""
    rng = np.random.default_rng(seed)
    fine, coarse = (ndimage.gaussian_filter(rng.standard_normal((size, size)), s) for s in (width, 15))
    brightness = np.clip(1 + coarse / coarse.std(), 0.2, None)
    return 120 + strength * brightness * np.clip(fine / fine.std() + 0.5, 0, None)


@pytest.mark.parametrize("sigma", [0.5, 0.6, 0.7])
@pytest.mark.parametrize(("width", "strength"), [(3, 40), (4, 40), (4, 60)])
@pytest.mark.parametrize("seed", [0, 1])
def test_dense_granules_are_no_tails_of_shared_noise(
    seed: int, width: float, strength: float, sigma: float
) -> None:
    clean = granules(seed, width, strength)
    white = np.random.default_rng(seed + 50).standard_normal(clean.shape)
    shared = ndimage.gaussian_filter(white, sigma)
    noisy = clean + shared / shared.std() * np.sqrt(NOISE.variance(clean))
    found = estimate_noise([noisy])
    assert "share their noise" in found.notes[-1]
    true = np.mean((noisy - clean) ** 2)
    assert 0.85 < found.variance(clean).mean() / true < 1.22


@pytest.mark.parametrize("seed", range(3))
def test_what_noise_shares_far_counts_for_more_in_an_even_image(seed: int) -> None:
    wide = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal((384, 384)), 25)
    clean = 110 + 100 * np.clip(50 * wide, 0, 1)
    white = np.random.default_rng(seed + 9).standard_normal(clean.shape)
    rows, columns = np.mgrid[-16:17, -16:17]
    shared = fftconvolve(white, np.exp(-np.hypot(rows, columns) / 0.6), mode="same")
    noisy = clean + shared / shared.std() * np.sqrt(NOISE.variance(clean))
    found = estimate_noise([noisy])
    true = np.mean((noisy - clean) ** 2)
    assert 1.35 < found.variance(clean).mean() / true < 1.75


def test_dense_structure_is_no_noise() -> None:
    rng = np.random.default_rng(0)
    texture = ndimage.gaussian_filter(rng.standard_normal((384, 384)), 3)
    image = 1000 + 200 * texture / texture.std() + rng.standard_normal(texture.shape)
    found = estimate_noise([image])
    assert found.variance(1000.0) < 3.0


def test_too_small_or_blank_images_say_nothing() -> None:
    assert measure_correlation([np.full((20, 20), 7.0)], NOISE) is None
    assert measure_correlation([np.full((256, 256), 7.0)], NOISE) is None


def test_infinities_say_nothing_and_do_not_warn() -> None:
    noisy, _ = exposed(0, 0.6)
    expected = measure_correlation([noisy], NOISE)
    noisy[40, 50:52] = np.inf, -np.inf
    found = measure_correlation([noisy], NOISE)
    assert expected is not None
    assert found is not None
    assert found.sigma == pytest.approx(expected.sigma, abs=0.05)


@pytest.mark.parametrize("photons", [300, 3000, 30_000])
def test_membranes_and_their_grain_are_no_shared_noise(photons: float) -> None:
    rng = np.random.default_rng(5)
    fields = [ndimage.gaussian_filter(rng.standard_normal((256, 256)), sigma) for sigma in (2, 5, 0.5)]
    fine, coarse, grain = (field / field.std() for field in fields)
    light = 0.8 - 0.35 * np.exp(-2 * fine**2) - 0.35 * np.exp(-7 * coarse**2) + 0.04 * grain
    image = rng.poisson(photons * np.clip(light, 0, 1)) + rng.normal(0, 1.5, light.shape)
    assert not any("share their noise" in note for note in estimate_noise([image]).notes)


@pytest.mark.parametrize(("kind", "seed"), [("shifted", 0), ("shifted", 1), ("enlarged", 0), ("jpeg", 0)])
def test_noise_is_shared_after_what_is_done_to_images(kind: str, seed: int) -> None:
    noisy, _ = exposed(seed, 0.0)
    if kind == "shifted":
        image = ndimage.shift(noisy, (0.3, 0.3), order=1, mode="reflect")
    elif kind == "enlarged":
        image = ndimage.zoom(noisy, 1.5, order=1)
    else:
        image = jpeg(noisy)
    assert "share their noise" in estimate_noise([image]).notes[-1]


def jpeg(image: np.ndarray) -> np.ndarray:
    """An 8-bit copy that was compressed and read again."""
    from io import BytesIO

    from PIL import Image

    stretched = np.clip((image - image.min()) / np.ptp(image) * 255, 0, 255).astype(np.uint8)
    file = BytesIO()
    Image.fromarray(stretched).save(file, "JPEG", quality=90)
    return np.asarray(Image.open(file))
