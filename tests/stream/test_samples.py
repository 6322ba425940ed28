"""Samples of the flow decoder in the tile loop: a function of seed and place alone, of the same latents."""

from __future__ import annotations

import numpy as np
import pytest

from napari_rdpdenoise import denoise, load_model
from napari_rdpdenoise.cache import LatentCache
from napari_rdpdenoise.nn.decoder_names import DecoderMissing
from napari_rdpdenoise.settings import RunSettings
from tests.stream.test_pipeline import movie, run

BASE = RunSettings(device="cpu", rate=0.4, tile=64, halo=192, dtype="float32", decoder="flow")


@pytest.fixture
def tiny_flow_codec(tiny_flow_model):
    return load_model(tiny_flow_model, "cpu")


def test_tiles_order_and_batch_do_not_matter(tiny_flow_codec):
    array = movie((2, 150, 230))
    tiled, _, _ = run(array, BASE, tiny_flow_codec)
    for other in (BASE.replace(tile=1024), BASE.replace(tile=128), BASE.replace(batch=3)):
        result, _, _ = run(array, other, tiny_flow_codec)
        assert np.quantile(np.abs(tiled - result), 0.999) <= 1e-4 * np.ptp(array)


def test_seed_and_plane_decide_the_sample(tiny_flow_codec):
    array = np.repeat(movie((1, 96, 96)), 2, 0)
    first, _, _ = run(array, BASE, tiny_flow_codec)
    again, _, _ = run(array, BASE, tiny_flow_codec)
    other, _, _ = run(array, BASE.replace(seed=1), tiny_flow_codec)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(first[0], first[1]), "planes of equal pixels have samples of their own"


def test_samples_are_drawn_from_cached_latents(tiny_flow_codec):
    cache, array = LatentCache(folder=None), movie((1, 96, 96))
    fidelity, _, _ = run(array, BASE.replace(realism=0.0), tiny_flow_codec, cache=cache)
    calls = tiny_flow_codec.encoder_calls
    results = [
        run(array, BASE.replace(**change), tiny_flow_codec, cache=cache)[0]
        for change in ({}, {"samples": 8}, {"kd": 1.0}, {"kp": 1.0}, {"realism": 0.5})
    ]
    assert tiny_flow_codec.encoder_calls == calls
    sample, mean, held, again, half = (float(np.square(r - fidelity).mean()) for r in results)
    assert 0 < mean < sample
    assert 0 < held < sample
    assert again != sample
    np.testing.assert_allclose(results[4], (fidelity + results[0]) / 2, atol=1e-2)
    assert half < sample


def test_from_python_by_name(tiny_flow_model):
    array = movie((160, 224))
    by_name = denoise(array, axes="YX", model=str(tiny_flow_model), rate=0.4, decoder="flow", steps=2)
    lowest = denoise(array, axes="YX", model=str(tiny_flow_model), rate=0.4)
    assert by_name.dtype == array.dtype
    assert not np.array_equal(by_name, lowest)


def test_a_model_without_it_refuses_in_words(tiny_realism_model):
    with pytest.raises(
        DecoderMissing, match=r"flow: model tiny-realism has no flow decoder.*use fidelity, realism"
    ):
        denoise(movie((96, 96)), axes="YX", model=str(tiny_realism_model), decoder="flow")
