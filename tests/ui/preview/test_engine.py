from __future__ import annotations

import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from napari_rdpdenoise.cache import LatentCache
from napari_rdpdenoise.ui.preview.agenda import _IDLE_S
from napari_rdpdenoise.ui.preview.engine import ChannelReady, Failed, Settled

# The same pixels as a run


@pytest.mark.parametrize("dtype", [np.float32, np.uint16])
@pytest.mark.parametrize("realism", [0.0, 0.3, 1.0])
def test_preview_and_run_give_the_same_pixels(
    tiny_realism_codec, desk_of, realism, dtype, movie, view, run, base
):
    array = movie()
    settings = base.replace(realism=realism, dtype="float32" if dtype == np.float32 else "input")
    expected, _ = run(array, settings, tiny_realism_codec)
    desk = desk_of(tiny_realism_codec)
    desk.show(view(array, (1,)))
    found = np.zeros(array.shape[1:], dtype)
    assert len(desk.engine.blend_view(realism, found)) == 4
    np.testing.assert_allclose(found, expected[1], rtol=0, atol=1e-3)
    one = np.zeros_like(found)
    for tile in desk.tiles:
        desk.engine.blend_tile(tile.request.tile, tile.decoded, realism, one[tile.request.tile.core])
    np.testing.assert_array_equal(one, found)


def test_tiles_of_another_size_agree_to_a_thousandth(tiny_codec, desk_of, movie, view, run, base):
    array = movie((1, 330, 300))
    settings = base.replace(halo=192, dtype="float32")
    expected, _ = run(array, settings.replace(tile=1536), tiny_codec)
    desk = desk_of(tiny_codec)
    desk.show(view(array, settings=settings))
    found = np.zeros(array.shape[1:], np.float32)
    desk.engine.blend_view(0.0, found)
    # a symbol that lies on the edge of rounding may fall either way
    assert np.quantile(np.abs(found - expected[0]), 0.999) <= 1e-3 * np.ptp(array)


def test_channels_have_statistics_of_their_own_as_in_a_run(tiny_codec, desk_of, movie, view, run, base):
    array = np.stack([movie((2, 70, 70), seed=c) * (c + 1) for c in range(2)], axis=1)
    settings = base.replace(rate="auto", dtype="float32")
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


def test_doubts_are_told_once_per_channel_and_rate(tiny_codec, desk_of, view, run, base):
    flat, desk = np.full((2, 70, 70), 7, np.uint16), desk_of(tiny_codec)
    for index in ((0,), (1,)):
        desk.show(view(flat, index, base.replace(rate="auto")))
    (ready,) = desk.of(ChannelReady)
    assert any("holds no noise" in message for message in ready.messages)
    _, report = run(flat, base.replace(rate="auto"), tiny_codec)
    assert ready.messages == report.messages


def test_missing_values_stay_missing_at_any_realism(tiny_realism_codec, desk_of, movie, view):
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


def test_moving_realism_calls_neither_encoder_nor_decoder(
    tiny_realism_codec, desk_of, monkeypatch, movie, view
):
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


def test_a_run_after_the_preview_takes_over_its_latents_and_its_rate(
    tiny_codec, desk_of, movie, view, run, base
):
    array, cache, settings = movie(), LatentCache(folder=None), base.replace(rate="auto")
    desk = desk_of(tiny_codec, cache=cache)
    for t in range(3):
        desk.show(view(array, (t,), settings))
    calls = tiny_codec.encoder_calls
    _, report = run(array, settings, tiny_codec, cache=cache)
    assert (report.cache_hits, report.encoder_calls) == (report.tiles, 0)
    assert tiny_codec.encoder_calls == calls


def test_a_preview_after_a_run_encodes_nothing(tiny_codec, desk_of, movie, view, run, base):
    array, cache, settings = movie(), LatentCache(folder=None), base.replace(rate="auto")
    run(array, settings, tiny_codec, cache=cache)
    calls, desk = tiny_codec.encoder_calls, desk_of(tiny_codec, cache=cache)
    tiles = desk.show(view(array, (2,), settings))
    assert len(tiles) == 4
    assert not any(tile.decoded.provisional for tile in tiles)
    assert tiny_codec.encoder_calls == calls


def test_one_provisional_tile_comes_before_the_search_for_the_rate(
    tiny_codec, desk_of, movie, view, gate, base
):
    door, desk = gate(tiny_codec, "sweep"), desk_of(tiny_codec)
    generation = desk.engine.aim(view(movie(), settings=base.replace(rate="auto")))
    door.wait_entered()
    (first,) = desk.tiles
    assert first.decoded.provisional
    door.open()
    desk.until(lambda: Settled(generation) in desk.events)
    assert [tile.decoded.provisional for tile in desk.tiles] == [True, *[False] * 4]
    assert desk.tiles[1].request == first.request


