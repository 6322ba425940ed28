from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

from napari_rdpdenoise.cache import LatentCache
from napari_rdpdenoise.codec.shared import Turns, device_turns
from napari_rdpdenoise.io import ArraySink, open_image
from napari_rdpdenoise.settings import RunSettings
from napari_rdpdenoise.stream import denoise_stream, output_spec
from napari_rdpdenoise.tiles import plan_tiles
from napari_rdpdenoise.ui.plans import Series
from napari_rdpdenoise.ui.preview import (
    ChannelReady,
    Failed,
    PreviewEngine,
    PreviewView,
    Settled,
    TileReady,
)
from napari_rdpdenoise.ui.viewport import Wish

BASE = RunSettings(device="cpu", rate=0.4, tile=64, halo=64, batch=1)
PATIENCE = 60.0  # s, until a test that hangs is given up


def movie(shape=(3, 130, 140), seed=0, dtype=np.uint16):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[-2], : shape[-1]]
    light = 30 + 100 * (np.sin(y / 11) * np.cos(x / 8) > 0.4)
    return (100 + 2 * rng.poisson(np.broadcast_to(light, shape))).astype(dtype)


def view(array, index=(0,), settings=BASE, axes=None, layer="cells", source=None):
    """All tiles of one plane, row by row."""
    source = source or open_image(array, axes)
    channel = index[source.metadata.axes.index("C")] if "C" in source.metadata.axes else 0
    tiles = plan_tiles(source.shape[-2:], settings.tile, settings.halo)
    return PreviewView(Series(layer, source, settings), tuple(Wish(index, channel, t) for t in tiles))


class Desk:
    """An engine with everything it said."""

    def __init__(self, codec, **options):
        self.tiles: list[TileReady] = []
        self.events = []
        self._news = threading.Condition()
        load = options.pop("load", lambda model, device: codec)
        self.engine = PreviewEngine(self._add(self.tiles), self._add(self.events), load=load, **options)

    def _add(self, heap):
        def listen(event):
            with self._news:
                heap.append(event)
                self._news.notify_all()

        return listen

    def until(self, condition):
        with self._news:
            assert self._news.wait_for(condition, PATIENCE), (len(self.tiles), self.events)

    def show(self, target):
        """Aim, and wait until all is done; the tiles of this generation."""
        generation = self.engine.aim(target)
        self.until(lambda: Settled(generation) in self.events)
        return [tile for tile in self.tiles if tile.generation == generation]

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture
def desk_of():
    desks = []

    def make(codec, **options):
        desks.append(Desk(codec, **options))
        return desks[-1]

    yield make
    for desk in desks:
        desk.engine.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "preview"]


class Gate:
    """Holds every call of a codec's method until it is opened."""

    def __init__(self, codec, monkeypatch, method="encode"):
        self.calls, self._open, self._entered = 0, threading.Event(), threading.Semaphore(0)
        original = getattr(codec, method)

        def gated(*args, **more):
            self.calls += 1
            self._entered.release()
            assert self._open.wait(PATIENCE)
            return original(*args, **more)

        monkeypatch.setattr(codec, method, gated)

    def wait_entered(self):
        assert self._entered.acquire(timeout=PATIENCE)

    def open(self):
        self._open.set()


def run(array, settings, codec, axes=None, cache=None):
    source = open_image(array, axes)
    sink = ArraySink(output_spec(source, settings, codec))
    stream = denoise_stream(source, sink, settings, codec=codec, cache=cache)
    while True:
        try:
            next(stream)
        except StopIteration as end:
            return sink.array, end.value


# The same pixels as a run


