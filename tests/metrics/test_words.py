from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from napari_rdpdenoise.metrics import check_residual
from napari_rdpdenoise.metrics.trust import texture_share
from napari_rdpdenoise.metrics.words import judge_residual
from napari_rdpdenoise.noise import NoiseModel
from tests.support.exposures import GAIN, OFFSET, READ, corrected, light

NOISE = NoiseModel(gain=2.0, offset=100.0, read_noise=5.0)


@pytest.fixture(scope="module")
def pair() -> tuple[np.ndarray, np.ndarray]:
    """Noisy uint16 and its truth, 256 x 320."""
    rng = np.random.default_rng(3)
    smooth = gaussian_filter(rng.normal(size=(256, 320)), 3)
    clean = 100 + 2 * (20 + 60 * np.maximum(smooth, 0) / smooth.max())
    noisy = 100 + 2 * rng.poisson((clean - 100) / 2) + rng.normal(0, 5, clean.shape)
    return np.rint(noisy).astype(np.uint16), clean.astype(np.float32)


def words(verdict) -> dict[str, tuple[str, bool]]:
    return {check.name: (check.text, check.fine) for check in verdict.checks}


def test_texture_is_counted_in_units_of_the_noise(pair) -> None:
    _, clean = pair
    texture = np.random.default_rng(2).normal(size=clean.shape) * np.sqrt(NOISE.variance(clean))
    for strength in (0.0, 0.5, 2.0):
        real = (clean + strength * texture).astype(np.float32)
        assert texture_share(clean, real, NOISE) == pytest.approx(strength, rel=0.02)
        assert texture_share(clean, real, NOISE, 0.5) == pytest.approx(strength / 2, rel=0.02)
    assert np.isnan(texture_share(np.full((2, 2), np.nan, np.float32), np.ones((2, 2), np.float32), NOISE))


def test_the_truth_passes_every_check(pair) -> None:
    verdict = judge_residual(*pair, NOISE)
    assert verdict.fine
    assert len(verdict.checks) == 4
    assert verdict.report == check_residual(*pair, NOISE)
    assert all(f"{abs(check.value):.2f}" in check.text for check in verdict.checks)


def test_each_fault_is_named_by_its_own_check(pair) -> None:
    noisy, clean = pair
    nothing = words(judge_residual(noisy, noisy, NOISE))
    assert nothing["noise removed"] == (
        "0.00 of the expected noise was removed: less than the noise: the rest is still in the image, "
        "or the noise is weaker than estimated.",
        False,
    )
    blurred = words(judge_residual(noisy, gaussian_filter(clean, 9), NOISE))
    assert not blurred["noise removed"][1]
    assert "structure went with it" in blurred["whiteness"][0]
    brighter = words(judge_residual(noisy, clean * 1.03, NOISE))
    assert brighter["mean"][0].startswith("The mean intensity changed by +")
    assert not brighter["mean"][1]
    pale = words(judge_residual(noisy, clean.mean() + 0.6 * (clean - clean.mean()), NOISE))
    assert "follows the image" in pale["structure"][0]
    assert not pale["structure"][1]


def test_only_what_is_done_is_judged(pair) -> None:
    noisy, clean = pair
    result, done = noisy.astype(np.float32), np.zeros(noisy.shape, bool)
    result[64:192, 64:256], done[64:192, 64:256] = clean[64:192, 64:256], True
    assert not judge_residual(noisy, result, NOISE).fine
    verdict = judge_residual(noisy, result, NOISE, done)
    assert verdict.fine
    assert verdict.report.pixels == done.sum()
    half = judge_residual(noisy, np.rint(result).astype(np.uint16), NOISE, done)  # integers hold no NaN
    assert half.report.pixels == done.sum()


def test_nothing_done_is_no_verdict(pair) -> None:
    verdict = judge_residual(*pair, NOISE, np.zeros(pair[0].shape, bool))
    assert not verdict.fine
    assert "No usable pixel" in verdict.checks[0].text