def test_a_provisional_tile_is_held_only_as_long_as_it_is_asked_for(
    tiny_codec, desk_of, movie, view, gate, base
):
    door, desk = gate(tiny_codec, "sweep"), desk_of(tiny_codec)
    whole = view(movie(), settings=base.replace(rate="auto"))
    left, right = (replace(whole, requests=(whole.requests[number],)) for number in (0, -1))
    desk.engine.aim(left)
    door.wait_entered()
    generation = desk.engine.aim(right)
    door.open()
    desk.until(lambda: Settled(generation) in desk.events)
    ((tile, decoded),) = desk.engine.held_view()
    assert (tile, decoded.provisional) == (right.requests[0].tile, False)
    desk.show(left)
    assert len(desk.engine.held_view()) == 2
    assert not any(decoded.provisional for _, decoded in desk.engine.held_view())


def test_a_provisional_tile_that_nobody_asks_for_any_more_is_not_kept(
    tiny_codec, desk_of, movie, view, gate, base
):
    door, desk = gate(tiny_codec), desk_of(tiny_codec)
    whole = view(movie(), settings=base.replace(rate="auto"))
    desk.engine.aim(replace(whole, requests=whole.requests[:1]))
    door.wait_entered()  # with the provisional tile in work
    generation = desk.engine.aim(replace(whole, requests=whole.requests[-1:]))
    door.open()
    desk.until(lambda: Settled(generation) in desk.events)
    assert [tile for tile, _ in desk.engine.held_view()] == [whole.requests[-1].tile]


def test_a_provisional_tile_reads_less_around_it_and_covers_as_much(tiny_codec, desk_of, movie, view, base):
    from napari_rdpdenoise.io.arrays import ArraySource

    read = []

    class Seen(ArraySource):
        def read(self, index, y, x):
            read.append((y.stop - y.start, x.stop - x.start))
            return super().read(index, y, x)

    array = movie((1, 300, 300))
    settings = base.replace(rate="auto", tile=128, halo=128)
    desk = desk_of(tiny_codec)
    desk.show(view(array, settings=settings, source=Seen(array, "TYX")))
    assert read[:3] == [(300, 300), (192, 192), (256, 256)], "the sample, then the same tile twice"
    provisional, final = desk.tiles[:2]
    assert provisional.decoded.provisional
    assert provisional.request == final.request
    assert {tile.decoded.images.first.shape for tile in (provisional, final)} == {(128, 128)}


def test_another_rate_is_encoded_again_and_the_old_pairs_are_dropped(tiny_codec, desk_of, movie, view, base):
    array, desk = movie(), desk_of(tiny_codec)
    first = view(array)
    (pixels, other) = (np.zeros((130, 140), np.float32) for _ in range(2))
    desk.show(first)
    desk.engine.blend_view(0.0, pixels)
    held = desk.engine._decoded.nbytes
    second = view(array, settings=base.replace(rate=0.9))
    calls = tiny_codec.encoder_calls
    desk.show(second)
    desk.engine.blend_view(0.0, other)
    assert tiny_codec.encoder_calls == calls + 4
    assert not np.array_equal(pixels, other)
    assert desk.engine._decoded.nbytes == held
    assert desk.engine._decoded.of_plane(first.series.key, (0,)) == []


def test_memory_stays_within_the_budget(tiny_realism_codec, desk_of, movie, view):
    budget = 110_000  # two or three tiles
    desk = desk_of(tiny_realism_codec, tile_bytes=budget)
    sizes = []
    for t in (0, 1, 2):
        desk.show(view(movie(), (t,)))
        sizes.append(desk.engine._decoded.nbytes)
    assert max(sizes) <= budget
    written = desk.engine.blend_view(0.5, np.zeros((130, 140), np.float32))
    assert 1 <= len(written) < 4


# Aiming anew


def test_stale_work_is_dropped_between_tiles_and_the_tile_in_work_is_kept(
    tiny_codec, desk_of, movie, view, gate
):
    door, desk = gate(tiny_codec), desk_of(tiny_codec)
    old, new = view(movie(), (0,)), view(movie(), (1,))
    first = desk.engine.aim(old)
    door.wait_entered()
    second = desk.engine.aim(new)
    door.open()
    desk.until(lambda: Settled(second) in desk.events)
    assert {tile.generation for tile in desk.tiles} == {second}
    assert Settled(first) not in desk.events
    assert door.calls == 5
    again = desk.show(old)
    assert [tile.cached for tile in again] == [True, False, False, False]


def test_requests_are_served_in_their_order(tiny_codec, desk_of, movie, view):
    target = view(movie())
    backwards = replace(target, requests=target.requests[::-1])
    assert [tile.request for tile in desk_of(tiny_codec).show(backwards)] == list(backwards.requests)


