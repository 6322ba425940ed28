"""The realism decode depends on where a tile lies, never on how the plane was cut."""

from __future__ import annotations

import numpy as np
import pytest

from napari_rdpdenoise.codec import Place, fit_normalization
from napari_rdpdenoise.io import ArraySink, open_image
from napari_rdpdenoise.noise import NoiseModel
from napari_rdpdenoise.settings import RunSettings
from napari_rdpdenoise.stream import denoise_stream, output_spec


@pytest.fixture
def flat():
    return np.random.default_rng(0).poisson(40, (3, 256, 320)).astype(np.uint16)


def denoised(array, codec, **changes):
    source = open_image(array, "TYX")
    settings = RunSettings(rate=0.4, realism=1.0, dtype="float32", device="cpu", **changes)
    sink = ArraySink(output_spec(source, settings, codec))
    for _ in denoise_stream(source, sink, settings, codec=codec):
        pass
    return sink.array


def test_tiles_of_any_size_and_batch_agree(flat, tiny_realism_codec):
    whole = denoised(flat, tiny_realism_codec, tile=512, halo=128)
    tiled = denoised(flat, tiny_realism_codec, tile=64, halo=128, batch=3)
    np.testing.assert_allclose(tiled, whole, atol=1e-3 * float(np.ptp(whole)))


def test_a_time_range_looks_as_in_the_whole_series(flat, tiny_realism_codec):
    whole = denoised(flat, tiny_realism_codec)
    np.testing.assert_array_equal(denoised(flat, tiny_realism_codec, time=(1, 3)), whole[1:3])


def test_planes_and_seeds_differ_only_in_the_realism_decode(flat, tiny_realism_codec):
    codec = tiny_realism_codec
    normalization = fit_normalization([flat[0]], NoiseModel(1.0, 0.0, 1.0))
    latents = codec.encode([flat[0]] * 3, normalization, 0.4)
    same, again, other = codec.decode(latents, codec.decoders, [Place(1), Place(1), Place(2)])
    np.testing.assert_array_equal(same["realism"], again["realism"])
    assert np.abs(same["realism"] - other["realism"]).mean() > 0
    np.testing.assert_array_equal(same["fidelity"], other["fidelity"])


def test_one_place_for_each_tile(flat, tiny_realism_codec):
    latents = tiny_realism_codec.encode(
        [flat[0]], fit_normalization([flat[0]], NoiseModel(1.0, 0.0, 1.0)), 0.4
    )
    with pytest.raises(ValueError, match="places: expected one for each of the 1 latents, found 2"):
        tiny_realism_codec.decode(latents, places=[Place(), Place()])
