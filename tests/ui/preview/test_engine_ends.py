"""The preview's engine in trouble, beside runs, held, and closed."""

from __future__ import annotations

import threading
from contextlib import closing, contextmanager
from dataclasses import replace

import numpy as np
import pytest

from napari_rdpdenoise.codec.device import Turns, device_turns
from napari_rdpdenoise.io import ArraySink, open_image
from napari_rdpdenoise.stream import denoise_stream, output_spec
from napari_rdpdenoise.ui.preview.engine import ChannelReady, Failed, PreviewEngine, Settled

PATIENCE = 60.0  # s, until a test that hangs is given up


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


def test_an_error_of_one_tile_is_told_and_the_others_are_made(tiny_codec, desk_of, movie, view):
    array = movie()
    broken = Broken(open_image(array), lambda index, y, x: (y.stop, x.stop) == (128, 128))  # the first tile
    target, desk = view(array, source=broken), desk_of(tiny_codec)
    done = desk.show(target)
    assert [str(event.error) for event in desk.of(Failed)] == ["the disk is gone"]
    assert [tile.request for tile in done] == list(target.requests[1:])
    assert len(desk.show(view(array))) == 4


def test_an_error_that_all_tiles_share_is_told_once(tiny_codec, desk_of, movie, view):
    array, desk = movie(), desk_of(tiny_codec)
    gone = view(array, source=Broken(open_image(array), lambda *_: True))
    assert desk.show(gone) == []
    assert len(desk.of(Failed)) == 1
    assert len(desk.show(view(array))) == 4


def test_a_missing_model_is_told_and_another_one_works(tiny_codec, tiny_model, desk_of, movie, view, base):
    array, desk = movie(), desk_of(tiny_codec, load=None)
    desk.engine.warm_up(base.replace(model="no such model"))
    assert desk.show(view(array, settings=base.replace(model="no such model"))) == []
    (failed,) = desk.of(Failed)
    assert isinstance(failed.error, FileNotFoundError)
    assert len(desk.show(view(array, settings=base.replace(model=str(tiny_model))))) == 4


def test_a_listener_that_fails_is_logged_and_the_work_goes_on(tiny_codec, caplog, movie, view):
    settled = threading.Event()

    def stumble(ready):
        raise KeyError("listener")

    def hear(event):
        if isinstance(event, Settled):
            settled.set()

    with closing(PreviewEngine(stumble, hear, load=lambda *_: tiny_codec)) as engine:
        target = view(movie())
        engine.aim(target)
        assert settled.wait(PATIENCE)
        engine.aim(replace(target, requests=target.requests[:0]))
    assert "a listener failed" in caplog.text


def test_realism_without_its_decoder_is_refused(tiny_codec, desk_of, movie, view):
    desk = desk_of(tiny_codec)
    desk.show(view(movie()))
    with pytest.raises(ValueError, match=r"no realism decoder, expected 0, found 0\.5"):
        desk.engine.blend_view(0.5, np.zeros((130, 140), np.float32))


# Runs, pauses and the end


@contextmanager
def run_under_way(how, array, settings, codec):
    """A run on the same device, either declared or real."""
    if how == "declared":
        with device_turns("cpu").run():
            yield
        return
    source = open_image(array)
    stream = denoise_stream(source, ArraySink(output_spec(source, settings)), settings, codec=codec)
    while next(stream).done < 1:
        pass
    yield
    stream.close()


@pytest.mark.parametrize("how", ["declared", "real"])
def test_runs_go_first(tiny_codec, desk_of, monkeypatch, how, movie, view, base):
    waiting, desk = threading.Event(), desk_of(tiny_codec)
    wait_for_runs = Turns.wait_for_runs

    def watched(turns, give_up):
        waiting.set()
        wait_for_runs(turns, give_up)

    monkeypatch.setattr(Turns, "wait_for_runs", watched)
    with run_under_way(how, movie(), base, tiny_codec):
        generation = desk.engine.aim(view(movie()))
        assert waiting.wait(PATIENCE)
        calls = tiny_codec.encoder_calls
        assert desk.tiles == []
    desk.until(lambda: Settled(generation) in desk.events)
    assert tiny_codec.encoder_calls == calls + 4


def test_a_run_holds_the_engine_no_longer_than_the_view_is_wanted(tiny_codec, desk_of, movie, view):
    desk = desk_of(tiny_codec)
    with device_turns("cpu").run():
        desk.engine.aim(view(movie()))
        desk.engine.close()
    assert desk.tiles == []


def test_closing_waits_for_the_tile_in_work_only(tiny_codec, desk_of, movie, view, gate):
    door, desk = gate(tiny_codec), desk_of(tiny_codec)
    desk.engine.aim(view(movie()))
    door.wait_entered()
    closing = threading.Thread(target=desk.engine.close)
    closing.start()
    door.open()
    closing.join(PATIENCE)
    assert not closing.is_alive()
    assert door.calls == 1
    assert desk.tiles == []
    assert desk.engine._decoded.nbytes == 0
    desk.engine.close()
    desk.engine.forget("cells")
    with pytest.raises(RuntimeError, match="was closed; make a new one"):
        desk.engine.aim(None)


def test_closing_ends_a_search_for_the_rate(tiny_codec, desk_of, monkeypatch, movie, view, base):
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
    desk.engine.aim(view(movie(), settings=base.replace(rate="auto")))
    assert first.wait(PATIENCE)
    closing = threading.Thread(target=desk.engine.close)
    closing.start()
    while not desk.engine._agenda.closed:
        pass
    may_go_on.set()
    closing.join(PATIENCE)
    assert not closing.is_alive()
    assert len(steps) == 1


def test_an_engine_that_was_never_aimed_has_no_thread():
    before = threading.active_count()
    with closing(PreviewEngine(lambda tile: None)) as engine:
        assert threading.active_count() == before
        assert engine.blend_view(0.5, np.zeros((3, 3), np.float32)) == ()


def test_a_listener_may_aim_and_close(tiny_codec, movie, view):
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


def test_noise_and_rate_are_told_also_when_the_view_has_moved_on(
    tiny_codec, desk_of, movie, view, gate, base
):
    door, desk = gate(tiny_codec, "decode"), desk_of(tiny_codec)
    first = view(movie(), settings=base.replace(rate="auto"))
    desk.engine.aim(first)
    door.wait_entered()
    desk.engine.aim(type(first)(first.series, first.requests[1:]))  # panned while the first tile is in work
    door.open()
    desk.until(lambda: desk.of(ChannelReady))
    (told,) = desk.of(ChannelReady)
    assert told.series == first.series.key
