from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from napari_rdpdenoise.metrics import ResidualReport, check_residual, judge_residual
from napari_rdpdenoise.noise import NoiseModel
from tests.support.exposures import GAIN, OFFSET, READ, exposure, light, stored

NOISE = NoiseModel(gain=2.0, offset=100.0, read_noise=5.0)


def warnings(noisy: np.ndarray, denoised: np.ndarray) -> list[str]:
    """What the checks in words say where something stands out."""
    return [check.text for check in judge_residual(noisy, denoised, NOISE).checks if not check.fine]


@pytest.fixture(scope="module")
def pair() -> tuple[np.ndarray, np.ndarray]:
    """Noisy uint16 and its truth, two planes of 160 x 200."""
    rng = np.random.default_rng(5)
    smooth = gaussian_filter(rng.normal(size=(2, 160, 200)), (0, 3, 3))
    clean = 100 + 2 * (10 + 60 * np.maximum(smooth, 0) / smooth.max())
    counts = 100 + 2 * rng.poisson((clean - 100) / 2) + rng.normal(0, 5, clean.shape)
    return np.rint(counts).astype(np.uint16), clean


def test_the_truth_leaves_white_noise_of_the_expected_power(pair) -> None:
    noisy, clean = pair
    report = check_residual(noisy, clean, NOISE)
    assert report.noise_ratio == pytest.approx(1.0, abs=0.03)
    assert max(abs(report.lag_y), abs(report.lag_x), abs(report.signal_correlation)) < 0.02
    assert abs(report.mean_bias_pct) < 0.1
    assert report.pixels == noisy.size
    assert warnings(noisy, clean) == []


def test_the_noisy_image_itself_removed_nothing(pair) -> None:
    noisy, _ = pair
    report = check_residual(noisy, noisy, NOISE)
    assert (report.noise_ratio, report.lag_y, report.lag_x, report.mean_bias_pct) == (0, 0, 0, 0)
    assert "still in the image" in warnings(noisy, noisy)[0]


def test_oversmoothing_is_seen_as_removed_structure(pair) -> None:
    noisy, _ = pair
    smooth = gaussian_filter(noisy.astype(float), (0, 9, 9))
    report = check_residual(noisy, smooth, NOISE)
    assert report.noise_ratio > 1.1
    assert report.lag_x > 0.05
    words = " ".join(warnings(noisy, smooth))
    assert "structure may be gone" in words
    assert "Correlation of neighbouring pixels" in words


def test_a_stripe_is_seen_along_its_own_direction(pair) -> None:
    noisy, clean = pair
    stripes = 12 * np.random.default_rng(0).normal(size=(2, 160, 1))
    report = check_residual(noisy, clean + stripes, NOISE)
    assert report.lag_x > 0.3
    assert abs(report.lag_y) < 0.1


def test_a_changed_mean_and_a_lost_contrast_are_reported(pair) -> None:
    noisy, clean = pair
    shifted = check_residual(noisy, 1.03 * clean, NOISE)
    assert shifted.mean_bias_pct == pytest.approx(3.0, abs=0.1)
    assert "mean intensity changed by +" in " ".join(warnings(noisy, 1.03 * clean))
    faint = clean.mean() + 0.7 * (clean - clean.mean())
    pale = check_residual(noisy, faint, NOISE)
    assert pale.signal_correlation > 0.05
    assert "follows the image" in " ".join(warnings(noisy, faint))


def test_saturated_pixels_are_left_out(pair) -> None:
    noisy, clean = pair
    burnt = noisy.copy()
    burnt[:, :20] = np.iinfo(np.uint16).max
    report = check_residual(burnt, clean, NOISE)
    assert report.pixels == noisy.size - 2 * 20 * 200
    assert report.noise_ratio == pytest.approx(1.0, abs=0.03)


def test_nothing_usable_is_nan_not_a_crash() -> None:
    report = check_residual(np.full((3, 3), 255, np.uint8), np.full((3, 3), 250.0), NOISE)
    assert report.pixels == 0
    assert np.isnan(report.noise_ratio)


def test_one_pixel() -> None:
    report = check_residual(np.array([[120]], np.uint16), np.array([[110.0]]), NOISE)
    chance = pytest.approx(100 * np.sqrt(45) / 120)
    assert report == ResidualReport(
        pytest.approx(100 / 45), 0.0, 0.0, 0.0, pytest.approx(-100 / 12), 1, chance
    )


def test_refusals_name_what_was_found() -> None:
    with pytest.raises(ValueError, match=r"\(2, 2\) and \(2, 3\)"):
        check_residual(np.ones((2, 2)), np.ones((2, 3)), NOISE)
    with pytest.raises(ValueError, match=r"found shape \(4,\)"):
        check_residual(np.ones(4), np.ones(4), NOISE)


@pytest.mark.parametrize("top", [400, 4095])
def test_saturated_pixels_below_the_end_of_the_dtype_are_left_out(top):
    counts, _ = exposure()
    truth = OFFSET + GAIN * light()
    clean, noisy = truth * top / 200, np.minimum(np.rint(counts * top / 200), top).astype(np.uint16)
    scale = top / 200
    noise = NoiseModel(GAIN * scale, OFFSET * scale, READ * scale)
    report = check_residual(noisy, clean, noise)
    assert report.pixels == (noisy < top).sum()


@pytest.mark.parametrize("value", [0, 65535])
def test_what_is_not_image_is_left_out(value):
    counts, _ = exposure()
    truth = OFFSET + GAIN * light()
    noisy = stored(counts, "u2")
    noisy[:50], noisy[90, 90] = value, 9000
    result = np.where(noisy == value, value, truth)
    for noise in (NoiseModel(GAIN, OFFSET, READ), None):
        verdict = judge_residual(noisy, result, noise)
        assert verdict.report.pixels == noisy.size - 50 * 160 - 1
        assert verdict.report.noise_ratio == pytest.approx(1, abs=0.1)