@pytest.mark.parametrize("dtype", [np.float32, np.uint16])
@pytest.mark.parametrize("realism", [0.0, 0.3, 1.0])
def test_preview_and_run_give_the_same_pixels(tiny_realism_codec, desk_of, realism, dtype):
    array = movie()
    settings = BASE.replace(realism=realism, dtype="float32" if dtype == np.float32 else "input")
    expected, _ = run(array, settings, tiny_realism_codec)
    desk = desk_of(tiny_realism_codec)
    desk.show(view(array, (1,)))
    found = np.zeros(array.shape[1:], dtype)
    assert len(desk.engine.blend_view(realism, found)) == 4
    np.testing.assert_allclose(found, expected[1], rtol=0, atol=1e-3)
    one = np.zeros_like(found)
    for tile in desk.tiles:
        desk.engine.blend_tile(tile, realism, one)
    np.testing.assert_array_equal(one, found)


def test_tiles_of_another_size_agree_to_a_thousandth(tiny_codec, desk_of):
    array = movie((1, 330, 300))
    settings = BASE.replace(halo=192, dtype="float32")
    expected, _ = run(array, settings.replace(tile=1536), tiny_codec)
    desk = desk_of(tiny_codec)
    desk.show(view(array, settings=settings))
    found = np.zeros(array.shape[1:], np.float32)
    desk.engine.blend_view(0.0, found)
    # a symbol that lies on the edge of rounding may fall either way
    assert np.quantile(np.abs(found - expected[0]), 0.999) <= 1e-3 * np.ptp(array)


def test_channels_have_statistics_of_their_own_as_in_a_run(tiny_codec, desk_of):
    array = np.stack([movie((2, 70, 70), seed=c) * (c + 1) for c in range(2)], axis=1)
    settings = BASE.replace(rate="auto", dtype="float32")
    expected, report = run(array, settings, tiny_codec, "TCYX")
    desk = desk_of(tiny_codec)
    for channel in (0, 1):
        desk.show(view(array, (1, channel), settings, "TCYX"))
        found = np.zeros((70, 70), np.float32)
        desk.engine.blend_view(0.0, found)
        np.testing.assert_allclose(found, expected[1, channel], rtol=0, atol=1e-3)
    plans = {event.channel: event.plan for event in desk.of(ChannelReady)}
    assert [plans[c].rate for c in (0, 1)] == [c.rate for c in report.channels]
    assert [plans[c].normalization.noise for c in (0, 1)] == [c.noise for c in report.channels]


def test_doubts_are_told_once_per_channel_and_rate(tiny_codec, desk_of):
    flat, desk = np.full((2, 70, 70), 7, np.uint16), desk_of(tiny_codec)
    for index in ((0,), (1,)):
        desk.show(view(flat, index, BASE.replace(rate="auto")))
    (ready,) = desk.of(ChannelReady)
    assert any("Gaussian noise level" in message for message in ready.messages)
    _, report = run(flat, BASE.replace(rate="auto"), tiny_codec)
    assert ready.messages == report.messages


def test_missing_values_stay_missing_at_any_realism(tiny_realism_codec, desk_of):
    array = movie((1, 96, 96), dtype=np.float32)
    array[0, 10:14, 20:30] = np.nan
    array[0, 40, 70:72] = np.inf, -np.inf
    desk = desk_of(tiny_realism_codec)
    desk.show(view(array))
    for realism in (0.0, 0.5):
        found = np.zeros((96, 96), np.float32)
        desk.engine.blend_view(realism, found)
        lost = ~np.isfinite(array[0])
        np.testing.assert_array_equal(found[lost], array[0][lost])
        assert np.isfinite(found[~lost]).all()


# What is computed, and what is not


