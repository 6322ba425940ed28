"""The codec without a network: its quantisers and classes lower the objective, and it denoises."""

from __future__ import annotations

import numpy as np
import pytest

from napari_rdpdenoise.finetune import transform_codec as module
from napari_rdpdenoise.finetune.patches import denoise_linear
from napari_rdpdenoise.finetune.settings import PatchSettings
from napari_rdpdenoise.finetune.transform_codec import (
    LAMBDA,
    NUMBERS,
    averaged,
    denoise,
    encode,
    fit_quantiser,
    learn,
    patches_of,
)
from napari_rdpdenoise.noise import NoiseModel


def scene(height=96, width=112):
    """Edges and stripes, flat elsewhere, in units of the noise."""
    y, x = np.mgrid[:height, :width]
    disc = (y - 40) ** 2 + (x - 40) ** 2 < 600
    stripes = (x > 70) * np.sin(y / 1.5)
    return (8.0 * disc + 4.0 * stripes).astype(np.float32)


@pytest.fixture(scope="module")
def clean():
    return scene()


@pytest.fixture(scope="module")
def noisy(clean):
    return clean + np.random.default_rng(0).standard_normal(clean.shape, dtype=np.float32)


@pytest.fixture(scope="module")
def rounds(noisy):
    return list(learn(noisy, 4, 3))


def error(image, clean):
    return float(np.mean(np.square(image - clean)))


def cost(quantiser, values):
    decoded, bits = quantiser(values)
    return float(np.mean(np.square(values - decoded) + LAMBDA * bits))


def test_classes_denoise_better_than_one_transform(rounds, clean):
    assert error(rounds[0].image, clean) < 0.25  # noise variances
    assert error(rounds[-1].image, clean) < 0.8 * error(rounds[0].image, clean)
    assert len(rounds[0].classes) == 1
    assert len(rounds[-1].classes) > 1


def test_bits_follow_structure(rounds, noisy, clean):
    coded = encode(patches_of(noisy), rounds[-1].classes)
    flat = np.ptp(patches_of(clean), axis=1) == 0
    assert coded.bits[flat].mean() < 0.2 * coded.bits[~flat].mean()
    assert coded.bits.min() >= 0


def test_a_plane_in_blocks_is_the_plane_whole(rounds, noisy, monkeypatch):
    whole = denoise(noisy, rounds[-1].classes)
    np.testing.assert_allclose(whole, rounds[-1].image, atol=1e-4)
    monkeypatch.setattr(module, "_BLOCK", 1000)
    np.testing.assert_allclose(denoise(noisy, rounds[-1].classes), whole, atol=1e-4)


def test_it_learns_from_the_middle_of_a_large_plane(noisy, monkeypatch):
    monkeypatch.setattr(module, "_LEARN", 64)
    (state,) = learn(noisy, 1, 1)
    assert state.image.shape == (64, 64)
    assert denoise(noisy, state.classes).shape == noisy.shape


def test_what_was_not_seen_is_sent_by_more_bits_and_not_lost(rounds):
    """A bright thing outside of the part that was learned from must not be cut off."""
    bright = np.full((24, 24), 500.0, np.float32)
    bright[8:16] += 300.0
    coded = encode(patches_of(bright), rounds[-1].classes)
    assert coded.bits.mean() > 20
    # of 300; the classes that were learned, and so the steps, differ a little from one processor to another
    assert np.abs(averaged(coded.decoded, coded.bits, bright.shape) - bright).max() < 5


@pytest.mark.parametrize("spread", [0.3, 1.0, 5.0, 40.0, 400.0])
def test_a_quantiser_costs_less_than_even_steps_with_or_without_a_dead_zone(spread):
    values = np.random.default_rng(1).laplace(0, spread, 20_000).astype(np.float32)
    ours = cost(fit_quantiser(values), values)
    for step in (2.0, 3.0, 4.0):
        levels = np.rint(values / step)
        share = np.unique(levels, return_counts=True)[1] / len(values)
        entropy = -np.sum(share * np.log2(share))
        assert ours <= np.mean(np.square(values - step * levels)) + LAMBDA * entropy + 0.05
    assert ours <= np.mean(np.square(values)) + 1e-3  # sending nothing


def test_of_equal_values_nothing_is_sent():
    quantiser = fit_quantiser(np.full(500, 3.0, np.float32))
    values, bits = quantiser(np.full(4, 3.0, np.float32))
    assert values == pytest.approx([3.0] * 4)
    assert (bits == 0).all()


def test_bits_are_those_of_a_code():
    """Kraft: the levels of a quantiser have probabilities that sum to one."""
    values = np.random.default_rng(2).normal(0, 6, 5000).astype(np.float32)
    quantiser = fit_quantiser(values)
    bits = {float(v): float(b) for v, b in zip(quantiser.values, quantiser.bits, strict=True)}
    assert len(bits) > 3
    assert sum(2**-b for b in bits.values()) == pytest.approx(1.0, abs=1e-4)


def test_patches_and_back():
    image = np.random.default_rng(3).normal(size=(17, 21)).astype(np.float32)
    patches = patches_of(image)
    assert patches.shape == (10 * 14, NUMBERS)
    back = averaged(patches, np.arange(len(patches), dtype=np.float32), image.shape)
    np.testing.assert_allclose(back, image, atol=1e-5)


def test_the_same_seed_gives_the_same_image(noisy, rounds):
    for one, other in zip(learn(noisy, 4, 3), rounds, strict=True):
        np.testing.assert_array_equal(one.image, other.image)


@pytest.mark.parametrize("shape", [(16, 16), (16, 40)])
def test_small_planes_have_one_class(shape):
    image = np.random.default_rng(4).normal(size=shape).astype(np.float32)
    *_, last = learn(image, 10, 3)
    assert len(last.classes) == 1
    assert np.mean(np.square(last.image)) < 0.5


@pytest.mark.parametrize("domain", ["counts", "stabilised"])
def test_counts_in_counts_out(clean, domain):
    noise = NoiseModel(2.0, 100.0, 4.0)
    truth = 300 + 20 * clean
    rng = np.random.default_rng(5)
    plane = rng.poisson((truth - 100) / 2) * 2.0 + 100 + rng.normal(0, 4, truth.shape)
    settings = PatchSettings(kind="linear", classes=3, rounds=2, domain=domain)
    running, rows = denoise_linear(plane.astype(np.float32), settings, noise), []
    while True:
        try:
            rows.append(next(running))
        except StopIteration as end:
            image = end.value
            break
    assert [row.step for row in rows] == [1, 2]
    assert rows[-1].values["residual"] == pytest.approx(0.95, abs=0.15)
    assert image.shape == plane.shape
    assert error(image, truth) < 0.25 * error(plane, truth)
    assert abs(image.mean() / plane.mean() - 1) < 0.005


def test_bad_planes_are_refused_and_the_trainer_of_networks_says_where_to_go():
    from napari_rdpdenoise.finetune.patches import PatchTrainer

    with pytest.raises(ValueError, match="image: expected structure"):
        next(denoise_linear(np.ones((40, 40)), PatchSettings()))
    with pytest.raises(ValueError, match="kind: expected conv or mlp"):
        PatchTrainer(scene(), PatchSettings(kind="linear"))
