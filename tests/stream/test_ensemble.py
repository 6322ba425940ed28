"""Averages over mirror images of each tile: the same in whatever way, and nearer to the truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_rdpdenoise import load_model
from napari_rdpdenoise.cache import LatentCache
from napari_rdpdenoise.codec import Decoded
from napari_rdpdenoise.io import open_image
from napari_rdpdenoise.lazy import denoise_lazy
from napari_rdpdenoise.nn.decoder_names import FIDELITY, REALISM
from napari_rdpdenoise.settings import RunSettings
from napari_rdpdenoise.store.settings import check_settings
from napari_rdpdenoise.stream.ensemble import averaged, mirrored
from tests.stream.test_neighbours import run

EXACT = RunSettings(device="cpu", rate=0.8, dtype="float32", structure="none", invalid="none")
CAMERA = (2.0, 100.0, 3.0)

images = arrays(
    np.float32, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.floats(-5, 5, width=16)
)


def scene(shape=(192, 256), seed=0):
    """Counts of a smooth scene with edges in 30 photo-electrons, and their truth."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    light = 6 + 24 * (np.sin(y / 9 + 0.4) * np.cos(x / 13) > 0.3) + 5 * np.sin((x + y) / 31)
    return (2.0 * rng.poisson(light) + 100 + rng.normal(0, 3, shape)).astype(np.float32), 2.0 * light + 100


@given(images, st.integers(0, 3))
def test_mirrored_again_is_the_image(image, number):
    np.testing.assert_array_equal(mirrored(mirrored(image, number), number), image)


@given(images)
def test_four_mirror_images_differ_and_their_average_is_that_of_the_images(image):
    ramp = np.arange(image.size, dtype=np.float32).reshape(image.shape)
    distinct = {mirrored(ramp, number).tobytes() for number in range(4)}
    assert len(distinct) == (4 if min(image.shape) > 1 else min(2, image.size))
    others = [Decoded({FIDELITY: mirrored(image + number, number)}) for number in (1, 2, 3)]
    found = averaged(Decoded({FIDELITY: image, REALISM: ramp}), others)
    np.testing.assert_allclose(found[FIDELITY], image + 1.5, atol=1e-5)
    assert found[REALISM] is ramp
    assert list(found) == [FIDELITY, REALISM]


def test_it_lessens_the_error():
    noisy, truth = scene()
    shipped = load_model(device="cpu")
    errors = [
        np.square(run(noisy, EXACT.replace(camera=CAMERA, ensemble=n), shipped)[0] - truth).mean()
        for n in (1, 2, 4)
    ]
    assert errors[2] < errors[1] < errors[0]
    assert errors[2] < 0.97 * errors[0]


def test_a_mirrored_image_gives_the_mirrored_result(tiny_codec):
    noisy = scene((128, 192))[0]
    settings = EXACT.replace(camera=CAMERA, ensemble=4)
    found = run(noisy, settings, tiny_codec)[0]
    for number in (1, 2, 3):
        again = mirrored(run(mirrored(noisy, number).copy(), settings, tiny_codec)[0], number)
        np.testing.assert_allclose(again, found, atol=1e-3 * np.ptp(found))
    single = settings.replace(ensemble=1)
    alone, turned = run(noisy, single, tiny_codec)[0], run(mirrored(noisy, 1).copy(), single, tiny_codec)[0]
    assert np.abs(mirrored(turned, 1) - alone).max() > 1e-2 * np.ptp(alone)  # which the network does not


def test_latents_of_all_images_are_cached(tiny_codec):
    noisy, cache = scene((150, 230))[0], LatentCache(folder=None)
    settings = EXACT.replace(camera=CAMERA, ensemble=3, tile=128)
    first, report = run(noisy, settings, tiny_codec, cache=cache)
    calls = tiny_codec.encoder_calls
    again, _ = run(noisy, settings, tiny_codec, cache=cache)
    assert tiny_codec.encoder_calls == calls
    np.testing.assert_array_equal(again, first)
    more, _ = run(noisy, settings.replace(ensemble=4), tiny_codec, cache=cache)
    assert calls < tiny_codec.encoder_calls <= calls + report.encoder_calls
    assert np.abs(more - first).max() > 0


def test_a_tile_of_which_a_mirror_image_is_encoded_was_not_cached(tiny_codec):
    noisy, cache = scene((150, 230))[0], LatentCache(folder=None)
    settings = EXACT.replace(camera=CAMERA, tile=128, batch=1)
    alone = run(noisy, settings, tiny_codec, cache=cache)[1]
    reports = [run(noisy, settings.replace(ensemble=n), tiny_codec, cache=cache)[1] for n in (3, 3)]
    assert [report.cache_hits for report in reports] == [0, alone.tiles]
    assert [report.encoder_calls for report in reports] == [2 * alone.tiles, 0]
    assert {report.bpp for report in reports} == {alone.bpp}


@pytest.mark.parametrize("neighbours", ["none", "T"])
def test_lazy_blocks_hold_the_same(tiny_series_codec, neighbours):
    movie = np.stack([scene((96, 160), seed)[0] for seed in range(3)])
    settings = EXACT.replace(camera=CAMERA, ensemble=4, axes="TYX", tile=64, neighbours=neighbours)
    found = run(open_image(movie, axes="TYX"), settings, tiny_series_codec)[0]
    lazy = denoise_lazy(open_image(movie, axes="TYX"), settings, codec=tiny_series_codec)
    np.testing.assert_allclose(lazy.compute(), found, rtol=1e-5)
    alone = run(open_image(movie, axes="TYX"), settings.replace(ensemble=1), tiny_series_codec)[0]
    assert np.abs(found - alone).max() > 0


def test_a_store_holds_latents_once():
    with pytest.raises(
        ValueError, match=r"ensemble: expected 1 for a store, found 2; a store holds the latents"
    ):
        check_settings(RunSettings(ensemble=2))
