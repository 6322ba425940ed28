from __future__ import annotations

import pickle
import threading

import dask
import dask.array as da
import numpy as np
import pytest

from napari_rdpdenoise.cache import LatentCache
from napari_rdpdenoise.codec import device as shared
from napari_rdpdenoise.codec.device import shared_codec
from napari_rdpdenoise.io import ArraySink, open_image
from napari_rdpdenoise.io.arrays import ArraySource
from napari_rdpdenoise.lazy import ComputedArray, denoise_lazy
from napari_rdpdenoise.settings import RunSettings
from napari_rdpdenoise.stream import denoise_stream, output_spec

SETTINGS = RunSettings(rate=0.5, tile=64, halo=128, batch=1, device="cpu")


def streamed(source, settings, codec):
    sink = ArraySink(output_spec(source, settings))
    for _ in denoise_stream(source, sink, settings, codec=codec):
        pass
    return sink.array


@pytest.fixture
def movie() -> np.ndarray:
    light = np.random.default_rng(3).gamma(2.0, 20.0, (2, 2, 150, 133))
    return (100 + 2.0 * np.random.default_rng(4).poisson(light)).astype(np.float32)


@pytest.mark.parametrize("rate", [0.5, "auto"])
@pytest.mark.parametrize("choice", [{}, {"channels": (1,), "time": (1, 2)}])
@pytest.mark.filterwarnings("ignore:channel.*:UserWarning")
def test_lazy_result_equals_the_streamed_one(movie, tiny_codec, rate, choice):
    settings = SETTINGS.replace(rate=rate, **choice)
    source = open_image(movie, "TCYX")
    expected = streamed(source, settings, tiny_codec)
    result = denoise_lazy(source, settings, codec=tiny_codec)
    assert result.dtype == expected.dtype
    assert result.shape == expected.shape
    np.testing.assert_allclose(result.compute(), expected, atol=1e-3 * np.ptp(movie))


def test_chunks_are_planes_and_tile_cores(movie, tiny_codec):
    result = denoise_lazy(open_image(movie, "TCYX"), SETTINGS, codec=tiny_codec)
    # the last core of 5 px is merged into its neighbour
    assert result.chunks == ((1, 1), (1, 1), (64, 64, 22), (64, 69))


def test_a_block_reads_only_its_halo_and_nothing_is_encoded_before(movie, tiny_codec):
    class Counting(ArraySource):
        reads = ()

        def read(self, index, y, x):
            self.reads = (*self.reads, (index, y, x))
            return super().read(index, y, x)

    source = Counting(movie, "TCYX")
    result = denoise_lazy(source, SETTINGS.replace(halo=64), codec=tiny_codec)
    source.reads, before = (), tiny_codec.encoder_calls
    result.blocks[1, 0, 1, 0].compute(scheduler="synchronous")
    assert source.reads == (((1, 0), slice(0, 150), slice(0, 128)),)
    assert tiny_codec.encoder_calls == before + 1


@pytest.mark.filterwarnings("ignore:channel.*:UserWarning")
def test_rate_is_chosen_once_before_the_graph(movie, tiny_codec, monkeypatch):
    from napari_rdpdenoise.stream import prepare

    calls = []
    found = prepare.choose_rate
    monkeypatch.setattr(
        prepare, "choose_rate", lambda *given, **more: calls.append(1) or found(*given, **more)
    )
    result = denoise_lazy(open_image(movie, "TCYX"), SETTINGS.replace(rate="auto"), codec=tiny_codec)
    assert len(calls) == 2  # channels
    result.compute()
    assert len(calls) == 2


@pytest.mark.filterwarnings("ignore:channel.*:UserWarning")
def test_the_choice_of_the_rate_is_cached(movie, tiny_codec):
    cache, settings = LatentCache(folder=None), SETTINGS.replace(rate="auto")
    denoise_lazy(open_image(movie, "TCYX"), settings, codec=tiny_codec, cache=cache)
    calls = tiny_codec.encoder_calls
    denoise_lazy(open_image(movie, "TCYX"), settings, codec=tiny_codec, cache=cache)
    assert calls > 0
    assert tiny_codec.encoder_calls == calls


