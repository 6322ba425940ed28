"""Structure goes back where the residual holds it, and nowhere else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_rdpdenoise.codec.structure import REACH, with_structure
from napari_rdpdenoise.noise import NoiseModel
from tests.support.structure import structure_share

CAMERA = NoiseModel(2.0, 100.0, 3.0)
DIM = NoiseModel(1.0, 0.0, 0.1)


def exposed(light, noise, seed=0):
    rng = np.random.default_rng(seed)
    counts = noise.gain * rng.poisson(light) + noise.offset + rng.normal(0, noise.read_noise, light.shape)
    return counts.astype(np.float32)


def texture(shape, period=4):
    rows, columns = np.indices(shape)
    return np.where((rows // (period // 2) + columns // (period // 2)) % 2, 1.0, -1.0)


@pytest.mark.parametrize(("light", "noise"), [(500.0, CAMERA), (20.0, CAMERA), (0.4, DIM), (3.0, DIM)])
def test_pure_noise_stays_removed_at_any_light(light, noise):
    level = np.full((256, 256), light)
    raw, truth = exposed(level, noise), (noise.gain * level + noise.offset).astype(np.float32)
    share = structure_share(raw, truth, noise)
    assert share.dtype == np.float32
    assert share.mean() < 0.01
    error = np.mean((with_structure(truth, raw, share) - truth) ** 2)
    assert error < 1e-3 * np.mean((raw - truth) ** 2)


@pytest.mark.parametrize("light", [200.0, 2000.0, 50_000.0])
def test_a_texture_that_was_smoothed_comes_back_and_the_result_is_no_worse_than_the_input(light):
    scene = light * (1 + 0.3 * texture((256, 256)))
    raw = exposed(scene, CAMERA)
    truth = CAMERA.gain * scene + CAMERA.offset
    smoothed = np.full(raw.shape, truth.mean(), np.float32)
    result = with_structure(smoothed, raw, structure_share(raw, smoothed, CAMERA))
    noisy, smooth, filled = (np.mean((image - truth) ** 2) for image in (raw, smoothed, result))
    assert filled < noisy * 1.03
    assert filled < smooth


def test_only_the_neighbourhood_of_the_texture_changes():
    scene = np.full((300, 300), 400.0)
    scene[140:160, 140:160] += 200 * texture((20, 20))
    raw = exposed(scene, CAMERA)
    smoothed = np.full(raw.shape, CAMERA.gain * 400 + CAMERA.offset, np.float32)
    flat = structure_share(exposed(np.full((300, 300), 400.0), CAMERA), smoothed, CAMERA)
    share = structure_share(raw, smoothed, CAMERA)
    assert share[150, 150] > 0.5
    far = np.ones(share.shape, bool)
    far[140 - REACH : 160 + REACH, 140 - REACH : 160 + REACH] = False
    # the same exposure elsewhere: the generator draws a Poisson number per pixel in the same order
    assert share[far].mean() < max(0.02, 3 * flat[far].mean())


def test_pixels_that_are_not_usable_get_nothing_back_and_say_nothing():
    raw = exposed(np.full((200, 200), 400.0), CAMERA)
    truth = np.full(raw.shape, CAMERA.gain * 400 + CAMERA.offset, np.float32)
    burnt = np.zeros(raw.shape, bool)
    burnt[90:110, 50:150] = True
    spoiled = np.where(burnt, 65535, raw).astype(np.float32)
    share = structure_share(spoiled, truth, CAMERA, ~burnt)
    assert not share[burnt].any()
    assert share.mean() < 0.01
    assert structure_share(spoiled, truth, CAMERA)[100, 100] > 0.9
    assert not structure_share(spoiled, truth, CAMERA, np.zeros(raw.shape, bool)).any()


def test_a_part_has_the_share_of_the_whole_beyond_the_windows_reach():
    scene = 300 + 100 * texture((240, 240), 6)
    raw = exposed(scene, CAMERA)
    smoothed = np.full(raw.shape, CAMERA.gain * 300 + CAMERA.offset, np.float32)
    whole = structure_share(raw, smoothed, CAMERA)
    part = structure_share(raw[40:, 40:], smoothed[40:, 40:], CAMERA)
    np.testing.assert_allclose(part[REACH:, REACH:], whole[40 + REACH :, 40 + REACH :], atol=1e-5)


@pytest.mark.parametrize("doubt", [0.3, 1.0])
def test_what_is_doubted_to_be_noise_stays_in_the_image(doubt):
    raw = exposed(np.full((128, 128), 400.0), CAMERA)
    truth = np.full(raw.shape, CAMERA.gain * 400 + CAMERA.offset, np.float32)
    usable = np.ones(raw.shape, bool)
    usable[:20] = False
    share = structure_share(raw, truth, replace(CAMERA, doubt=doubt), usable)
    assert share[20:].min() == pytest.approx(doubt)
    assert not share[:20].any()
    if doubt == 1:
        np.testing.assert_allclose(with_structure(truth, raw, share)[20:], raw[20:], rtol=1e-6)


@pytest.mark.parametrize("doubt", [0.0, 0.4])
def test_where_neighbours_share_their_noise_only_what_is_doubted_stays(doubt):
    noise = replace(CAMERA, doubt=doubt, notes=("neighbouring pixels share their noise",))
    raw = exposed(400 * (1 + 0.3 * texture((128, 128))), CAMERA)
    smoothed = np.full(raw.shape, CAMERA.gain * 400 + CAMERA.offset, np.float32)
    np.testing.assert_array_equal(structure_share(raw, smoothed, noise), np.float32(doubt))


@pytest.mark.parametrize("noise", [CAMERA, DIM, NoiseModel(5.0, 400.0, 150.0), NoiseModel(0.0, 50.0, 2.0)])
def test_nothing_comes_back_beside_padding_that_is_darker_than_any_light(noise):
    level = np.full((128, 200), 400.0)
    counts = exposed(level, noise) if noise.gain else np.random.default_rng(0).normal(50, 2, level.shape)
    truth = np.full(level.shape, noise.gain * 400 + noise.offset, np.float32)
    raw, decoded = np.float32(counts), truth.copy()
    raw[:, 100:] = decoded[:, 100:] = noise.offset - 1000 * (noise.gain + noise.read_noise)
    assert structure_share(raw, decoded, noise).mean() < 0.01
