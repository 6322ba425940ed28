"""Tiles that come out as they went in are not given to the network, and the result is what it was with it."""

from __future__ import annotations

import numpy as np
import pytest

from napari_rdpdenoise.cache import LatentCache
from napari_rdpdenoise.io import ArraySink, open_image
from napari_rdpdenoise.settings import RunSettings
from napari_rdpdenoise.stream import denoise_stream, output_spec
from napari_rdpdenoise.stream.tile import TileTask

SETTINGS = RunSettings(device="cpu", rate=0.5, tile=64, halo=64, structure="auto", batch=1)


@pytest.fixture
def mosaic():
    """A plane of 6 x 6 tiles, four of which hold an image; the others were never recorded."""
    plane = np.zeros((384, 384), np.uint16)
    plane[128:256, 128:256] = np.random.default_rng(0).poisson(90, (128, 128)) + 100
    return plane


def run(array, codec, settings=SETTINGS, cache=None):
    source = open_image(array, "YX")
    sink = ArraySink(output_spec(source, settings, codec))
    running = denoise_stream(source, sink, settings, codec=codec, cache=cache)
    while True:
        try:
            next(running)
        except StopIteration as end:
            return sink.array, end.value


@pytest.mark.parametrize("changes", [{}, {"realism": 0.7}, {"dtype": "float32"}, {"ensemble": 2}])
def test_a_mostly_empty_mosaic_costs_the_tiles_that_are_not(mosaic, tiny_realism_codec, monkeypatch, changes):
    settings = SETTINGS.replace(**changes)
    image, report = run(mosaic, tiny_realism_codec, settings)
    monkeypatch.setattr(TileTask, "spares", lambda task, item: False)
    before, all_of_it = run(mosaic, tiny_realism_codec, settings)
    np.testing.assert_array_equal(image, before)
    mirrors = settings.ensemble
    assert (report.encoder_calls, all_of_it.encoder_calls) == (4 * mirrors, 36 * mirrors)
    assert report.tiles == all_of_it.tiles == 36
    assert report.clipped == all_of_it.clipped
    assert report.messages == all_of_it.messages
    assert np.isfinite(report.bpp)


def test_they_are_no_hits_of_the_cache(mosaic, tiny_codec, tmp_path):
    cache = LatentCache(folder=tmp_path)
    first, before = run(mosaic, tiny_codec, cache=cache)
    again, report = run(mosaic, tiny_codec, cache=cache)
    np.testing.assert_array_equal(first, again)
    assert (before.cache_hits, report.cache_hits, report.encoder_calls) == (0, 4, 0)


def test_other_quantities_are_asked_of_the_network_as_before(mosaic, tiny_codec):
    _, report = run(mosaic, tiny_codec, SETTINGS.replace(quantity="kept"))
    assert report.encoder_calls == 36