def test_moving_realism_calls_neither_encoder_nor_decoder(tiny_realism_codec, desk_of, monkeypatch):
    desk = desk_of(tiny_realism_codec)
    desk.show(view(movie()))

    def refuse(*_, **__):
        raise AssertionError("the network was called")

    for method in ("encode", "decode", "sweep"):
        monkeypatch.setattr(tiny_realism_codec, method, refuse)
    ends = [np.zeros((130, 140), np.float32) for _ in range(3)]
    for realism, out in zip((0.0, 1.0, 0.25), ends, strict=True):
        assert len(desk.engine.blend_view(realism, out)) == 4
    assert not np.array_equal(ends[0], ends[1])
    np.testing.assert_allclose(ends[2], 0.75 * ends[0] + 0.25 * ends[1], rtol=1e-4)
    desk.show(view(movie()))  # a pan back shows what is held
    assert all(tile.cached for tile in desk.tiles[4:])
    assert not desk.of(Failed)


def test_a_run_after_the_preview_takes_over_its_latents_and_its_rate(tiny_codec, desk_of):
    array, cache, settings = movie(), LatentCache(folder=None), BASE.replace(rate="auto")
    desk = desk_of(tiny_codec, cache=cache)
    for t in range(3):
        desk.show(view(array, (t,), settings))
    calls = tiny_codec.encoder_calls
    _, report = run(array, settings, tiny_codec, cache=cache)
    assert (report.cache_hits, report.encoder_calls) == (report.tiles, 0)
    assert tiny_codec.encoder_calls == calls


def test_a_preview_after_a_run_encodes_nothing(tiny_codec, desk_of):
    array, cache, settings = movie(), LatentCache(folder=None), BASE.replace(rate="auto")
    run(array, settings, tiny_codec, cache=cache)
    calls, desk = tiny_codec.encoder_calls, desk_of(tiny_codec, cache=cache)
    tiles = desk.show(view(array, (2,), settings))
    assert len(tiles) == 4
    assert not any(tile.pair.provisional for tile in tiles)
    assert tiny_codec.encoder_calls == calls


def test_one_provisional_tile_comes_before_the_search_for_the_rate(tiny_codec, desk_of, monkeypatch):
    gate, desk = Gate(tiny_codec, monkeypatch, "sweep"), desk_of(tiny_codec)
    generation = desk.engine.aim(view(movie(), settings=BASE.replace(rate="auto")))
    gate.wait_entered()
    (first,) = desk.tiles
    assert first.pair.provisional
    gate.open()
    desk.until(lambda: Settled(generation) in desk.events)
    assert [tile.pair.provisional for tile in desk.tiles] == [True, *[False] * 4]
    assert desk.tiles[1].wish == first.wish


def test_another_rate_is_encoded_again_and_the_old_pairs_are_dropped(tiny_codec, desk_of):
    array, desk = movie(), desk_of(tiny_codec)
    first = view(array)
    (pixels, other) = (np.zeros((130, 140), np.float32) for _ in range(2))
    desk.show(first)
    desk.engine.blend_view(0.0, pixels)
    held = desk.engine._pairs.nbytes
    second = view(array, settings=BASE.replace(rate=0.9))
    calls = tiny_codec.encoder_calls
    desk.show(second)
    desk.engine.blend_view(0.0, other)
    assert tiny_codec.encoder_calls == calls + 4
    assert not np.array_equal(pixels, other)
    assert desk.engine._pairs.nbytes == held
    assert desk.engine._pairs.of_plane(first.series.look, (0,)) == []


def test_memory_stays_within_the_budget(tiny_realism_codec, desk_of):
    budget = 110_000  # two or three tiles
    desk = desk_of(tiny_realism_codec, pair_bytes=budget)
    sizes = []
    for t in (0, 1, 2):
        desk.show(view(movie(), (t,)))
        sizes.append(desk.engine._pairs.nbytes)
    assert max(sizes) <= budget
    written = desk.engine.blend_view(0.5, np.zeros((130, 140), np.float32))
    assert 1 <= len(written) < 4


# Aiming anew