def test_other_shapes_are_refused(pair) -> None:
    noisy, clean = pair
    with pytest.raises(
        ValueError, match=r"result: expected the shape of noisy, \(256, 320\), found \(256, 1\)"
    ):
        judge_residual(noisy, clean[:, :1], NOISE)
    with pytest.raises(ValueError, match=r"fidelity and realism must have one shape"):
        texture_share(clean, clean[1:], NOISE)
    with pytest.raises(ValueError, match=r"done: expected the shape of noisy"):
        judge_residual(noisy, clean, NOISE, np.ones((2, 2), bool))


def test_without_a_noise_model_it_is_measured(pair) -> None:
    verdict = judge_residual(*pair)
    assert verdict.fine
    assert verdict.report.noise_ratio == pytest.approx(1, abs=0.1)
    stack = judge_residual(*(np.stack([image, image]) for image in pair))
    assert stack.report.pixels == 2 * verdict.report.pixels
    assert stack.fine


@pytest.mark.parametrize("side", [12, 40, 200])
def test_few_pixels_of_pure_noise_are_not_called_structure(side) -> None:
    """By chance a correlation of n pixels is off by 1 / sqrt(n): of a hundred images a few stand out."""
    rng, noise, wrong = np.random.default_rng(4), NoiseModel(gain=0.0, offset=0.0, read_noise=1.0), 0
    for _ in range(100):
        noisy = rng.normal(10, 1, (side, side)).astype(np.float32)
        found = words(
            judge_residual(noisy, np.full_like(noisy, 10) + 0.01 * rng.normal(size=noisy.shape), noise)
        )
        wrong += not (found["whiteness"][1] and found["structure"][1])
    assert wrong <= 4


@pytest.mark.parametrize("sign", [1, -1])
def test_what_alternates_between_neighbours_is_called_fine_and_not_smooth(sign) -> None:
    rng, noise = np.random.default_rng(5), NoiseModel(gain=0.0, offset=0.0, read_noise=1.0)
    grain = rng.normal(size=(128, 129))
    noisy = 10 + (grain[:, 1:] + sign * grain[:, :-1]) / 2**0.5
    text, fine = words(judge_residual(noisy, np.full(noisy.shape, 10.0), noise))["whiteness"]
    assert not fine
    assert ("smooth" in text, "finer than the noise" in text) == (sign > 0, sign < 0)


@pytest.mark.parametrize(("mean", "fine"), [(0.001, True), (10.0, False)])
def test_a_mean_near_0_has_changed_by_chance_only(mean, fine) -> None:
    """One percent of the noise is many percent of a mean near 0, and nothing that anybody could measure."""
    rng, noise = np.random.default_rng(6), NoiseModel(gain=0.0, offset=0.0, read_noise=1.0)
    noisy = rng.normal(size=(64, 64))
    noisy += mean - noisy.mean()
    change = 0.01 if mean < 1 else 0.1
    text, found = words(judge_residual(noisy, np.full(noisy.shape, mean + change), noise))["mean"]
    assert found is fine
    assert ("no more than chance" in text) is fine


def test_each_plane_is_judged_by_its_own_noise() -> None:
    """A series that was corrected for bleaching; one noise for all of it does not fit."""
    series, truth = corrected(count=5, shape=(256, 256)), OFFSET + GAIN * light((256, 256))
    clean = np.broadcast_to(truth, series.shape)
    own = [NoiseModel(GAIN / share, OFFSET, READ / share) for share in 0.2 ** (np.arange(5) / 4)]
    verdict = judge_residual(series, clean, own)
    assert verdict.fine
    assert verdict.report.noise_ratio == pytest.approx(1, abs=0.03)
    assert not judge_residual(series, clean, own[2]).fine
    with pytest.raises(ValueError, match="noise: expected a model for each of 5 planes, found 2"):
        judge_residual(series, clean, own[:2])
    with pytest.raises(ValueError, match="noise: expected a model for each of 5 planes, found 2"):
        check_residual(series, clean, own[:2])
