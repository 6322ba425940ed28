"""The exported module gives the counts that the codec gives; needs nothing of BioImage.IO."""

from __future__ import annotations

import io
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from napari_rdpdenoise import denoise
from napari_rdpdenoise.codec import Place, fit_normalization, load_model, plane_seed
from napari_rdpdenoise.codec.means import block_means, correct_means
from napari_rdpdenoise.codec.models import build_network
from napari_rdpdenoise.export.counts import Grain, Means, Units
from napari_rdpdenoise.export.module import Fixed, torchscript
from napari_rdpdenoise.nn.decoder_names import on_path
from napari_rdpdenoise.nn.decoders.grain import grain
from napari_rdpdenoise.noise import NoiseModel
from napari_rdpdenoise.samples import simulate_timelapse

CAMERAS = {
    "usual": NoiseModel(4.5, 100.0, 7.5),
    "gaussian": NoiseModel(0.0, 100.0, 12.0),
    "no table": NoiseModel(0.2, 100.0, 7.5),  # read noise of 37 electrons
    "little read noise": NoiseModel(1.0, 100.0, 1e-3),
}


@pytest.fixture(params=list(CAMERAS.values()), ids=list(CAMERAS))
def noise(request):
    return request.param


@pytest.fixture(scope="module")
def image():
    return simulate_timelapse((1, 144, 208)).noisy[0].astype(np.float32)


def exported(folder, fixed):
    codec = load_model(folder, "cpu")
    data = torchscript(build_network(codec.card.network, load_file(folder / "model.safetensors")), fixed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return codec, torch.jit.load(io.BytesIO(data))


def run(module, image):
    with torch.no_grad():
        return module(torch.from_numpy(image.copy())[None, None])[0, 0].numpy()


def off(found, expected, noise):
    """Largest difference in noise standard deviations."""
    return np.abs(found - expected).max() / np.sqrt(noise.variance(np.median(expected)))


@pytest.mark.parametrize("realism", [0.0, 0.7, 1.0])
def test_any_size_gives_the_codecs_counts(tiny_realism_model, image, noise, realism):
    normalization = fit_normalization([image], noise)
    seed = plane_seed(5, ())
    codec, module = exported(tiny_realism_model, Fixed(noise, normalization, 0.43, realism, seed))
    for part in (image, image[:130, :77], image[:10, :33]):
        latents = codec.encode([part], normalization, 0.43)
        ours = codec.decode(latents, on_path(realism), [Place(seed)])[0].blend(realism)
        assert off(run(module, part), ours, noise) < 1e-3


def test_without_a_normalisation_each_image_has_its_own(tiny_model, image, noise):
    codec, module = exported(tiny_model, Fixed(noise, None, 0.43, 0.0))
    for part in (image, 3 * image[:130, :77]):
        own = fit_normalization([part], noise)
        ours = codec.decode(codec.encode([part], own, 0.43))[0]["fidelity"]
        assert off(run(module, part), ours, noise) < 1e-3


@pytest.mark.parametrize("factor", [1, 60], ids=["dim", "beyond the first format's range"])
def test_a_model_that_sees_neighbours_is_exported_for_single_planes(tiny_series_model, image, factor):
    noise, bright = NoiseModel(1.0, 100.0, 2.0), image * factor
    codec, module = exported(tiny_series_model, Fixed(noise, None, 0.43, 0.0))
    own = codec.fit([bright], noise)
    ours = codec.decode(codec.encode([bright], own, 0.43))[0]["fidelity"]
    assert own.scale == 1.0
    assert off(run(module, bright), ours, noise) < 1e-3 * factor


def test_a_tile_is_what_denoise_makes_of_it_grain_included(tiny_realism_model, image):
    from napari_rdpdenoise.stream.prepare import measure_channel

    normalization = measure_channel([image])
    fixed = Fixed(normalization.noise, normalization, 0.5, 1.0, plane_seed(3, ()))
    codec, module = exported(tiny_realism_model, fixed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        ours = denoise(image, model=codec, rate=0.5, realism=1.0, structure="none", device="cpu", seed=3)
        other = denoise(image, model=codec, rate=0.5, realism=1.0, structure="none", device="cpu", seed=4)
    found = run(module, image)
    assert off(found, ours, normalization.noise) < 1e-3
    assert off(found, other, normalization.noise) > 1e-3  # the grain is not left out


def test_a_batch_is_its_images(tiny_model, image):
    noise = CAMERAS["usual"]
    _, module = exported(tiny_model, Fixed(noise, fit_normalization([image], noise), 0.5, 0.0))
    batch = np.stack([image, image[::-1], image[:, ::-1]])[:, None]
    with torch.no_grad():
        found = module(torch.from_numpy(batch)).numpy()
    for one, raw in zip(found, batch, strict=True):
        assert off(one[0], run(module, raw[0]), noise) < 1e-3


def test_missing_values_stay_missing_and_spoil_nothing(tiny_model, image):
    noise = CAMERAS["usual"]
    _, module = exported(tiny_model, Fixed(noise, None, 0.5, 0.0))
    holes = image.copy()
    holes[3, 4], holes[60:64, 70], holes[100, 5] = np.nan, np.inf, -np.inf
    found = run(module, holes)
    assert np.array_equal(np.isfinite(found), np.isfinite(holes))
    assert np.array_equal(found[~np.isfinite(holes)], holes[~np.isfinite(holes)], equal_nan=True)
    nothing = run(module, np.full((32, 48), np.nan, np.float32))
    assert np.isnan(nothing).all()


def test_units_are_the_codecs(noise):
    values = np.concatenate([np.linspace(0, 900, 4001), np.geomspace(1e3, 6e4, 500)])
    normal = fit_normalization([values[None]], noise)
    units, z = Units(noise), torch.from_numpy(values)
    u = units.normalize(units.stabilize(z), normal.center, normal.scale)
    np.testing.assert_allclose(u.numpy(), normal.forward(values), rtol=0, atol=2e-6 * normal.scale)
    target = units.target(z, normal.center, normal.scale).numpy()
    np.testing.assert_allclose(target, normal.target(values), rtol=1e-5, atol=2e-6)
    back = units.counts(torch.from_numpy(target), normal.center, normal.scale).numpy()
    np.testing.assert_allclose(back, normal.inverse(target), rtol=1e-6)


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 200), st.integers(1, 200), st.integers(0, 99))
def test_block_means_are_the_codecs(height, width, seed):
    rng = np.random.default_rng(seed)
    image = rng.normal(100, 10, (height, width)).astype(np.float32)
    means = Means()
    of = means.of(torch.from_numpy(image)).numpy()
    np.testing.assert_allclose(of, block_means(image), rtol=1e-12)
    wanted = of + rng.normal(0, 5, of.shape)
    found = means.put_back(torch.from_numpy(image), torch.from_numpy(wanted)).numpy()
    np.testing.assert_allclose(found, correct_means(image, wanted), rtol=0, atol=1e-4)


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 8), st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**64 - 1))
def test_grain_is_the_same_to_the_bit(channels, height, width, seed):
    found = Grain(channels, seed)(height, width)[0]
    assert torch.equal(found, grain(channels, (height, width), Place(seed)))