def test_stale_work_is_dropped_between_tiles_and_the_tile_in_work_is_kept(tiny_codec, desk_of, monkeypatch):
    gate, desk = Gate(tiny_codec, monkeypatch), desk_of(tiny_codec)
    old, new = view(movie(), (0,)), view(movie(), (1,))
    first = desk.engine.aim(old)
    gate.wait_entered()
    second = desk.engine.aim(new)
    gate.open()
    desk.until(lambda: Settled(second) in desk.events)
    assert {tile.generation for tile in desk.tiles} == {second}
    assert Settled(first) not in desk.events
    assert gate.calls == 5
    again = desk.show(old)
    assert [tile.cached for tile in again] == [True, False, False, False]


def test_wishes_are_served_in_their_order(tiny_codec, desk_of):
    target = view(movie())
    backwards = replace(target, wishes=target.wishes[::-1])
    assert [tile.wish for tile in desk_of(tiny_codec).show(backwards)] == list(backwards.wishes)


def test_a_search_that_nobody_waits_for_is_given_up(tiny_codec, desk_of, monkeypatch):
    gate, desk = Gate(tiny_codec, monkeypatch, "sweep"), desk_of(tiny_codec)
    desk.engine.aim(view(movie(), settings=BASE.replace(rate="auto")))
    gate.wait_entered()
    generation = desk.engine.aim(view(movie(seed=1), layer="other"))
    gate.open()
    desk.until(lambda: Settled(generation) in desk.events)
    assert gate.calls == 1  # of three windows
    assert not [event for event in desk.of(ChannelReady) if event.layer == "cells"]
    assert not desk.of(Failed)


def test_a_search_goes_on_while_only_the_plane_changes(tiny_codec, desk_of, monkeypatch):
    gate, desk = Gate(tiny_codec, monkeypatch, "sweep"), desk_of(tiny_codec)
    settings = BASE.replace(rate="auto")
    desk.engine.aim(view(movie(), settings=settings))
    gate.wait_entered()
    generation = desk.engine.aim(view(movie(), (1,), settings))
    gate.open()
    desk.until(lambda: Settled(generation) in desk.events)
    assert gate.calls == 3  # one search looks at a window of each plane
    assert [tile.pair.provisional for tile in desk.tiles if tile.generation == generation] == [False] * 4


def test_a_forgotten_layer_leaves_nothing_behind(tiny_codec, desk_of, monkeypatch):
    gate, desk = Gate(tiny_codec, monkeypatch), desk_of(tiny_codec)
    desk.engine.aim(view(movie()))
    gate.wait_entered()
    desk.engine.forget("cells")  # with a tile in work
    gate.open()
    other = movie(seed=5) * 3
    desk.show(view(other))  # the same name with other pixels
    found = np.zeros((130, 140), np.float32)
    desk.engine.blend_view(0.0, found)
    expected, _ = run(other, BASE.replace(dtype="float32"), tiny_codec)
    np.testing.assert_allclose(found, expected[0], rtol=0, atol=1e-3)
    desk.engine.forget("nothing of this name")
    assert desk.engine.blend_view(0.0, found)


def test_many_random_changes_end_with_the_right_view(tiny_realism_codec, desk_of):
    rng, desk = np.random.default_rng(4), desk_of(tiny_realism_codec, pair_bytes=600_000)
    stacks = {name: movie((3, *shape), seed) for seed, (name, shape) in enumerate(
        {"a": (130, 140), "b": (70, 200), "c": (64, 64)}.items()
    )}  # fmt: skip
    canvas = {name: np.zeros(stack.shape[1:], np.float32) for name, stack in stacks.items()}
    for _ in range(200):
        name = str(rng.choice(list(stacks)))
        rate = "auto" if rng.random() < 0.1 else float(rng.choice([0.2, 0.4]))
        target = view(stacks[name], (int(rng.integers(3)),), BASE.replace(rate=rate), layer=name)
        count = int(rng.integers(0, len(target.wishes) + 1))
        chosen = tuple(target.wishes[i] for i in rng.permutation(len(target.wishes))[:count])
        desk.engine.aim(replace(target, wishes=chosen) if rng.random() < 0.95 else None)
        desk.engine.blend_view(float(rng.random()), canvas[name]) if chosen else None
        if rng.random() < 0.1:
            desk.engine.forget(str(rng.choice(list(stacks))))
    tiles = desk.show(view(stacks["a"], (2,), layer="a"))
    assert {tile.wish.tile.core_shape for tile in tiles} >= {(64, 64)}
    found = np.zeros(stacks["a"].shape[1:], np.float32)
    desk.engine.blend_view(0.7, found)
    expected, _ = run(stacks["a"], BASE.replace(realism=0.7, dtype="float32"), tiny_realism_codec)
    np.testing.assert_allclose(found, expected[2], rtol=0, atol=1e-3)
    assert not desk.of(Failed)
    assert sum(thread.name == "preview" for thread in threading.enumerate()) == 1


