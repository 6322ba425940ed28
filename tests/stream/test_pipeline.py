"""The tile loop: one result whatever the tiles, order, cache, batch or interruption."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
import torch

from napari_rdpdenoise.cache import LatentCache
from napari_rdpdenoise.io import open_image, open_sink
from napari_rdpdenoise.io.output.array_sink import ArraySink
from napari_rdpdenoise.settings import RunSettings
from napari_rdpdenoise.stream import Progress, RunReport, denoise_stream, output_spec

BASE = RunSettings(device="cpu", rate=0.4, tile=64, halo=192)


def movie(shape=(2, 130, 96), dtype=np.uint16, seed=0):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[-2], : shape[-1]]
    light = 30 + 100 * (np.sin(y / 11) * np.cos(x / 8) > 0.4)
    return (100 + 2 * rng.poisson(np.broadcast_to(light, shape))).astype(dtype)


def drain(stream) -> tuple[list[Progress], RunReport]:
    steps = []
    while True:
        try:
            steps.append(next(stream))
        except StopIteration as end:
            return steps, end.value


def run(array, settings, codec, *, axes=None, **options):
    source = open_image(array, axes)
    sink = ArraySink(output_spec(source, settings))
    steps, report = drain(denoise_stream(source, sink, settings, codec=codec, **options))
    return sink.array, report, steps


def test_tiles_agree_with_the_whole_image(tiny_codec):
    array = movie((330, 470))
    tiled, report, _ = run(array, BASE, tiny_codec)
    whole, _, _ = run(array, BASE.replace(tile=1024), tiny_codec)
    larger, _, _ = run(array, BASE.replace(tile=192), tiny_codec)
    assert report.tiles == 40
    for other in (whole, larger):
        close = np.abs(tiled.astype(float) - other) <= 1  # counts; rounding may fall either way
        assert close.mean() > 0.999
        assert np.abs(tiled.astype(float) - other).max() <= 0.02 * np.ptp(array)
    exact, _, _ = run(array, BASE.replace(dtype="float32"), tiny_codec)
    reference, _, _ = run(array, BASE.replace(dtype="float32", tile=1024), tiny_codec)
    assert np.quantile(np.abs(exact - reference), 0.999) <= 1e-4 * np.ptp(array)


def test_order_and_batch_do_not_matter(tiny_codec):
    settings = BASE.replace(halo=64)
    expected, _, _ = run(movie(), settings, tiny_codec)
    for options in ({"order": lambda works: reversed(list(works))}, {}):
        found, _, _ = run(movie(), settings.replace(batch=1), tiny_codec, **options)
        assert np.mean(found != expected) < 1e-3  # sums of other batches may round otherwise
        assert np.abs(found.astype(int) - expected).max() <= 2


def test_order_is_followed(tiny_codec):
    written = []

    class Recorder(ArraySink):
        def mark_done(self, index, y0, x0, content=""):
            written.append((index, y0, x0))
            super().mark_done(index, y0, x0, content)

    source, settings = open_image(movie((2, 128, 128))), BASE.replace(batch=1, halo=64)
    sink = Recorder(output_spec(source, settings))
    drain(denoise_stream(source, sink, settings, codec=tiny_codec, order=lambda works: reversed(list(works))))
    assert written == [((t,), y, x) for t in (1, 0) for y in (64, 0) for x in (64, 0)]


def test_progress_is_sane(tiny_codec):
    _, report, steps = run(movie(), BASE.replace(batch=2, halo=64), tiny_codec)
    assert steps[0].message == "measuring the noise"
    working = [s for s in steps if s.total]
    assert [s.done for s in working] == sorted(s.done for s in working)
    assert (working[-1].done, working[-1].total) == (report.tiles, report.tiles)
    assert all(s.mpps > 0 and s.eta_s >= 0 and s.bpp > 0 for s in working if s.done)
    assert working[-1].eta_s == 0
    etas = [s.eta_s for s in working if s.done]
    assert etas[-1] <= etas[0]
    assert report.bpp == working[-1].bpp
    assert report.encoder_calls == working[-1].encoder_calls >= report.tiles / 2
    assert report.rate == 0.4
    assert report.channels[0].noise.gain == pytest.approx(2.0, rel=0.2)


def test_automatic_rate_is_reported(tiny_codec):
    _, report, _ = run(movie(), BASE.replace(rate="auto", halo=64), tiny_codec)
    (channel,) = report.channels
    assert 0 <= channel.rate <= 1
    assert channel.expected_residual == pytest.approx(1.0, abs=0.1)
    assert channel.found_residual is not None


def test_closing_stops_and_the_run_can_go_on(tiny_codec, tmp_path):
    # no estimate of the error, whose encoder calls would be counted too
    array, settings = movie((3, 128, 128)), BASE.replace(batch=1, halo=64, structure="none")
    source = open_image(array)
    spec = output_spec(source, settings)
    expected, _, _ = run(array, settings, tiny_codec)
    target = tmp_path / "out.ome.zarr"
    stream = denoise_stream(source, open_sink(target, spec), settings, codec=tiny_codec)
    while next(stream).done < 5:
        pass
    calls = tiny_codec.encoder_calls
    stream.close()
    assert not target.exists()
    assert not [t for t in threading.enumerate() if t.name.startswith(("read-ahead", "write-behind"))]
    sink = open_sink(target, spec)
    steps, report = drain(denoise_stream(source, sink, settings, codec=tiny_codec))
    assert report.path == target
    assert any("continuing" in (s.message or "") for s in steps)
    done = next(s.done for s in steps if s.total)
    assert 1 <= done <= 5
    assert tiny_codec.encoder_calls == calls + 12 - done
    result = open_image(target)
    found = np.stack([result.read((t,), slice(0, 128), slice(0, 128)) for t in range(3)])
    assert np.array_equal(found, expected)


def test_what_is_computed_when_a_run_is_stopped_is_written(tiny_codec, monkeypatch):
    array, settings = movie((3, 128, 128)), BASE.replace(batch=1, halo=64, structure="none")
    source, marked = open_image(array), []
    sink = ArraySink(output_spec(source, settings))
    monkeypatch.setattr(sink, "write", lambda *block: time.sleep(0.2))  # a slow disk
    monkeypatch.setattr(sink, "mark_done", lambda *place: marked.append(place))
    stream = denoise_stream(source, sink, settings, codec=tiny_codec)
    while next(stream).done < 4:
        pass
    stream.close()
    assert len(marked) == 4


class Changed:
    """A source of one fingerprint whatever its pixels are, as a file replaced within the same second."""

    def __init__(self, array):
        self._source = open_image(array)
        self.shape, self.dtype, self.metadata = self._source.shape, self._source.dtype, self._source.metadata
        self.read, self.close = self._source.read, self._source.close

    def fingerprint(self):
        return "the same"


@pytest.mark.parametrize("name", ["out.ome.zarr", "out.ome.tif"])
@pytest.mark.parametrize("change", ["one tile", "its halo", "all", "nothing"])
def test_what_was_made_from_other_pixels_is_made_again(tiny_codec, tmp_path, name, change):
    settings = BASE.replace(batch=1, halo=64, structure="none")
    before = movie((3, 192, 64))
    after = before.copy()
    if change == "all":
        after = after[::-1].copy() + np.uint8(3)
    elif change != "nothing":  # what the noise is measured on stays nearly the same: all of it is looked at
        row = {"one tile": 20, "its halo": 70}[change]
        after[0, row, 5] ^= 1
    expected, _, _ = run(after, settings, tiny_codec)
    source = Changed(before)
    stream = denoise_stream(
        source, open_sink(tmp_path / name, output_spec(source, settings)), settings, codec=tiny_codec
    )
    while next(stream).done < 5:
        pass
    stream.close()
    source = Changed(after)
    sink = open_sink(tmp_path / name, output_spec(source, settings))
    steps, report = drain(denoise_stream(source, sink, settings, codec=tiny_codec))
    result = open_image(tmp_path / name)
    found = np.stack([result.read((t,), slice(None), slice(None)) for t in range(3)])
    np.testing.assert_array_equal(found, expected)
    said = "the image or the precision has changed since"
    assert any(said in (s.message or "") for s in steps) == (change != "nothing")
    assert any(said in message for message in report.messages) == (change != "nothing")


def test_a_second_run_and_other_realism_make_no_encoder_call(tiny_realism_codec):
    analysed = []
    tiny_realism_codec._network.analysis.register_forward_hook(lambda *_: analysed.append(1))
    settings, cache = BASE.replace(rate="auto", halo=64, structure="none"), LatentCache(folder=None)
    first, report, _ = run(movie(), settings, tiny_realism_codec, cache=cache)
    assert report.encoder_calls > 0
    assert report.cache_hits == 0
    count = len(analysed)
    again, report, _ = run(movie(), settings, tiny_realism_codec, cache=cache)
    assert (report.encoder_calls, report.cache_hits) == (0, report.tiles)
    assert np.abs(again.astype(int) - first).max() <= 1
    real, report, _ = run(movie(), settings.replace(realism=1.0), tiny_realism_codec, cache=cache)
    assert report.encoder_calls == 0
    assert not np.array_equal(real, first)
    half, _, _ = run(movie(), settings.replace(realism=0.5), tiny_realism_codec, cache=cache)
    assert np.abs(half - (first.astype(float) + real) / 2).max() <= 1.5
    assert len(analysed) == count
    assert report.bpp > 0


def test_other_rate_or_model_is_not_taken_from_the_cache(tiny_codec, tiny_realism_codec):
    cache = LatentCache(folder=None)
    run(movie(), BASE.replace(halo=64), tiny_codec, cache=cache)
    for settings, codec in (
        (BASE.replace(halo=64, rate=0.5), tiny_codec),
        (BASE.replace(halo=64), tiny_realism_codec),
    ):
        assert run(movie(), settings, codec, cache=cache)[1].cache_hits == 0


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("host"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    ],
)
def test_lack_of_memory_halves_the_batch_and_says_so(tiny_codec, monkeypatch, error):
    array = movie((6, 64, 64))
    expected, _, _ = run(array, BASE.replace(halo=64), tiny_codec)
    encode, sizes = tiny_codec.encode, []

    def limited(tiles, *rest):
        sizes.append(len(tiles))
        if len(tiles) > 1:
            raise error
        return encode(tiles, *rest)

    monkeypatch.setattr(tiny_codec, "encode", limited)
    found, report, _ = run(array, BASE.replace(batch=4, halo=64), tiny_codec)
    assert np.abs(found.astype(int) - expected).max() <= 2
    halved = "not enough memory for {} tiles at once, going on with {}"
    assert report.messages == (f"{halved.format(4, 2)}; {halved.format(2, 1)}",)
    assert set(sizes[sizes.index(1) :]) == {1}


def test_lack_of_memory_for_one_tile_goes_to_the_cpu(tiny_codec, monkeypatch):
    encode, decode, to, moved = tiny_codec.encode, tiny_codec.decode, tiny_codec.to, []
    monkeypatch.setattr(type(tiny_codec), "device", property(lambda _: moved[-1] if moved else "mps"))
    monkeypatch.setattr(tiny_codec, "to", lambda device: moved.append(device) or to(device))

    def on_device(function):
        def call(*args, **more):
            if tiny_codec.device == "mps":
                raise RuntimeError("MPS backend out of memory")
            return function(*args, **more)

        return call

    monkeypatch.setattr(tiny_codec, "encode", on_device(encode))
    monkeypatch.setattr(tiny_codec, "decode", on_device(decode))
    # without the estimate of the error, which would already ask the device that is not there
    settings = BASE.replace(batch=1, halo=64, structure="none", precision="float32")
    found, report, _ = run(movie(), settings, tiny_codec)
    assert moved == ["cpu"]
    assert "not enough memory on mps for one tile, going on with the CPU" in report.messages[0]
    assert found.any()


def test_lack_of_memory_on_the_cpu_names_the_remedy(tiny_codec, monkeypatch):
    def fail(*_):
        raise MemoryError

    monkeypatch.setattr(tiny_codec, "encode", fail)
    with pytest.raises(MemoryError, match=r"one tile of 64 px; use a smaller tile \(--tile"):
        run(movie(), BASE.replace(halo=64), tiny_codec)


def test_other_errors_are_not_taken_for_lack_of_memory(tiny_codec, monkeypatch):
    def fail(*_):
        raise RuntimeError("sizes do not match")

    monkeypatch.setattr(tiny_codec, "encode", fail)
    with pytest.raises(RuntimeError, match="sizes do not match"):
        run(movie(), BASE.replace(halo=64), tiny_codec)


class Failing:
    """A sink or source that wraps another and fails in one method."""

    def __init__(self, inner, method, after):
        self._inner, self._method, self._left, self.aborted = inner, method, after, 0

    def __getattr__(self, name):
        if name == "abort":
            self.aborted += 1
        if name == self._method:
            self._left -= 1
            if self._left < 0:
                raise OSError("the disk is gone")
        return getattr(self._inner, name)


@pytest.mark.parametrize("after", [0, 1, 5])
def test_errors_while_reading_are_raised_in_the_caller(tiny_codec, after):
    settings = BASE.replace(batch=1, halo=64)
    source = Failing(open_image(movie()), "read", after)
    sink = Failing(ArraySink(output_spec(source, settings)), None, 0)
    with pytest.raises(OSError, match="the disk is gone"):
        drain(denoise_stream(source, sink, settings, codec=tiny_codec))
    assert sink.aborted == 1


def test_errors_while_writing_are_raised_in_the_caller(tiny_codec):
    settings = BASE.replace(batch=1, halo=64)
    source = open_image(movie())
    sink = Failing(ArraySink(output_spec(source, settings)), "write", 2)
    with pytest.raises(OSError, match="the disk is gone"):
        drain(denoise_stream(source, sink, settings, codec=tiny_codec))
    assert sink.aborted == 1
    assert not [t for t in threading.enumerate() if t.name.startswith(("read-ahead", "write-behind"))]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_nan_and_infinities_stay_where_they_were_and_nowhere_else(tiny_codec, dtype):
    array = movie((2, 96, 96), dtype)
    array[0, 10:14, 20:30] = np.nan
    array[0, 40, 70:72] = np.inf, -np.inf
    array[1] = np.nan
    found, report, _ = run(array, BASE.replace(halo=64), tiny_codec)
    lost = ~np.isfinite(array)
    np.testing.assert_array_equal(found[lost], array[lost])
    assert np.isfinite(found[~lost]).all()
    assert report.clipped == 0


def test_values_that_do_not_fit_are_counted(tiny_codec):
    array = movie((96, 96), np.uint8)
    found, report, _ = run(array, BASE.replace(halo=64), tiny_codec)
    exact, _, _ = run(array, BASE.replace(halo=64, dtype="float32"), tiny_codec)
    outside = (np.rint(exact) > 255) | (np.rint(exact) < 0)
    assert report.clipped == outside.sum()
    assert found.dtype == np.uint8


def test_mean_of_a_plane_is_kept(tiny_codec):
    array = movie((2, 256, 192))
    found, _, _ = run(array, BASE.replace(halo=64), tiny_codec)
    np.testing.assert_allclose(found.mean((1, 2)), array.mean((1, 2)), rtol=5e-3)


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (2, 65, 63), (1, 3, 40, 40)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float16])
def test_any_shape_goes_through(tiny_codec, shape, dtype):
    array = movie(shape, dtype)
    found, _, _ = run(array, BASE.replace(halo=64, rate="auto"), tiny_codec)
    assert found.shape == shape
    assert found.dtype == dtype
    assert np.isfinite(found).all()


@pytest.mark.parametrize("value", [0, 7, 65535])
def test_constant_images_stay_constant(tiny_codec, value):
    array = np.full((2, 70, 70), value, np.uint16)
    found, report, _ = run(array, BASE.replace(halo=64, rate="auto"), tiny_codec)
    assert np.array_equal(found, array)
    (told,) = report.messages
    assert "holds no noise" in told


def test_channels_and_times_are_chosen(tiny_codec):
    array = np.stack([movie((3, 70, 70), seed=c) * (c + 1) for c in range(3)], axis=1)
    settings = BASE.replace(halo=64, channels=(2, 0), time=(1, 3))
    found, report, _ = run(array, settings, tiny_codec, axes="TCYX")
    whole, _, _ = run(array, BASE.replace(halo=64), tiny_codec, axes="TCYX")
    assert found.shape == (2, 2, 70, 70)
    assert np.abs(found.astype(int) - whole[1:3, [2, 0]]).max() <= 2  # statistics are of the whole series
    assert [c.channel for c in report.channels] == [0, 2]


def test_a_sink_that_does_not_fit_is_refused(tiny_codec):
    source = open_image(movie())
    sink = ArraySink(output_spec(source, BASE.replace(time=(0, 1))))
    with pytest.raises(ValueError, match=r"sink: expected shape \(2, 130, 96\).*found \(1, 130, 96\)"):
        drain(denoise_stream(source, sink, BASE, codec=tiny_codec))


def test_realism_needs_its_decoder(tiny_codec):
    settings = BASE.replace(realism=0.3)
    with pytest.raises(ValueError, match=r"model tiny has no realism decoder, expected 0, found 0\.3"):
        run(movie(), settings, tiny_codec)


def test_reading_stays_few_tiles_ahead(tiny_codec, monkeypatch):
    from napari_rdpdenoise.stream import reader

    monkeypatch.setattr(reader, "_QUEUE_PIXELS", 10 * 64 * 64)
    source, reads = open_image(movie((40, 64, 64))), []
    read = source.read
    monkeypatch.setattr(source, "read", lambda *key: (reads.append(key), read(*key))[1], raising=False)
    settings = BASE.replace(batch=1, halo=64)
    sink = ArraySink(output_spec(source, settings))
    stream = denoise_stream(source, sink, settings, codec=tiny_codec)
    while next(stream).done < 2:
        pass
    time.sleep(0.5)
    before = 40 + 8  # fingerprint, sample
    assert 2 <= len(reads) - before <= 2 + 10 + 2  # done, in the queue, in hand
    stream.close()
