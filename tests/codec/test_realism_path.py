"""The shipped models' realism path, on simulated cells whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from napari_rdpdenoise.codec import fit_normalization, list_models, load_model
from napari_rdpdenoise.codec.library import COLOUR_MODEL
from napari_rdpdenoise.metrics import MetricUnavailable, affine_match, lpips
from napari_rdpdenoise.noise import NoiseModel, estimate_noise
from napari_rdpdenoise.samples import simulate_timelapse

ALPHAS = (0.0, 0.25, 0.5, 0.75, 1.0)
SHIPPED = [m for m in list_models() if m.where == "shipped"]
WITH_REALISM = [m.name for m in SHIPPED if "realism" in m.card.network.decoders]


@pytest.fixture(scope="module", params=WITH_REALISM)
def path(request):
    """Truth and the blends of every plane: (planes, y, x) and {alpha: (planes, y, x)}."""
    codec = load_model(request.param, "cpu")
    truth, images = [], {alpha: [] for alpha in ALPHAS}
    for photons in (10.0, 40.0, 160.0):
        sample = simulate_timelapse((1, 3, 256, 256), photons=photons, seed=3)
        for noisy, clean in zip(sample.noisy[0], sample.clean[0], strict=True):
            normalization = fit_normalization([noisy], estimate_noise([noisy]))
            (decoded,) = codec.decode(codec.encode([noisy], normalization, 1.0), codec.decoders)
            scale = float(clean.max())
            truth.append(clean / scale)
            for alpha in ALPHAS:
                images[alpha].append(decoded.blend(alpha) / scale)
    return np.stack(truth), {alpha: np.stack(stack) for alpha, stack in images.items()}


def error(image, truth):
    return float(np.mean((image - truth) ** 2))


def test_the_error_grows_with_realism_and_hardly_linearly(path):
    """If realism 0 is the posterior mean, MSE(a) = MSE(0) + a^2 gap, with no linear term (Freirich 2021)."""
    truth, images = path
    errors = [error(images[alpha], truth) for alpha in ALPHAS]
    assert errors == sorted(errors)
    gap = error(images[1.0], images[0.0])
    linear = errors[-1] - errors[0] - gap
    assert gap > 0.01 * errors[0]
    assert abs(linear) < 0.5 * gap
    assert errors[-1] < 10**0.15 * errors[0]  # 1.5 dB


def test_realism_keeps_the_mean_of_every_plane(path):
    _, images = path
    for alpha in ALPHAS[1:]:
        means = images[alpha].mean((1, 2)) / images[0.0].mean((1, 2))
        assert np.abs(means - 1).max() < 2e-3


def exposures(images, name):
    """Noisy images held out of a model's training, with their truth and noise.

    Single exposures of fields, since simulated cells lack a camera's texture; of the model of pictures in
    colour their green.
    """
    from skimage.io import imread

    if name == COLOUR_MODEL:
        rng = np.random.default_rng(0)
        for picture in ("301007", "302003", "326038"):
            clean = imread(images / "photo" / "train" / f"{picture}.jpg")[..., 1].astype(np.float32)
            noisy = (clean + rng.normal(0, 25, clean.shape)).astype(np.float32)
            yield noisy, clean, NoiseModel(0.0, 0.0, 25.0)
    else:
        for field in ("072_0", "076_1", "080_0"):
            noisy, clean = (
                imread(images / "train" / "w2s" / part / f"{field}.png") for part in ("noisy", "clean")
            )
            yield noisy, affine_match(clean, noisy), estimate_noise([noisy])


@pytest.mark.parametrize("name", WITH_REALISM)
def test_realism_looks_more_like_real_images(data_folder, name):
    codec = load_model(name, "cpu")
    distances = np.zeros(len(ALPHAS))
    for noisy, truth, noise in exposures(data_folder / "data", name):
        (decoded,) = codec.decode(codec.encode([noisy], codec.fit([noisy], noise), 1.0), codec.decoders)
        try:
            distances += [
                lpips(decoded.blend(alpha), truth, folder=data_folder / "weights") for alpha in ALPHAS
            ]
        except MetricUnavailable as why:
            pytest.skip(f"LPIPS: {why}")
    assert list(distances) == sorted(distances, reverse=True)
    assert distances[-1] < (0.85 if name == COLOUR_MODEL else 0.6) * distances[0]