def test_a_search_that_nobody_waits_for_is_given_up(tiny_codec, desk_of, movie, view, gate, base):
    door, desk = gate(tiny_codec, "sweep"), desk_of(tiny_codec)
    desk.engine.aim(view(movie(), settings=base.replace(rate="auto")))
    door.wait_entered()
    generation = desk.engine.aim(view(movie(seed=1), layer="other"))
    door.open()
    desk.until(lambda: Settled(generation) in desk.events)
    assert door.calls == 1  # of three windows
    assert not [event for event in desk.of(ChannelReady) if event.series.layer == "cells"]
    assert not desk.of(Failed)


def test_a_search_goes_on_while_only_the_plane_changes(tiny_codec, desk_of, movie, view, gate, base):
    door, desk = gate(tiny_codec, "sweep"), desk_of(tiny_codec)
    settings = base.replace(rate="auto")
    desk.engine.aim(view(movie(), settings=settings))
    door.wait_entered()
    generation = desk.engine.aim(view(movie(), (1,), settings))
    door.open()
    desk.until(lambda: Settled(generation) in desk.events)
    assert door.calls == 6  # one search looks at a window of each plane, for its residual and its error
    assert [tile.decoded.provisional for tile in desk.tiles if tile.generation == generation] == [False] * 4


def test_a_forgotten_layer_leaves_nothing_behind(tiny_codec, desk_of, movie, view, run, gate, base):
    door, desk = gate(tiny_codec), desk_of(tiny_codec)
    desk.engine.aim(view(movie()))
    door.wait_entered()
    desk.engine.forget("cells")  # with a tile in work
    door.open()
    other = movie(seed=5) * 3
    desk.show(view(other))  # the same name with other pixels
    found = np.zeros((130, 140), np.float32)
    desk.engine.blend_view(0.0, found)
    expected, _ = run(other, base.replace(dtype="float32"), tiny_codec)
    np.testing.assert_allclose(found, expected[0], rtol=0, atol=1e-3)
    desk.engine.forget("nothing of this name")
    assert desk.engine.blend_view(0.0, found)


def test_a_change_at_the_moment_when_a_rest_is_over_is_seen(tiny_codec, desk_of, movie, view):
    desk, there = desk_of(tiny_codec), view(movie())
    desk.show(replace(there, ahead=view(movie(), (1,)).requests))
    with desk.engine._agenda.lock:  # as a thread that the machine gave no time to
        time.sleep(2 * _IDLE_S)
        desk.engine.aim(None)
    calls = tiny_codec.encoder_calls
    assert len(desk.show(view(movie(seed=3), layer="other"))) == 4
    assert tiny_codec.encoder_calls == calls + 4


def test_many_random_changes_end_with_the_right_view(tiny_realism_codec, desk_of, movie, view, run, base):
    rng, desk = np.random.default_rng(4), desk_of(tiny_realism_codec, tile_bytes=600_000)
    stacks = {name: movie((3, *shape), seed) for seed, (name, shape) in enumerate(
        {"a": (130, 140), "b": (70, 200), "c": (64, 64)}.items()
    )}  # fmt: skip
    canvas = {name: np.zeros(stack.shape[1:], np.float32) for name, stack in stacks.items()}
    for _ in range(200):
        name = str(rng.choice(list(stacks)))
        rate = "auto" if rng.random() < 0.1 else float(rng.choice([0.2, 0.4]))
        target = view(stacks[name], (int(rng.integers(3)),), base.replace(rate=rate), layer=name)
        count = int(rng.integers(0, len(target.requests) + 1))
        chosen = tuple(target.requests[i] for i in rng.permutation(len(target.requests))[:count])
        desk.engine.aim(replace(target, requests=chosen) if rng.random() < 0.95 else None)
        desk.engine.blend_view(float(rng.random()), canvas[name]) if chosen else None
        if rng.random() < 0.1:
            desk.engine.forget(str(rng.choice(list(stacks))))
    tiles = desk.show(view(stacks["a"], (2,), layer="a"))
    assert {tile.request.tile.core_shape for tile in tiles} >= {(64, 64)}
    found = np.zeros(stacks["a"].shape[1:], np.float32)
    desk.engine.blend_view(0.7, found)
    expected, _ = run(stacks["a"], base.replace(realism=0.7, dtype="float32"), tiny_realism_codec)
    np.testing.assert_allclose(found, expected[2], rtol=0, atol=1e-3)
    assert not desk.of(Failed)
    assert sum(thread.name == "preview" for thread in threading.enumerate()) == 1


def test_of_a_blank_plane_no_tile_is_given_to_the_network(tiny_realism_codec, desk_of, view, monkeypatch):
    flat, desk = np.full((1, 200, 300), 100, np.uint16), desk_of(tiny_realism_codec)
    monkeypatch.setattr(tiny_realism_codec, "encode", lambda *a, **k: pytest.fail("the network was asked"))
    tiles = desk.show(view(flat))
    assert len(tiles) == 15
    assert not desk.of(Failed)
    assert all(np.isnan(tile.decoded.bpp) for tile in tiles)
    found = np.zeros((200, 300), np.uint16)
    desk.engine.blend_view(0.5, found)
    np.testing.assert_array_equal(found, flat[0])
