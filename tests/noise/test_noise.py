"""The noise model: transform, exact inverse, and its estimate over the kinds of images people have."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from napari_rdpdenoise.noise import (
    NoiseModel,
    estimate_noise,
    expected_stabilized,
    stabilize,
    stabilized_moments,
    stabilized_variance,
    unstabilize,
)
from tests.support.exposures import light

MODELS = [
    NoiseModel(1.0, 0.0, 0.01),
    NoiseModel(2.5, 100.0, 4.0),
    NoiseModel(0.05, 3.0, 0.3),
    NoiseModel(5.0, 400.0, 150.0),  # more read noise than the tables hold
    NoiseModel(0.0, 10.0, 2.0),
]


def expose(clean: NDArray, noise: NoiseModel, seed: int = 0) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    if noise.gain == 0:
        return clean + rng.normal(0, noise.read_noise, clean.shape)
    light = rng.poisson((clean - noise.offset) / noise.gain) * noise.gain + noise.offset
    return light + rng.normal(0, noise.read_noise, clean.shape)


def scene(size: int = 384, seed: int = 0) -> NDArray[np.float64]:
    """Smooth structure from 0.1 to 1, mostly dark."""
    field = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(size, size)), 12)
    field = (field - field.min()) / np.ptp(field)
    return 0.1 + 0.9 * field**2


@pytest.mark.parametrize("noise", MODELS)
@pytest.mark.parametrize("electrons", [5, 20, 100, 3000])
def test_stabilised_noise_has_variance_one(noise, electrons):
    clean = np.full(200_000, noise.offset + electrons * (noise.gain or 1.0))
    found = stabilize(expose(clean, noise), noise)
    assert found.dtype == np.float32
    assert np.var(found, dtype=np.float64) == pytest.approx(1.0, abs=0.06)


@pytest.mark.parametrize("noise", MODELS)
@pytest.mark.parametrize("electrons", [0.3, 1, 3, 10, 63, 65, 1000])
def test_inverse_is_unbiased(noise, electrons):
    unit = noise.gain or 1.0
    clean = np.full(400_000, noise.offset + electrons * unit)
    noisy = expose(clean, noise)
    back = float(unstabilize(np.float64(np.mean(stabilize(noisy, noise), dtype=np.float64)), noise))
    # against the mean of the very same draws: their own scatter is no bias
    signal = float(noisy.mean()) - noise.offset
    assert back - noise.offset == pytest.approx(
        signal, rel=5e-3, abs=0.01 * np.sqrt(noise.variance(clean[0]))
    )


@pytest.mark.parametrize("noise", MODELS)
def test_inverse_undoes_the_expectation(noise):
    unit = noise.gain or 1.0
    electrons = np.concatenate([np.linspace(0, 80, 2001), np.geomspace(80, 1e5, 300)])
    clean = noise.offset + electrons * unit
    back = unstabilize(expected_stabilized(clean, noise), noise)
    assert np.abs(back - clean).max() <= 1e-3 * max(1.0, clean.max() / 1e3)
    single = 1e-6 * np.abs(clean)  # precision of float32
    assert np.all(np.abs(back - clean) <= 1e-3 * np.sqrt(noise.variance(clean)) + single)


@pytest.mark.parametrize("noise", MODELS)
def test_inverse_grows_and_goes_on_below_zero_light(noise):
    t = np.linspace(-5, 60, 5001)
    back = unstabilize(t, noise)
    assert np.all(np.diff(back) >= 0)
    dark = noise.offset - 0.5 * noise.read_noise
    assert float(expected_stabilized(np.array(dark), noise)) < float(
        expected_stabilized(np.array(noise.offset), noise)
    )


def test_variance_table_agrees_with_simulation():
    noise = NoiseModel(1.0, 0.0, 0.2)
    for electrons in (0.2, 1.0, 4.0):
        clean = np.full(400_000, electrons)
        found = np.var(stabilize(expose(clean, noise), noise), dtype=np.float64)
        assert float(stabilized_variance(np.array(electrons), noise)) == pytest.approx(found, rel=0.02)


def test_nan_stays_nan():
    noise = NoiseModel(1.0, 0.0, 1.0)
    values = np.array([1.0, np.nan, 5.0])
    assert np.isnan(unstabilize(stabilize(values, noise), noise)).tolist() == [False, True, False]


@pytest.mark.parametrize("noise", MODELS)
def test_the_darker_the_less_is_expected_far_below_the_offset_too(noise):
    dark = noise.offset - (noise.gain + noise.read_noise) * np.array([0, 1, 1e2, 1e4, 1e6])
    assert (np.diff(expected_stabilized(dark, noise)) <= 0).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1.0, 0.0, 1.0), "gain must be at least 0"),
        ((1.0, 0.0, 0.0), "read_noise must be above 0"),
        ((1.0, float("nan"), 1.0), "offset must be a finite number, found nan"),
    ],
)
def test_impossible_models_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        NoiseModel(*arguments)


@pytest.mark.parametrize(
    ("gain", "offset", "read", "photons"),
    [
        (1.0, 100.0, 1.5, 30),
        (2.5, 100.0, 4.0, 200),
        (0.5, 50.0, 1.0, 400),
        (5.0, 400.0, 30.0, 50),
        (1.0, 100.0, 1.0, 5000),
        (0.3, 10.0, 5.0, 3000),
        (8.0, 500.0, 20.0, 100),
        (1.0, 0.0, 0.01, 60),
    ],
)
def test_estimate_finds_the_variance_of_a_camera(gain, offset, read, photons):
    truth = NoiseModel(gain, offset, float(np.hypot(read, np.sqrt(1 / 12))))
    clean = offset + gain * photons * scene()
    noisy = np.clip(np.round(expose(clean, truth)), 0, 65535).astype(np.uint16)
    found = estimate_noise([noisy])
    assert found.gain == pytest.approx(gain, rel=0.15)
    levels = np.quantile(clean, [0.05, 0.5, 0.95, 0.999])
    np.testing.assert_allclose(found.variance(levels), truth.variance(levels), rtol=0.15)
    assert found.notes == ()


@pytest.mark.parametrize("scale", [1e-9, 1e-3, 1e6])
def test_estimate_does_not_depend_on_the_unit(scale):
    noise = NoiseModel(2.0, 20.0, 3.0)
    noisy = expose(20 + 200 * scene(), noise)
    one, other = estimate_noise([noisy]), estimate_noise([noisy * scale])
    assert other.gain == pytest.approx(one.gain * scale, rel=1e-3)
    assert other.read_noise == pytest.approx(one.read_noise * scale, rel=1e-3)


def test_estimate_of_a_stretched_8_bit_image():
    photons = 60 * scene()
    noise = NoiseModel(1.0, 0.0, 1.0)
    electrons = expose(photons, noise)
    low, high = np.percentile(electrons, [2.0, 99.7])
    factor = 255 / (high - low)
    noisy = np.clip(np.round((electrons - low) * factor), 0, 255).astype(np.uint8)
    found = estimate_noise([noisy])
    levels = np.quantile(photons, [0.3, 0.6, 0.95])
    expected = noise.variance(levels) * factor**2
    np.testing.assert_allclose(found.variance((levels - low) * factor), expected, rtol=0.15)


def test_saturated_pixels_are_left_out_and_told():
    noise = NoiseModel(2.0, 100.0, 5.0)
    clean = 100 + 600 * scene()
    noisy = np.clip(np.round(expose(clean, noise)), 0, 350).astype(np.uint16)
    found = estimate_noise([noisy])
    assert "clipped" in found.notes[0]
    np.testing.assert_allclose(found.variance([180.0, 300.0]), noise.variance([180.0, 300.0]), rtol=0.2)


def test_photon_counting_with_mostly_zeros():
    noise = NoiseModel(1.0, 0.0, 0.01)
    clean = scene()
    noisy = np.round(expose(clean, noise)).astype(np.uint8)
    found = estimate_noise([noisy])
    assert found.gain == pytest.approx(1.0, rel=0.25)
    assert any("dark end" in note for note in found.notes)


RNG = np.random.default_rng(3)
FLAT = RNG.normal(100, 5, (200, 200))


@pytest.mark.parametrize(
    ("image", "sigma"),
    [
        (FLAT.astype(np.float16), 5.0),
        (FLAT.astype(np.uint8), 5.0),
        ((-FLAT).astype(np.int16), 5.0),
        ((4e9 + 100 * FLAT).astype(np.uint32), 500.0),
        (FLAT[:1], 5.0),
        (FLAT.reshape(-1, 1), 5.0),
        (FLAT[:5, :5], 5.0),
        (np.where(RNG.random((200, 200)) < 0.01, np.nan, FLAT), 5.0),
        (np.where(RNG.random((200, 200)) < 0.01, np.inf, FLAT), 5.0),
    ],
    ids=["float16", "uint8", "negative", "uint32", "row", "column", "tiny", "nan", "inf"],
)
def test_images_without_signal_give_their_noise_level(image, sigma):
    found = estimate_noise([image])
    level = float(np.sqrt(found.variance(np.median(image[np.isfinite(image)]))))
    assert level == pytest.approx(sigma, rel=0.35 if image.size < 100 else 0.15)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((64, 64), np.uint16),
        np.zeros((64, 64), np.float32),
        np.full((64, 64), 65535, np.uint16),
        np.full((1, 1), 7, np.uint8),
        np.full((64, 64), np.nan, np.float32),
        np.full((3, 2), np.inf),
    ],
    ids=["zero", "zero-float", "saturated", "pixel", "nan", "inf"],
)
def test_images_without_noise_fall_back_and_say_so(image):
    found = estimate_noise([image])
    assert found.gain == 0
    assert found.read_noise > 0
    (note,) = found.notes[-1:]
    assert note.endswith(": one noise level is taken for dark and bright")
    assert sum("noise" in other for other in found.notes) == 1, "what is one thing is said once"


def test_large_samples_are_thinned_to_the_same_answer():
    noise = NoiseModel(1.0, 100.0, 2.0)
    planes = [expose(100 + 50 * scene(700, seed), noise, seed) for seed in range(3)]
    whole, thin = estimate_noise(planes), estimate_noise(planes, max_pixels=400_000)
    assert thin.gain == pytest.approx(whole.gain, rel=0.1)


@pytest.mark.parametrize(
    ("planes", "message"), [([], "at least one"), ([np.zeros((2, 3, 4))], r"\(2, 3, 4\)")]
)
def test_wrong_planes_are_refused(planes, message):
    with pytest.raises(ValueError, match=message):
        estimate_noise(planes)


def test_real_noise_is_predicted(data_folder):
    """Exposures of W2S against the mean of 400: predicted and actual variance by brightness."""
    from skimage.io import imread

    folder = data_folder / "data" / "train" / "w2s"
    ratios = []
    for file in sorted((folder / "noisy").glob("*.png"))[::5]:
        noisy = imread(file)
        clean = imread(folder / "clean" / file.name).astype(np.float64)
        slope, level = np.polyfit(clean.ravel(), noisy.ravel().astype(np.float64), 1)
        clean = slope * clean + level
        found = estimate_noise([noisy])
        for low, high in ((0.0, 0.5), (0.5, 0.9), (0.9, 0.99)):
            part = (clean >= np.quantile(clean, low)) & (clean <= np.quantile(clean, high))
            ratios.append(float(found.variance(clean[part]).mean() / np.mean((noisy - clean)[part] ** 2)))
    assert len(ratios) >= 9
    assert np.exp(np.mean(np.abs(np.log(ratios)))) < 1.15
    assert 0.75 < min(ratios) < max(ratios) < 1.33


@pytest.mark.parametrize("mean", [1, 2, 4])
@pytest.mark.parametrize("dtype", ["u1", "u2", "i4", "f4"])
def test_few_photons_are_not_taken_for_clipped_ones(mean, dtype):
    """Zeros are the dark end of the counts, and fewer than ones: without them the noise would be too low."""
    photons = light((256, 256))
    photons *= mean / np.median(photons)
    counts = np.random.default_rng(0).poisson(photons).astype(dtype)
    noise = estimate_noise([counts])
    for level in np.percentile(photons, [10, 50, 95]):
        assert noise.variance(level) == pytest.approx(level, rel=0.15)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", ">u2"])
def test_many_integers_are_stabilised_by_a_table_and_equal_few(dtype):
    noise = NoiseModel(1.7, 12.0, 3.0)
    info = np.iinfo(dtype)
    values = np.random.default_rng(0).integers(info.min, info.max, (300, 300), endpoint=True).astype(dtype)
    assert np.array_equal(stabilize(values, noise), [stabilize(row, noise) for row in values])
    assert np.array_equal(stabilize(values[::2, ::-1], noise), stabilize(values, noise)[::2, ::-1])


@pytest.mark.parametrize("noise", MODELS)
def test_moments_do_not_depend_on_what_else_is_in_the_array(noise):
    unit = noise.gain or 1.0
    light = [-3.0, 0.0, 0.4, 5.0, 63.0, 65.0, 900.0, 1e10, np.nan]
    clean = (noise.offset + unit * np.array(light)).astype(np.float32)
    together = stabilized_moments(clean, noise)
    assert np.isnan(together.mean[-1])
    for place, value in enumerate(clean[:-1]):
        alone = stabilized_moments(value, noise)
        assert (alone.mean, alone.variance) == (together.mean[place], together.variance[place])


@pytest.mark.parametrize("noise", MODELS)
def test_moments_of_single_precision_are_those_of_double(noise):
    unit = noise.gain or 1.0
    light = [np.linspace(-5, 100, 5001), np.geomspace(100, 1e4, 300), np.geomspace(1e4, 1e13, 50)]
    clean = noise.offset + unit * np.concatenate(light)
    found, expected = (stabilized_moments(clean.astype(kind), noise) for kind in ("float32", "float64"))
    np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(found.variance, expected.variance, atol=1e-4)