# Errors


class Broken:
    """A source that fails where ``fails`` says."""

    def __init__(self, inner, fails):
        self._inner, self._fails = inner, fails

    def __getattr__(self, name):
        return getattr(self._inner, name)

    def read(self, index, y, x):
        if self._fails(index, y, x):
            raise OSError("the disk is gone")
        return self._inner.read(index, y, x)


def test_an_error_of_one_tile_is_told_and_the_others_are_made(tiny_codec, desk_of):
    array = movie()
    broken = Broken(open_image(array), lambda index, y, x: (y.stop, x.stop) == (128, 128))  # the first tile
    target, desk = view(array, source=broken), desk_of(tiny_codec)
    done = desk.show(target)
    assert [str(event.error) for event in desk.of(Failed)] == ["the disk is gone"]
    assert [tile.wish for tile in done] == list(target.wishes[1:])
    assert len(desk.show(view(array))) == 4


def test_an_error_that_all_tiles_share_is_told_once(tiny_codec, desk_of):
    array, desk = movie(), desk_of(tiny_codec)
    gone = view(array, source=Broken(open_image(array), lambda *_: True))
    assert desk.show(gone) == []
    assert len(desk.of(Failed)) == 1
    assert len(desk.show(view(array))) == 4


def test_a_missing_model_is_told_and_another_one_works(tiny_codec, tiny_model, desk_of):
    array, desk = movie(), desk_of(tiny_codec, load=None)
    desk.engine.warm_up(BASE.replace(model="no such model"))
    assert desk.show(view(array, settings=BASE.replace(model="no such model"))) == []
    (failed,) = desk.of(Failed)
    assert isinstance(failed.error, FileNotFoundError)
    assert len(desk.show(view(array, settings=BASE.replace(model=str(tiny_model))))) == 4


def test_a_listener_that_fails_is_logged_and_the_work_goes_on(tiny_codec, caplog):
    settled = threading.Event()

    def stumble(ready):
        raise KeyError("listener")

    with PreviewEngine(stumble, lambda event: settled.set(), load=lambda *_: tiny_codec) as engine:
        target = view(movie())
        engine.aim(target)
        assert settled.wait(PATIENCE)
        engine.aim(replace(target, wishes=target.wishes[:0]))
    assert "a listener failed" in caplog.text


def test_realism_without_its_decoder_is_refused(tiny_codec, desk_of):
    desk = desk_of(tiny_codec)
    desk.show(view(movie()))
    with pytest.raises(ValueError, match=r"realism must be 0 .* found 0\.5"):
        desk.engine.blend_view(0.5, np.zeros((130, 140), np.float32))


# Runs, pauses and the end


@contextmanager
def run_under_way(how, array, codec):
    """A run on the same device, either declared or real."""
    if how == "declared":
        with device_turns("cpu").run():
            yield
        return
    source = open_image(array)
    stream = denoise_stream(source, ArraySink(output_spec(source, BASE)), BASE, codec=codec)
    while next(stream).done < 1:
        pass
    yield
    stream.close()


