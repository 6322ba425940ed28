"""Patch codec of one image: it denoises, meets the noise, and goes on after a kill."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch

from napari_rdpdenoise.finetune.patches import PatchTrainer, Scale
from napari_rdpdenoise.finetune.settings import PatchSettings
from napari_rdpdenoise.nn.patch_codec import PatchCodec
from napari_rdpdenoise.noise import NoiseModel

QUICK = PatchSettings(
    kind="mlp", width=48, latents=4, steps=240, batch=128, learning_rate=2e-3, check_every=20
)


@pytest.fixture(scope="module")
def scene():
    y, x = np.mgrid[:48, :48]
    clean = 400 + 300 * np.sin(x / 9) * np.cos(y / 7)
    noisy = clean + np.random.default_rng(0).normal(0, 120, clean.shape)
    return noisy.astype(np.float32), clean, NoiseModel(0, 0, 120.0)


def finish(run):
    rows = []
    while True:
        try:
            rows.append(next(run))
        except StopIteration as end:
            return rows, end.value


def test_it_removes_noise_and_lambda_follows_the_residual(scene, tmp_path):
    noisy, clean, noise = scene
    shot = PatchTrainer(noisy, QUICK, tmp_path, noise)
    start = shot.tradeoff
    rows, image = finish(shot.run())
    assert image.shape == noisy.shape
    assert np.mean((image - clean) ** 2) < 0.3 * np.mean((noisy - clean) ** 2)
    assert [row.step for row in rows] == list(range(20, 241, 20))
    assert rows[-1].values["residual"] == pytest.approx(1, abs=0.3)
    pushed = rows[-2].values["lambda"] > rows[-3].values["lambda"]
    assert pushed == (rows[-2].values["residual"] < 1)
    assert start == pytest.approx(1.3 * (255 * shot.scale.sigma) ** 2)


def test_a_killed_run_repeats_the_curve_and_the_image(scene, tmp_path):
    noisy, _, noise = scene
    short = QUICK.model_copy(update={"steps": 60})
    rows, kept = [], tmp_path / "killed"
    run = PatchTrainer(noisy, short, tmp_path / "out", noise).run()
    rows.append(next(run))
    shutil.copytree(tmp_path / "out", kept)
    more, image = finish(run)
    again, same = finish(PatchTrainer(noisy, short, kept, noise).run())
    assert [(r.step, r.values) for r in again] == [(r.step, r.values) for r in more]
    np.testing.assert_array_equal(same, image)


def test_another_image_or_setting_does_not_continue(scene, tmp_path):
    noisy, _, noise = scene
    short = QUICK.model_copy(update={"steps": 20})
    finish(PatchTrainer(noisy, short, tmp_path, noise).run())
    with pytest.raises(ValueError, match="another image"):
        next(PatchTrainer(noisy + 1, short, tmp_path, noise).run())
    with pytest.raises(ValueError, match="other settings"):
        next(PatchTrainer(noisy, short.model_copy(update={"batch": 7}), tmp_path, noise).run())


@pytest.mark.parametrize(
    ("plane", "words"),
    [
        (np.ones((40, 40)), "structure"),
        (np.zeros((4, 40, 40)), "plane"),
        (np.full((40, 40), np.nan), "finite"),
    ],
)
def test_planes_that_cannot_be_learned_are_refused(plane, words):
    with pytest.raises(ValueError, match=words):
        PatchTrainer(plane, QUICK, None, NoiseModel(0, 0, 1.0))


@pytest.mark.parametrize("stride", [1, 3, 8])
def test_every_pixel_is_averaged_whatever_the_stride(scene, stride):
    noisy, _, noise = scene
    odd = noisy[:43, :37]
    shot = PatchTrainer(odd, QUICK.model_copy(update={"stride": stride}), None, noise)
    shot.codec.forward = lambda patches: type("Out", (), {"image": patches})()
    np.testing.assert_allclose(shot.denoised(), odd, atol=1e-2)


@pytest.mark.parametrize("domain", ["stabilised", "counts"])
def test_scale_has_the_noise_it_says(domain):
    noise = NoiseModel(2.0, 100.0, 5.0)
    rng = np.random.default_rng(1)
    clean = np.full((200, 200), 600.0)
    z = 100 + 2 * rng.poisson((clean - 100) / 2) + rng.normal(0, 5, clean.shape)
    scale = Scale.fit(z, noise, domain)
    assert scale.forward(z).std() == pytest.approx(scale.sigma, rel=0.03)
    mean = np.full((4, 4), scale.forward(z).mean())
    assert scale.inverse(mean).mean() == pytest.approx(600, rel=0.005)


@pytest.mark.parametrize(("kind", "least", "most"), [("conv", 0.38e6, 0.42e6), ("mlp", 2.2e6, 2.4e6)])
def test_published_sizes_and_shapes(kind, least, most):
    torch.manual_seed(0)
    codec = PatchCodec(kind)
    assert least < sum(p.numel() for p in codec.parameters()) < most
    out = codec(torch.rand(3, 1, 8, 8))
    assert out.image.shape == (3, 1, 8, 8)
    assert out.bits.shape == (3,)
    assert (out.bits > 0).all()
    codec.eval()
    patches = torch.rand(2, 1, 8, 8)
    assert torch.equal(codec(patches).image, codec(patches).image)
