"""Means of blocks travel with the symbols, and come back in counts."""

from __future__ import annotations

import numpy as np
import pytest

from napari_rdpdenoise.codec.coded_tile import coded_tile, means_reach, to_counts
from napari_rdpdenoise.codec.means import block_means
from napari_rdpdenoise.codec.normalization import UNIT, Normalization
from napari_rdpdenoise.noise import NoiseModel, stabilize

CAMERA = NoiseModel(2.0, 100.0, 3.0)
NORM = Normalization(CAMERA, float(stabilize(np.full(1, 300.0), CAMERA)[0]), 1.0)
SYMBOLS = (np.zeros((64, 8, 8), np.int16),)


def tile(shape=(100, 130)):
    light = 100 + 50 * np.indices(shape)[0] / shape[0]
    return (100 + 2 * np.random.default_rng(0).poisson(light)).astype(np.uint16)


def test_a_flat_decode_gets_the_light_of_the_tile():
    raw = tile()
    latents = coded_tile(raw, NORM, 0.5, SYMBOLS, 1000.0)
    flat = np.zeros((112, 144), np.float32)  # padded to whole strides
    image = to_counts(flat, latents)
    assert image.shape == raw.shape
    assert image.dtype == np.float32
    noise = np.sqrt(CAMERA.variance(300.0))
    np.testing.assert_allclose(block_means(image), block_means(raw), atol=0.4 * noise)


def test_bits_are_those_of_symbols_means_and_container():
    latents = coded_tile(tile(), NORM, 0.5, SYMBOLS, 1000.0)
    assert 1000 < latents.bits < 2500


@pytest.mark.parametrize("light", [300.0, 400.0, 3000.0])
def test_the_reach_is_the_distance_of_the_furthest_block(light):
    raw = np.full((128, 128), 300.0)
    raw[64:, 64:] = light
    expected = abs(float(NORM.target(np.full(1, light))[0])) * UNIT
    assert means_reach(coded_tile(raw, NORM, 0.5, SYMBOLS, 0.0)) == pytest.approx(expected, abs=0.1)
