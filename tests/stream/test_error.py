"""How far results may be off, as the result of a run: of the same latents, whatever the tiles."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import yaml

from napari_rdpdenoise import denoise, load_model, open_image
from napari_rdpdenoise.cache import LatentCache
from napari_rdpdenoise.lazy import denoise_lazy
from napari_rdpdenoise.nn.decoder_names import DecoderMissing
from napari_rdpdenoise.settings import RunSettings
from tests.stream.test_pipeline import movie, run

BASE = RunSettings(device="cpu", rate=0.4, tile=64, halo=192, quantity="error")


@pytest.fixture
def tiny_flow_codec(tiny_flow_model):
    return load_model(tiny_flow_model, "cpu")


def test_it_is_a_width_in_counts_of_every_pixel(tiny_flow_codec):
    array = movie((2, 150, 230))
    width, report, _ = run(array, BASE, tiny_flow_codec)
    assert width.dtype == np.float32
    assert width.shape == array.shape
    assert np.isfinite(width).all()
    assert (width > 0).all()
    sigma = np.sqrt(report.channels[0].noise.variance(array.astype(float)))
    assert 0.01 < np.median(width / sigma) < 10


def test_tiles_do_not_matter(tiny_flow_codec):
    array = movie((150, 230))
    tiled, whole = (run(array, BASE.replace(tile=tile), tiny_flow_codec)[0] for tile in (64, 1024))
    assert np.quantile(np.abs(tiled - whole), 0.999) <= 1e-3 * np.median(whole)


def test_it_is_decoded_from_cached_latents(tiny_flow_codec):
    array, cache = movie((1, 96, 96)), LatentCache(folder=None)
    run(array, BASE.replace(quantity="image"), tiny_flow_codec, cache=cache)
    calls = tiny_flow_codec.encoder_calls
    run(array, BASE, tiny_flow_codec, cache=cache)
    assert tiny_flow_codec.encoder_calls == calls


def test_lazy_blocks_hold_the_same(tiny_flow_codec):
    array = movie((1, 150, 230))
    width, _, _ = run(array, BASE, tiny_flow_codec)
    lazy = denoise_lazy(open_image(array), BASE, codec=tiny_flow_codec)
    assert lazy.dtype == np.float32
    np.testing.assert_allclose(lazy.compute(), width, rtol=1e-5)


def test_what_stays_as_it_was_has_none(tiny_flow_codec):
    array = movie((150, 230)).astype(np.float32)
    array[40:60, 70:100] = np.nan
    width, _, _ = run(array, BASE, tiny_flow_codec)
    assert np.array_equal(np.isnan(width), np.isnan(array))


def test_from_python(tiny_flow_model):
    array = movie((160, 224))
    width = denoise(array, axes="YX", model=str(tiny_flow_model), rate=0.4, quantity="error")
    assert width.dtype == np.float32
    assert (width > 0).all()


def test_models_that_do_not_know_refuse_in_words(tiny_flow_model, tiny_realism_model, tmp_path):
    array = movie((96, 96))
    with pytest.raises(DecoderMissing, match="has no flow decoder"):
        denoise(array, axes="YX", model=str(tiny_realism_model), quantity="error")
    silent = tmp_path / "silent"
    shutil.copytree(tiny_flow_model, silent)
    card = yaml.safe_load((silent / "card.yaml").read_text()) | {"intervals": None}
    (silent / "card.yaml").write_text(yaml.safe_dump(card))
    with pytest.raises(ValueError, match="quantity: expected a model whose card has intervals, found none"):
        denoise(array, axes="YX", model=str(silent), quantity="error")
