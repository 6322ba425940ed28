"""Texture of a few frequencies goes back where the residual's spectrum holds it, and noise does not."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_rdpdenoise.codec import structure
from napari_rdpdenoise.codec.structure import returned, with_structure
from napari_rdpdenoise.codec.texture import SIZE, Texture
from napari_rdpdenoise.noise import NoiseModel
from tests.support.structure import structure_share

CAMERA = NoiseModel(2.0, 100.0, 3.0)
DIM = NoiseModel(1.0, 0.0, 0.1)
GAUSSIAN = NoiseModel(0.0, 10.0, 4.0)
REACH = 72


def exposed(light, noise, seed=0):
    rng = np.random.default_rng(seed)
    counts = noise.gain * rng.poisson(light) if noise.gain else light
    return (counts + noise.offset + rng.normal(0, noise.read_noise, light.shape)).astype(np.float32)


def counts_of(light, noise):
    return ((noise.gain or 1.0) * light + noise.offset).astype(np.float32)


def weave(shape, period=5.0):
    """A fine pattern of one frequency, standard deviation 1."""
    rows, columns = np.indices(shape)
    return np.sqrt(2) * np.sin(2 * np.pi * (0.8 * rows + 0.6 * columns) / period)


@pytest.mark.parametrize(("light", "noise"), [(500.0, CAMERA), (20.0, CAMERA), (0.4, DIM), (50.0, GAUSSIAN)])
def test_of_noise_alone_hardly_anything_goes_back(light, noise):
    level = np.full((512, 512), light)
    raw, truth = exposed(level, noise), counts_of(level, noise)
    back = returned(raw, truth, noise)
    error = np.mean((back.into(truth, raw) - truth) ** 2)
    assert error < 2e-3 * np.mean((raw - truth) ** 2)


@pytest.mark.parametrize("noise", [CAMERA, GAUSSIAN], ids=["camera", "gaussian"])
@pytest.mark.parametrize(("strength", "rest"), [(0.4, 0.5), (0.7, 0.5), (1.5, 0.8)])
def test_a_fine_pattern_about_as_strong_as_the_noise_comes_back(noise, strength, rest):
    sigma = np.sqrt(noise.variance(float(counts_of(np.float64(400.0), noise)))) / (noise.gain or 1.0)
    light = 400.0 + strength * sigma * weave((320, 320))
    raw, truth = exposed(light, noise), counts_of(light, noise)
    smooth = np.full(raw.shape, truth.mean(), np.float32)
    share = structure_share(raw, smooth, noise)
    alone = np.mean((with_structure(smooth, raw, share) - truth) ** 2)
    found = np.mean((returned(raw, smooth, noise).into(smooth, raw) - truth) ** 2)
    assert found < rest * alone


def test_where_the_pattern_ends_nothing_goes_back():
    scene = np.full((400, 400), 400.0)
    scene[:, :100] += 20 * weave((400, 100))
    raw = exposed(scene, CAMERA)
    smooth = np.full(raw.shape, counts_of(np.float64(400), CAMERA), np.float32)
    back = returned(raw, smooth, CAMERA)
    assert back.texture is not None
    assert np.abs(back.texture[:, 40:60]).mean() > 10
    assert np.abs(back.texture[:, 100 + REACH :]).mean() < 0.1


def test_a_part_has_the_texture_of_the_whole_beyond_the_reach():
    scene = 400 + 15 * weave((320, 320))
    raw = exposed(scene, CAMERA)
    smooth = np.full(raw.shape, counts_of(np.float64(400), CAMERA), np.float32)
    whole = returned(raw, smooth, CAMERA)
    part = returned(raw[64:, 64:], smooth[64:, 64:], CAMERA)
    inside = np.s_[REACH + 8 :, REACH + 8 :]
    np.testing.assert_allclose(part.texture[inside], whole.texture[64:, 64:][inside], atol=0.05)


@pytest.mark.parametrize("rows", [513, 700, 1300])
def test_high_images_have_no_seams(rows, monkeypatch):
    usable = np.random.default_rng(1).random((rows, 70)) < 0.98
    raw = exposed(400 + 15 * weave(usable.shape), CAMERA)
    smooth = np.full(raw.shape, counts_of(np.float64(400), CAMERA), np.float32)
    found = returned(raw, smooth, CAMERA, usable)
    monkeypatch.setattr(structure, "_STRIP", rows)
    at_once = returned(raw, smooth, CAMERA, usable)
    for part, whole in zip(found, at_once, strict=True):
        np.testing.assert_allclose(part, whole, atol=1e-3)


_MEMORY = """
import resource, numpy as np
from napari_rdpdenoise.codec import structure
from napari_rdpdenoise.codec.structure import returned
from napari_rdpdenoise.noise import NoiseModel
camera, usable = NoiseModel(2.0, 100.0, 3.0), np.ones((3072, 1024), bool)
usable[:40, :40] = False
place = np.arange(1024, dtype=np.float32)
light = 400 + 20 * np.sin(1.2 * np.arange(3072, dtype=np.float32)[:, None] + place)
raw = (2 * np.random.default_rng(0).poisson(light) + 100).astype(np.uint16)
smooth = np.full(raw.shape, 900, np.float32)
del light
assert returned(raw[:128], smooth[:128], camera, usable[:128]).texture is not None
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert returned(raw, smooth, camera, usable).texture is not None
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / smooth.nbytes)
"""


def test_it_takes_ten_times_the_memory_of_a_tile():
    if sys.platform != "linux":
        pytest.skip("other systems count memory in other units")
    found = subprocess.run([sys.executable, "-c", _MEMORY], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    assert float(found.stdout) < 10.5


def test_what_goes_back_at_all_frequencies_does_so_once():
    light = 400.0 + 200 * np.random.default_rng(3).normal(size=(256, 256))  # white, as noise is
    raw, truth = exposed(np.maximum(light, 1), CAMERA), counts_of(np.maximum(light, 1), CAMERA)
    smooth = np.full(raw.shape, truth.mean(), np.float32)
    back = returned(raw, smooth, CAMERA)
    assert back.share.mean() > 0.9
    assert back.texture is None or np.abs(back.texture).mean() < 0.02 * np.abs(raw - smooth).mean()


def test_unusable_pixels_and_shared_noise_get_none():
    scene = 400 + 25 * weave((192, 192))
    raw = exposed(scene, CAMERA)
    smooth = np.full(raw.shape, counts_of(np.float64(400), CAMERA), np.float32)
    usable = np.ones(raw.shape, bool)
    usable[60:90, 60:90] = False
    spoiled = np.where(usable, raw, 65535).astype(np.float32)
    back = returned(spoiled, smooth, CAMERA, usable)
    assert not back.texture[~usable].any()
    assert not back.noise_share[~usable].any()
    assert back.texture[100:, 100:].std() > 10
    np.testing.assert_array_equal(back.into(smooth, spoiled)[~usable], smooth[~usable])
    shared = replace(CAMERA, notes=("neighbouring pixels share their noise (as after a blur of 0.6 px)",))
    assert returned(raw, smooth, shared).texture is None
    half = returned(raw, smooth, replace(CAMERA, doubt=0.5)).texture
    np.testing.assert_allclose(half.std() / returned(raw, smooth, CAMERA).texture.std(), 0.5, rtol=0.05)


def test_the_share_of_noise_is_what_comes_with_the_texture():
    scene = 400 + 60 * weave((256, 256))
    smooth = np.full(scene.shape, counts_of(np.float64(400), CAMERA), np.float32)
    texture = [returned(exposed(scene, CAMERA, seed), smooth, CAMERA) for seed in range(2)]
    difference = (
        texture[0].into(smooth, exposed(scene, CAMERA, 0))
        - texture[1].into(smooth, exposed(scene, CAMERA, 1))
    ) / np.sqrt(2)
    noise = np.sqrt(CAMERA.variance(float(smooth[0, 0])))
    assert np.sqrt(np.mean(difference**2)) / noise == pytest.approx(texture[0].noise_share.mean(), rel=0.4)


@pytest.mark.parametrize(("light", "noise"), [(400.0, CAMERA), (8.0, DIM)])
def test_no_light_is_made_or_lost(light, noise):
    scene = light * (1 + 0.9 * np.clip(weave((256, 256), 4.0), -1, 1))
    raw, smooth = exposed(scene, noise), counts_of(np.full(scene.shape, light), noise)
    back = returned(raw, smooth, noise)
    assert back.texture is not None
    blocks = back.texture.reshape(4, 64, 4, 64).mean((1, 3))
    assert np.abs(blocks).max() < 0.05 * np.sqrt(noise.variance(float(smooth[0, 0])))


def test_single_photons_are_no_texture():
    scene = 0.5 * (1 + 0.9 * np.clip(weave((256, 256), 4.0), -1, 1))
    raw = exposed(scene, DIM)
    back = returned(raw, counts_of(np.full(scene.shape, 0.5), DIM), DIM)
    assert back.texture is None or not back.texture.any()


def test_all_that_is_asked_for_goes_back_whole():
    find, residual = Texture(), torch.randn(5 * SIZE, 7 * SIZE, generator=torch.Generator().manual_seed(0))
    np.testing.assert_allclose(find(residual, torch.ones_like(residual)), residual, atol=1e-5)
    assert not find(residual, torch.zeros_like(residual)).any()


@pytest.mark.parametrize("shape", [(1, 1), (5, 40), (17, 16), (100, 33), (31, 255)])
def test_images_of_any_size_get_no_noise_back(shape):
    kept = []
    for seed in range(20):
        raw, truth = exposed(np.full(shape, 50.0), CAMERA, seed), counts_of(np.full(shape, 50.0), CAMERA)
        back = returned(raw, truth, CAMERA)
        assert back.into(raw, raw).shape == back.noise_share.shape == shape
        kept.append(0 if back.texture is None else np.square(back.texture).mean())
    assert np.mean(kept) < 2e-3 * CAMERA.variance(200.0)


@pytest.mark.parametrize("shape", [(16, 16), (48, 32), (5, 40), (17, 16), (100, 33)])
def test_edges_are_mirrored_like_numpy_does(shape):
    find, image = Texture(), torch.randn(shape, generator=torch.Generator().manual_seed(0))
    below = [(0, -length % SIZE) for length in shape]
    whole = find.whole(image)
    np.testing.assert_array_equal(whole, np.pad(image, below, mode="symmetric"))
    np.testing.assert_array_equal(find.edged(whole), np.pad(whole, SIZE // 2, mode="symmetric"))


def test_between_two_blocks_is_their_mean_and_beyond_the_last_there_is_none():
    find, shares = Texture(), torch.rand(3 * SIZE, 5 * SIZE, generator=torch.Generator().manual_seed(0))
    further = find.between_rows(shares)
    assert further.shape == (4 * SIZE, 5 * SIZE)
    assert torch.equal(further[SIZE : 2 * SIZE], (shares[:SIZE] + shares[SIZE : 2 * SIZE]) / 2)
    assert torch.equal(further[:SIZE], shares[:SIZE])
    assert torch.equal(further[-SIZE:], shares[-SIZE:])
    along = find.between_columns(shares)
    assert along.shape == (3 * SIZE, 6 * SIZE)
    assert torch.equal(along[:, SIZE : 2 * SIZE], (shares[:, :SIZE] + shares[:, SIZE : 2 * SIZE]) / 2)
    assert torch.equal(along[:, :SIZE], shares[:, :SIZE])
    assert torch.equal(along[:, -SIZE:], shares[:, -SIZE:])


def test_texture_of_a_few_blocks_is_what_all_grids_give():
    generator = torch.Generator().manual_seed(0)
    residual, shares = (torch.randn(6 * SIZE, 9 * SIZE, generator=generator) for _ in range(2))
    shares = shares.abs().clamp(max=1.0)
    held = torch.zeros(6, 9)
    held[0, 0] = held[2, 3] = held[2, 4] = held[5, 8] = 1.0
    shares *= held.repeat_interleave(SIZE, 0).repeat_interleave(SIZE, 1)
    few, every = Texture(), Texture()
    few.few, every.few = 1.0, 0.0
    torch.testing.assert_close(few(residual, shares), every(residual, shares), rtol=0, atol=1e-5)