def test_cached_tiles_are_not_encoded_again(movie, tiny_codec):
    cache = LatentCache(folder=None)
    source = open_image(movie[0, 0])
    first = denoise_lazy(source, SETTINGS, codec=tiny_codec, cache=cache).compute()
    calls = tiny_codec.encoder_calls
    second = denoise_lazy(source, SETTINGS, codec=tiny_codec, cache=cache).compute()
    assert tiny_codec.encoder_calls == calls
    np.testing.assert_array_equal(first, second)


def test_many_threads_share_one_codec_one_at_a_time(movie, tiny_codec, monkeypatch):
    busy, most, guard = 0, 0, threading.Lock()
    encode = tiny_codec.encode

    def watched(*given):
        nonlocal busy, most
        with guard:
            busy += 1
            most = max(most, busy)
        try:
            return encode(*given)
        finally:
            with guard:
                busy -= 1

    monkeypatch.setattr(tiny_codec, "encode", watched)
    result = denoise_lazy(open_image(movie, "TCYX"), SETTINGS, codec=tiny_codec)
    with dask.config.set(scheduler="threads", num_workers=8):
        result.compute()
    assert most == 1


def test_model_by_name_is_loaded_once_and_does_not_travel_with_the_blocks(movie, tiny_model, monkeypatch):
    loads = []
    load = shared.load_model
    monkeypatch.setattr(shared, "load_model", lambda *given: loads.append(given) or load(*given))
    monkeypatch.setattr(shared, "_CODECS", {})
    settings = SETTINGS.replace(model=str(tiny_model))
    result = denoise_lazy(open_image(movie[0, 0]), settings)
    result.compute(scheduler="threads")
    assert len(loads) == 1
    block = next(iter(result.dask.layers.values()))
    assert len(pickle.dumps(block)) < movie.nbytes + 20_000  # the image is in memory, the model is not in it


def test_pickled_graph_gives_the_same_pixels(movie, tiny_codec):
    result = denoise_lazy(open_image(movie[0, 0]), SETTINGS, codec=tiny_codec)
    again = pickle.loads(pickle.dumps(result))
    np.testing.assert_array_equal(again.compute(scheduler="synchronous"), result.compute())


def test_missing_values_stay_missing(movie, tiny_codec):
    plane = movie[0, 0].copy()
    plane[10:20, 30:40] = np.nan
    with pytest.warns(UserWarning, match="of the sample is missing"):
        result = denoise_lazy(open_image(plane), SETTINGS, codec=tiny_codec).compute()
    np.testing.assert_array_equal(np.isnan(result), np.isnan(plane))


def test_realism_is_refused_before_anything_is_read(movie, tiny_codec):
    with pytest.raises(ValueError, match=r"realism: model .* has no realism decoder, expected 0, found 0\.5"):
        denoise_lazy(open_image(movie, "TCYX"), SETTINGS.replace(realism=0.5), codec=tiny_codec)


def test_shared_codec_comes_back_after_a_move_to_another_device(tiny_model, monkeypatch):
    monkeypatch.setattr(shared, "_CODECS", {})
    first = shared_codec(tiny_model, "cpu")
    assert shared_codec(str(tiny_model), "auto" if first.device == "auto" else "cpu") is first
    first._device = "elsewhere"
    assert shared_codec(tiny_model, "cpu").device == "cpu"


def test_computed_array_gives_numpy_slices():
    array = da.arange(100, chunks=7).reshape(10, 10)
    part = ComputedArray(array)[2:4, 5]
    assert isinstance(part, np.ndarray)
    np.testing.assert_array_equal(part, [25, 35])
