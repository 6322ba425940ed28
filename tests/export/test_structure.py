"""The exported structure step gives the share of the tile loop, and the module the engine's counts."""

from __future__ import annotations

import io
import warnings

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from napari_rdpdenoise import denoise
from napari_rdpdenoise.codec import fit_normalization, load_model, plane_seed
from napari_rdpdenoise.codec.library import model_folder
from napari_rdpdenoise.codec.models import build_network
from napari_rdpdenoise.codec.structure import returned
from napari_rdpdenoise.export.module import Fixed, torchscript
from napari_rdpdenoise.export.structure import Structure
from napari_rdpdenoise.noise import NoiseModel, expected_stabilized, stabilize
from napari_rdpdenoise.noise.estimate import estimate_noise
from tests.support.structure import structure_share

CAMERAS = {
    "usual": NoiseModel(2.0, 100.0, 3.0),
    "dim": NoiseModel(40.0, 100.0, 30.0),
    "gaussian": NoiseModel(0.0, 100.0, 12.0),
    "no table": NoiseModel(0.2, 100.0, 7.5),
    "in doubt": NoiseModel(2.0, 100.0, 3.0, doubt=0.3),
    "all in doubt": NoiseModel(2.0, 100.0, 3.0, doubt=1.0),
}


@pytest.fixture(params=list(CAMERAS.values()), ids=list(CAMERAS))
def noise(request):
    return request.param


def scene(shape=(150, 210), seed=0):
    """Counts of a fine texture in the left half, flat light in the right, and what a model smooths it to."""
    rows, columns = np.indices(shape)
    stripes = np.where((columns < shape[1] // 2) & ((rows + columns) % 4 < 2), 250.0, 0.0)
    smooth = 100.0 + 2 * (300.0 + stripes.mean() * (columns < shape[1] // 2))
    rng = np.random.default_rng(seed)
    raw = 100 + 2 * rng.poisson(300 + stripes) + rng.normal(0, 3, shape)
    return raw.astype(np.float32), smooth.astype(np.float32)


def given_back(noise, raw, decoded, usable=None):
    """What the exported module gives back: share, and texture in counts."""
    t, expected = stabilize(raw, noise), expected_stabilized(decoded, noise)
    usable = np.ones(raw.shape, bool) if usable is None else usable
    with torch.no_grad():
        module = torch.jit.script(Structure(noise))
        return [part.numpy() for part in module(*map(torch.from_numpy, (t, expected, decoded, usable)))]


def exported_share(noise, raw, decoded, usable=None):
    return given_back(noise, raw, decoded, usable)[0]


@pytest.mark.parametrize("shape", [(150, 210), (20, 90), (7, 5), (1, 1)])
def test_the_share_is_that_of_the_tile_loop(noise, shape):
    raw, smooth = scene(shape)
    share = structure_share(raw, smooth, noise)
    found = exported_share(noise, raw, smooth)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, share, atol=2e-5)


@pytest.mark.parametrize("shape", [(150, 210), (20, 90), (7, 5), (1, 1)])
def test_the_texture_is_that_of_the_tile_loop(noise, shape):
    raw, smooth = scene(shape)
    usable = np.random.default_rng(1).random(shape) < 0.95
    back = returned(raw, smooth, noise, usable.copy())
    found = given_back(noise, raw, smooth, usable)[1]
    wanted = np.zeros(shape) if back.texture is None else back.texture
    np.testing.assert_allclose(found, wanted, atol=1e-3 * np.ptp(raw) + 1e-6)


def test_pixels_that_say_nothing_count_as_little_and_get_nothing(noise):
    raw, smooth = scene()
    usable = np.random.default_rng(1).random(raw.shape) < 0.7
    usable[30:130, 60:180] = False
    found = exported_share(noise, raw, smooth, usable)
    np.testing.assert_allclose(found, structure_share(raw, smooth, noise, usable.copy()), atol=2e-5)
    assert not found[~usable].any()


def test_light_below_zero_and_dark_frames_are_alike(noise):
    raw = np.random.default_rng(2).normal(95, 3, (60, 80)).astype(np.float32)
    decoded = np.full_like(raw, 80.0)
    np.testing.assert_allclose(
        exported_share(noise, raw, decoded), structure_share(raw, decoded, noise), atol=2e-5
    )


def exported(folder, fixed):
    data = torchscript(
        build_network(load_model(folder, "cpu").card.network, load_file(folder / "model.safetensors")), fixed
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return torch.jit.load(io.BytesIO(data))


def run(module, image):
    with torch.no_grad():
        return module(torch.from_numpy(image.copy())[None, None])[0, 0].numpy()


@pytest.mark.parametrize("realism", [0.0, 0.6])
def test_the_module_gives_the_counts_of_denoise(realism):
    """Of the shipped model, on a texture that it smooths, with the camera told."""
    raw, _ = scene((160, 224))
    camera = CAMERAS["usual"]
    asked = {"rate": 0.5, "realism": realism, "device": "cpu", "precision": "float32", "neighbours": "none"}
    asked |= {"camera": (camera.gain, camera.offset, camera.read_noise), "invalid": "none"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        codec = load_model("default", "cpu")
        ours = denoise(raw, model=codec, **asked)
        bare = denoise(raw, model=codec, structure="none", **asked)
    fixed = Fixed(camera, codec.fit([raw], camera), 0.5, realism, plane_seed(0, ()), structure=True)
    deviation = np.sqrt(camera.variance(np.median(raw)))
    found = run(exported(model_folder("default"), fixed), raw)
    assert np.abs(ours - bare).max() > 0.5 * deviation
    assert np.abs(found - ours).max() < 1e-3 * deviation


def test_nothing_goes_back_to_saturated_and_missing_pixels(tiny_model):
    raw, _ = scene((96, 128))
    noise = CAMERAS["in doubt"]
    top = float(np.quantile(raw, 0.99))
    units = fit_normalization([raw], noise)
    with_top, without, bare = (
        run(exported(tiny_model, Fixed(noise, units, 0.5, 0.0, structure=back, saturation=level)), raw)
        for back, level in ((True, top), (True, np.inf), (False, np.inf))
    )
    clipped = raw >= top
    np.testing.assert_allclose(with_top[clipped], bare[clipped], rtol=1e-6)
    assert (np.abs(without - bare)[clipped] > 0).all()
    holes = raw.copy()
    holes[10:14, 20:40] = np.nan
    found = run(exported(tiny_model, Fixed(noise, units, 0.5, 0.0, structure=True)), holes)
    assert np.array_equal(np.isnan(found), np.isnan(holes))


def test_where_noise_is_shared_only_the_doubt_goes_back():
    rng = np.random.default_rng(0)
    blurred = rng.normal(300, 10, (200, 201))
    blurred = (blurred[:, 1:] + blurred[:, :-1] + np.roll(blurred[:, 1:], 1, 0)).astype(np.float32)
    shared = estimate_noise([blurred])
    assert any("share" in note for note in shared.notes)
    smooth = np.full_like(blurred, blurred.mean())
    np.testing.assert_allclose(
        exported_share(shared, blurred, smooth), structure_share(blurred, smooth, shared), atol=1e-6
    )