@pytest.mark.parametrize("how", ["declared", "real"])
def test_runs_go_first(tiny_codec, desk_of, monkeypatch, how):
    waiting, desk = threading.Event(), desk_of(tiny_codec)
    wait_for_runs = Turns.wait_for_runs

    def watched(turns, give_up):
        waiting.set()
        wait_for_runs(turns, give_up)

    monkeypatch.setattr(Turns, "wait_for_runs", watched)
    with run_under_way(how, movie(), tiny_codec):
        generation = desk.engine.aim(view(movie()))
        assert waiting.wait(PATIENCE)
        calls = tiny_codec.encoder_calls
        assert desk.tiles == []
    desk.until(lambda: Settled(generation) in desk.events)
    assert tiny_codec.encoder_calls == calls + 4


def test_a_run_holds_the_engine_no_longer_than_the_view_is_wanted(tiny_codec, desk_of):
    desk = desk_of(tiny_codec)
    with device_turns("cpu").run():
        desk.engine.aim(view(movie()))
        desk.engine.close()
    assert desk.tiles == []


def test_nothing_is_computed_while_held(tiny_codec, desk_of):
    passed = threading.Semaphore(0)

    def load(model, device):
        passed.release()
        return tiny_codec

    desk = desk_of(tiny_codec, load=load)
    desk.engine.hold()
    generation = desk.engine.aim(view(movie()))
    for _ in range(5):  # the thread goes round, and begins no tile
        desk.engine.warm_up(BASE)
        assert passed.acquire(timeout=PATIENCE)
    assert tiny_codec.encoder_calls == 0
    desk.engine.release()
    desk.until(lambda: Settled(generation) in desk.events)


def test_closing_waits_for_the_tile_in_work_only(tiny_codec, desk_of, monkeypatch):
    gate, desk = Gate(tiny_codec, monkeypatch), desk_of(tiny_codec)
    desk.engine.aim(view(movie()))
    gate.wait_entered()
    closing = threading.Thread(target=desk.engine.close)
    closing.start()
    gate.open()
    closing.join(PATIENCE)
    assert not closing.is_alive()
    assert gate.calls == 1
    assert desk.tiles == []
    assert desk.engine._pairs.nbytes == 0
    desk.engine.close()
    desk.engine.forget("cells")
    with pytest.raises(RuntimeError, match="was closed; make a new one"):
        desk.engine.aim(None)


def test_closing_ends_a_search_for_the_rate(tiny_codec, desk_of, monkeypatch):
    steps, first, may_go_on = [], threading.Event(), threading.Event()
    sweep = tiny_codec.sweep

    def slow(*given):
        for step in sweep(*given):
            steps.append(1)
            first.set()
            assert may_go_on.wait(PATIENCE)
            yield step

    monkeypatch.setattr(tiny_codec, "sweep", slow)
    desk = desk_of(tiny_codec)
    desk.engine.aim(view(movie(), settings=BASE.replace(rate="auto")))
    assert first.wait(PATIENCE)
    closing = threading.Thread(target=desk.engine.close)
    closing.start()
    while not desk.engine._closed:
        pass
    may_go_on.set()
    closing.join(PATIENCE)
    assert not closing.is_alive()
    assert len(steps) == 1


def test_an_engine_that_was_never_aimed_has_no_thread():
    before = threading.active_count()
    with PreviewEngine(lambda tile: None) as engine:
        assert threading.active_count() == before
        assert engine.blend_view(0.5, np.zeros((3, 3), np.float32)) == ()


def test_a_listener_may_aim_and_close(tiny_codec):
    settled, engines = threading.Event(), []

    def jump(ready):
        engines[0].aim(None)
        engines[0].close()
        settled.set()

    engines.append(PreviewEngine(jump, load=lambda *_: tiny_codec))
    engines[0].aim(view(movie()))
    assert settled.wait(PATIENCE)
    engines[0].close()
    assert not [thread for thread in threading.enumerate() if thread.name == "preview"]
