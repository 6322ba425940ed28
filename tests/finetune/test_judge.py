"""Figures without the truth, compared with the truth where the test knows it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_rdpdenoise.codec.normalization import UNIT, Normalization
from napari_rdpdenoise.finetune import judge as judge_module
from napari_rdpdenoise.finetune.judge import Judge
from napari_rdpdenoise.noise import NoiseModel

SIGMA = 20.0
NORMALIZATION = Normalization(NoiseModel(0.0, 0.0, SIGMA), 50.0, 1.0)


@pytest.fixture(scope="module")
def scene():
    clean = 1000 + 2000 * ndimage.gaussian_filter(np.random.default_rng(0).standard_normal((256, 256)), 8)
    return clean, clean + np.random.default_rng(1).normal(0, SIGMA, clean.shape)


@pytest.fixture
def judged(monkeypatch, scene):
    """Figures of any function of network units in the place of a network."""

    def figures(function, decoder="fidelity", **more):
        _replace(monkeypatch, function)
        return Judge([scene[1]], NORMALIZATION, 1.0, decoder, **more).figures(None)

    return figures


def _replace(monkeypatch, function):
    """Put a function of plane and decoder in the place of the network."""

    def reconstruct(_network, u, _rate, names=("fidelity",)):
        return {name: function(u, name) for name in names}

    monkeypatch.setattr(judge_module, "reconstruct", reconstruct)


def true_error(scene, function):
    u = NORMALIZATION.forward(scene[1])
    return float(np.mean((function(u) - NORMALIZATION.target(scene[0])) ** 2)) * UNIT**2


@pytest.mark.parametrize("sigma", [0.8, 1.5, 3.0])
def test_error_is_that_against_the_truth(judged, scene, sigma):
    def blur(u, _name=None):
        return ndimage.gaussian_filter(u, sigma)

    noise = 0.25 * (true_error(scene, blur) if sigma < 1 else 0.03)  # it is judged at 1.25 times the noise
    assert judged(blur)["error"] == pytest.approx(true_error(scene, blur), abs=0.03 + noise)


def test_differences_between_models_are_exact(judged, scene):
    def blur(sigma):
        return lambda u, _name=None: ndimage.gaussian_filter(u, sigma)

    found = judged(blur(2.0))["error"] - judged(blur(3.0))["error"]
    assert found == pytest.approx(true_error(scene, blur(2.0)) - true_error(scene, blur(3.0)), abs=0.01)


def test_what_changes_nothing_has_the_noise_as_error(judged):
    figures = judged(lambda u, _name: u)
    assert figures["residual"] == 0
    assert figures["error"] == pytest.approx(1.25, abs=0.05)


def test_mean_background_and_residual(judged, scene):
    def smooth(u, name):
        image = ndimage.gaussian_filter(u, 3)
        grain = np.random.default_rng(0).standard_normal(u.shape) * 0.3 / UNIT
        return image + (0 if name == "fidelity" else grain + 40 / SIGMA / UNIT)

    plain, grainy = judged(smooth), judged(smooth, "realism")
    assert plain["background"] == 0
    assert grainy["background"] == pytest.approx(np.hypot(0.3, 2.0), rel=0.05)
    light = scene[1].mean() - min(0.0, scene[1].min())
    assert grainy["mean"] - plain["mean"] == pytest.approx(100 * 40 / light, rel=0.02)
    assert plain["residual"] == pytest.approx(1, abs=0.1)


def test_texture_knows_the_references_from_blurred_ones(judged):
    clean = 1000 + 400 * ndimage.gaussian_filter(np.random.default_rng(5).standard_normal((256, 256)), 1.5)
    references = [clean[::-1, ::-1].astype(np.float32)]

    def towards(share):
        def decode(u, name):
            blurred = ndimage.gaussian_filter(NORMALIZATION.target(clean), 2)
            return blurred + share * (NORMALIZATION.target(clean) - blurred)

        return judged(decode, references=references)["texture"]

    assert towards(1.0) < 0.8 * towards(0.5) < 0.8 * towards(0.0)


def test_in_dim_light_a_decode_that_is_too_bright_is_no_better(monkeypatch):
    """Its noise is that of the image, not that which its own brightness would have."""
    dim = Normalization(NoiseModel(1.0, 0.0, 0.1), 2.0, 1.0)
    light = 0.6 + 0.3 * np.sin(np.arange(256) / 20)[:, None] * np.ones(256)
    noisy = np.random.default_rng(2).poisson(light).astype(np.float32)
    truth = dim.target(light)

    def error(offset):
        decoded = truth + np.float32(offset / UNIT)
        _replace(monkeypatch, lambda *_: decoded)
        return Judge([noisy], dim, 1.0).figures(None)["error"]

    assert error(0.3) > error(0.0) + 0.05


def test_blocks_are_the_error_in_parts_and_tell_how_sure_it_is(monkeypatch):
    """Over many images, a difference strays from its mean by no more than its blocks say.

    They say more, since the noise that the judge adds strays from block to block, but is the same every time.
    """

    def error(noisy, sigma):
        _replace(monkeypatch, lambda u, _name: ndimage.gaussian_filter(u, sigma))
        judge = Judge([noisy], NORMALIZATION, 1.0)
        figures = judge.figures(None)
        assert len(judge.blocks) == 3 * 3
        assert np.mean(judge.blocks) == pytest.approx(figures["error"], abs=1e-5)
        return np.array(judge.blocks)

    found, said = [], []
    for seed in range(60):
        noisy = 1000 + np.random.default_rng(seed).normal(0, SIGMA, (96, 96))
        changes = error(noisy, 1.0) - error(noisy, 0.8)
        found.append(changes.mean())
        said.append(changes.var(ddof=1) / len(changes))
    assert 1 < np.sqrt(np.mean(said)) / np.std(found) < 2.5


def test_the_fidelity_decode_is_judged_as_if_it_decided(judged, scene, monkeypatch):
    def decode(u, name):
        return ndimage.gaussian_filter(u, 2.0 if name == "fidelity" else 3.0)

    alone = judged(decode)
    found = Judge([scene[1]], NORMALIZATION, 1.0, "realism").fidelity_figures(None)
    assert found == pytest.approx({f"fidelity {n}": alone[n] for n in ("error", "residual")})
