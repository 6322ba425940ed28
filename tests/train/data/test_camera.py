"""Synthetic camera: counts, truth and noise model fit together over the whole range."""

from __future__ import annotations

import numpy as np
import pytest

from napari_rdpdenoise.train.data.camera import expose
from napari_rdpdenoise.train.settings import NoiseRange

SCENE = np.tile(np.linspace(0, 1, 128, dtype=np.float32), (128, 1))
EXACT = {"mismatch": 0.0, "correlated": 0.0}


def exposures(count, **changes):
    settings = NoiseRange(**{**EXACT, **changes})
    return [expose(SCENE, settings, np.random.default_rng(seed)) for seed in range(count)]


@pytest.mark.parametrize("excess", [0.0, 1.0])
@pytest.mark.parametrize("eight_bit", [0.0, 1.0])
def test_the_noise_is_that_of_the_model(eight_bit, excess):
    ratios = []
    for exposure in exposures(30, eight_bit=eight_bit, excess=excess):
        inside = np.s_[:, 8:110]  # away from clipped ends
        error = (exposure.noisy - exposure.clean)[inside]
        ratios.append(float(np.mean(error**2) / exposure.noise.variance(exposure.clean[inside]).mean()))
    assert np.median(ratios) == pytest.approx(1.0, abs=0.1)
    assert 0.6 < min(ratios) < max(ratios) < 1.7


def test_no_exposure_is_lost_to_clipping():
    """Once, dim exposures of 16-bit cameras were cut at 255 counts: white, with a picture as target."""
    for exposure in exposures(200):
        assert np.mean(exposure.noisy >= exposure.noisy.max()) < 0.3
        assert np.corrcoef(exposure.noisy.ravel(), exposure.clean.ravel())[0, 1] > 0.1


def test_8_bit_values_are_integers_up_to_255():
    for exposure in exposures(20, eight_bit=1.0):
        assert exposure.noisy.min() >= 0
        assert exposure.noisy.max() <= 255
        assert np.array_equal(exposure.noisy, np.round(exposure.noisy))


def test_correlated_noise_keeps_its_variance_and_is_shared_by_neighbours():
    for alone, shared in zip(exposures(10), exposures(10, correlated=1.0, eight_bit=0.0), strict=True):
        assert alone.noisy.shape == shared.noisy.shape
        error = (shared.noisy - shared.clean)[:, 8:110]
        ratio = np.mean(error**2) / shared.noise.variance(shared.clean[:, 8:110]).mean()
        assert ratio == pytest.approx(1.0, abs=0.35)
        assert np.corrcoef(error[:, 1:].ravel(), error[:, :-1].ravel())[0, 1] > 0.02


@pytest.mark.parametrize("changes", [{}, {"excess": 1.0}, {"eight_bit": 1.0}, {"correlated": 1.0}])
def test_a_second_exposure_has_the_mean_and_the_variance_of_the_first_and_noise_of_its_own(changes):
    ratios = []
    for seed in range(20):
        settings = NoiseRange(**{**EXACT, "eight_bit": 0.0, "photons": (20, 500), **changes})
        exposure = expose(SCENE, settings, np.random.default_rng(seed), twice=True)
        inside = np.s_[:, 8:110]  # away from clipped ends
        first, second = ((z - exposure.clean)[inside] for z in (exposure.noisy, exposure.second))
        assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.15
        assert abs(first.mean() - second.mean()) < 0.1 * first.std()
        ratios.append(float(second.var() / first.var()))
    assert np.median(ratios) == pytest.approx(1.0, abs=0.05)


def test_the_first_exposure_does_not_know_of_the_second():
    for seed in range(10):
        alone = expose(SCENE, NoiseRange(), np.random.default_rng(seed))
        both = expose(SCENE, NoiseRange(), np.random.default_rng(seed), twice=True)
        assert alone.second is None
        assert np.array_equal(alone.noisy, both.noisy)
        assert np.array_equal(alone.clean, both.clean)
        assert alone.noise == both.noise


def test_stretches_of_light_are_drawn_equally_often():
    def light(photons, count=400):
        settings = NoiseRange(**{**EXACT, "eight_bit": 0.0, "photons": photons})
        drawn = (expose(SCENE, settings, np.random.default_rng(seed)) for seed in range(count))
        return np.array([np.ptp(e.clean) / e.noise.gain for e in drawn])

    lights = light((1, 4, 1000))
    assert np.mean(lights < 4) == pytest.approx(0.5, abs=0.1)
    assert np.mean(light((1, 1000)) < 4) == pytest.approx(np.log(4) / np.log(1000), abs=0.1)
    assert lights.max() > 500


def test_the_seed_decides():
    first, again = exposures(3), exposures(3)
    assert all(np.array_equal(a.noisy, b.noisy) for a, b in zip(first, again, strict=True))


def test_a_flat_scene_is_no_error():
    exposure = expose(np.full((32, 32), 7.0, np.float32), NoiseRange(), np.random.default_rng(0))
    assert np.isfinite(exposure.noisy).all()
    assert np.ptp(exposure.clean) < 1e-3
