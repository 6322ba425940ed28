"""Tone curves: torch shows what the metric's protocol shows, and can be differentiated."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_rdpdenoise.codec.normalization import Normalization
from napari_rdpdenoise.noise import NoiseModel
from napari_rdpdenoise.train.losses.display import displayed, tone_curve


@pytest.fixture
def sample():
    rng = np.random.default_rng(1)
    clean = rng.uniform(120, 900, (32, 40)).astype(np.float32)
    normalization = Normalization(NoiseModel(2.0, 100.0, 3.0), 20.0, 0.8)
    return clean, normalization, normalization.target(clean)


@pytest.mark.parametrize("black", [0.0, 0.5, 1.0])
def test_the_curve_is_counts_between_black_and_white(sample, black):
    clean, normalization, target = sample
    tone = torch.from_numpy(tone_curve(normalization, target, clean, black))[None]
    floor = black * np.percentile(clean, 0.5)
    white = np.percentile(clean, 99.9)
    expected = np.clip((clean - floor) / (white - floor), 0, 1)
    found = displayed(torch.from_numpy(target)[None, None], tone)[0, 0].numpy()
    assert np.abs(found - expected).max() < 5e-3  # one point of the curve lies across the white point
    assert np.abs(found - expected).mean() < 1e-4


def test_values_beyond_the_curve_stay_at_its_ends(sample):
    clean, normalization, target = sample
    tone = torch.from_numpy(tone_curve(normalization, target, clean, 0.0))[None]
    ends = displayed(torch.tensor([[[[-1e4, 1e4]]]]), tone).flatten()
    assert 0 <= ends[0] < ends[1] == pytest.approx(1.0, abs=1e-4)


def test_gradients_flow_and_point_up(sample):
    clean, normalization, target = sample
    tone = torch.from_numpy(tone_curve(normalization, target, clean, 0.0))[None]
    u = torch.from_numpy(target)[None, None].requires_grad_(True)
    displayed(u, tone).sum().backward()
    inside = torch.from_numpy(clean < np.percentile(clean, 99))[None, None]
    assert (u.grad[inside] > 0).all()


def test_a_flat_dark_sample_is_finite():
    flat = np.zeros((8, 8), np.float32)
    normalization = Normalization(NoiseModel(1.0, 0.0, 1.0), 0.0, 1.0)
    target = normalization.target(flat)
    tone = torch.from_numpy(tone_curve(normalization, target, flat, 1.0))[None]
    assert torch.isfinite(displayed(torch.from_numpy(target)[None, None], tone)).all()
