"""Intervals: as wide as their coverage asks for, whatever the form of the error, where images are alike."""

from __future__ import annotations

import numpy as np
import pytest

from napari_rdpdenoise.codec import load_model
from napari_rdpdenoise.codec.interval import IntervalTable, error_in_counts, fit_intervals
from napari_rdpdenoise.nn.decoder_names import DecoderMissing
from napari_rdpdenoise.noise import NoiseModel, stabilize

RNG = np.random.default_rng(5)
FORMS = {
    "normal": lambda n: RNG.normal(size=n),
    "heavy tails": lambda n: RNG.standard_t(3, n),
    "one-sided": lambda n: RNG.exponential(1, n),
    "small mostly": lambda n: RNG.normal(size=n) * RNG.choice([0.05, 3.0], n, p=[0.8, 0.2]),
}


def _image(form, wrong, size=40_000):
    """Expected errors, which are wrong by a factor that grows with them, and errors."""
    truly = np.exp(RNG.uniform(-4, 1, size))
    return truly * wrong(truly), truly * FORMS[form](size)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("coverage", [0.5, 0.9])
def test_intervals_cover_other_images_of_the_kind(form, coverage):
    def wrong(truly):
        return 0.4 * truly**0.2

    table = fit_intervals(*zip(*(_image(form, wrong) for _ in range(3)), strict=True), coverage)
    for expected, errors in (_image(form, wrong) for _ in range(3)):
        within = np.abs(errors) <= table.half_width(expected.astype(np.float32))
        assert within.mean() == pytest.approx(coverage, abs=0.01)
        for part in np.array_split(np.argsort(expected), 4):  # where little is expected, and where much
            assert within[part].mean() == pytest.approx(coverage, abs=0.035)


def test_images_count_alike_whatever_their_size():
    small = np.full(2_000, 0.5), RNG.normal(size=2_000)
    large = np.full(80_000, 0.5), 4 * RNG.normal(size=80_000)
    table = fit_intervals(*zip(small, large, strict=True), bins=1)
    within = [np.mean(np.abs(e) <= table.half_width(np.float32(s))) for s, e in (small, large)]
    assert np.mean(within) == pytest.approx(0.9, abs=0.01)


def test_too_few_pixels_are_refused():
    with pytest.raises(ValueError, match="expected: needs at least 1200 pixels for 12 bins, found 50"):
        fit_intervals([np.ones(50)], [np.ones(50)])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"factor": (1.0,)}, "factor: expected 2 numbers"),
        ({"expected": (0.5, 0.1)}, "ascending"),
        ({"expected": (0.0, 0.1)}, "above 0"),
        ({"factor": (1.0, -1.0)}, "factor: must be"),
        ({"coverage": 1.0}, "coverage"),
    ],
)
def test_a_damaged_table_is_refused(change, words):
    with pytest.raises(ValueError, match=words):
        IntervalTable.model_validate({"coverage": 0.9, "expected": (0.1, 0.5), "factor": (2.0, 1.8)} | change)


def test_counts_are_where_the_stabilised_interval_ends():
    noise = NoiseModel(2.0, 100.0, 3.0)
    image = np.linspace(120, 5000, 300, dtype=np.float32)[None]
    width = error_in_counts(image, np.full_like(image, 0.2), noise)
    there = stabilize(image + width, noise) - stabilize(image, noise)
    np.testing.assert_allclose(there, 0.2, rtol=0.05)


def test_where_the_input_came_back_the_interval_is_that_of_its_noise():
    noise, image = NoiseModel(2.0, 100.0, 3.0), np.full((1, 3), 900, np.float32)
    width = error_in_counts(image, np.full_like(image, 0.2), noise, np.array([[0.0, 0.5, 1.0]], np.float32))
    sigma = np.sqrt(noise.variance(image))[0, 0]
    np.testing.assert_allclose(width[0] / sigma, [0.2, np.hypot(0.1, 0.8225), 1.645], rtol=1e-4)


def test_a_model_tells_its_expected_error_from_latents_alone(tiny_flow_model, tiny_realism_codec):
    codec = load_model(tiny_flow_model, "cpu")
    image = (100 + 2 * RNG.poisson(60, (70, 90))).astype(np.uint16)
    normalization = codec.fit([image], NoiseModel(2.0, 100.0, 3.0))
    latents, calls = codec.encode([image, image], normalization, 0.4), codec.encoder_calls
    found = codec.expected_error(latents)
    assert [part.shape for part in found] == [(70, 90)] * 2
    assert np.array_equal(*found)
    assert (found[0] > 0).all()
    assert codec.encoder_calls == calls
    with pytest.raises(DecoderMissing, match="no flow decoder"):
        tiny_realism_codec.expected_error(latents)
