"""Models of the first format stay of use: their files, their results, and what they have encoded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_rdpdenoise.codec import Normalization, load_model
from napari_rdpdenoise.noise import NoiseModel, stabilize
from napari_rdpdenoise.samples import simulate_timelapse

FOLDER = Path(__file__).parents[1] / "support" / "fluo-light-1"
NORMALIZATION = Normalization(NoiseModel(2.0, 100.0, 3.0), -8.0, 0.6)
RATE = 0.7


@pytest.fixture(scope="module")
def codec():
    return load_model(FOLDER, "cpu")


@pytest.fixture(scope="module")
def tile():
    return simulate_timelapse((1, 96, 80), seed=3).noisy[0]


@pytest.fixture(scope="module")
def kept():
    with np.load(FOLDER / "encoded.npz") as file:
        return dict(file)


def noises(a, b):
    """Largest difference of two images in standard deviations of the noise."""
    return np.abs(stabilize(a, NORMALIZATION.noise) - stabilize(b, NORMALIZATION.noise)).max()


def test_a_model_of_the_first_format_gives_what_it_gave(codec, tile, kept):
    assert (codec.card.format_version, codec.planes, codec.bounded) == (1, 1, True)
    (latents,) = codec.encode([tile], NORMALIZATION, RATE)
    (decoded,) = codec.decode([latents], codec.decoders)
    assert np.mean(latents.symbols[0] != kept["symbols"]) < 0.01  # sums round otherwise on another processor
    for name in ("fidelity", "realism"):
        assert noises(decoded[name], kept[name]) < 0.3


def test_bytes_of_the_first_format_are_read_to_the_same_symbols(codec, kept):
    latents = codec.decompress(kept["bytes"].tobytes())
    np.testing.assert_array_equal(latents.symbols[0], kept["symbols"])
    (decoded,) = codec.decode([latents], codec.decoders)
    for name in ("fidelity", "realism"):
        assert noises(decoded[name], kept[name]) < 0.01
