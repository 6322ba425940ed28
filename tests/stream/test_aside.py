"""What is prepared for seconds can be given up, from a thread whose owner wants it no more."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from napari_rdpdenoise.io import ArraySink, open_image
from napari_rdpdenoise.settings import RunSettings
from napari_rdpdenoise.stream import denoise_stream, output_spec, prepare
from napari_rdpdenoise.stream.aside import aside

AUTO = RunSettings(device="cpu", tile=64, halo=64)


def movie(shape=(3, 90, 90)):
    return np.random.default_rng(0).poisson(50, shape).astype(np.uint16)


def in_a_thread(work):
    """What a function returns, or raises, in a thread that is not the main one."""
    found = []

    def run():
        try:
            found.append(work())
        except BaseException as error:
            found.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(60)
    if isinstance(found[0], BaseException):
        raise found[0]
    return found[0]


def answer(steps):
    """How often there was nothing new, and what came of it."""
    waits = 0
    while True:
        try:
            assert next(steps) is None
            waits += 1
        except StopIteration as end:
            return waits, end.value


def slowly(source, between):
    time.sleep(0.7)
    return source.read((0,), slice(0, 2), slice(0, 3)).shape


def test_a_long_step_is_waited_for_in_turns_and_in_the_main_thread_at_once():
    source = open_image(movie(), "TYX")
    waits, shape = in_a_thread(lambda: answer(aside(source, slowly)))
    assert shape == (2, 3)
    assert waits >= 2
    assert answer(aside(source, slowly)) == (0, (2, 3))


def test_an_error_of_the_step_is_one_of_the_caller():
    def fails(source, between):
        raise ValueError("axes: expected Y")

    for run in (in_a_thread, lambda work: work()):
        with pytest.raises(ValueError, match="expected Y"):
            run(lambda: answer(aside(open_image(movie(), "TYX"), fails)))


def test_a_step_that_was_given_up_reads_no_more_and_ends_when_it_asks():
    source, ended, go_on = open_image(movie(), "TYX"), [], threading.Event()

    def endless(given, between):
        try:
            while True:
                go_on.wait(20)
                given.read((0,), slice(0, 2), slice(0, 2))
        except BaseException as error:
            ended.append(type(error).__name__)
            raise

    def given_up():
        steps = aside(source, endless)
        next(steps)
        began = time.monotonic()
        steps.close()
        return time.monotonic() - began

    assert in_a_thread(given_up) < 1
    source.read = None  # it may be closed now
    go_on.set()
    deadline = time.monotonic() + 10
    while not ended and time.monotonic() < deadline:
        time.sleep(0.01)
    assert ended == ["_GivenUp"]


@pytest.mark.parametrize("slow", ["sample_channel", "measure_channel", "choose_rate", "doubts"])
def test_a_run_is_given_up_while_noise_is_measured_and_the_rate_chosen(slow, tiny_codec, monkeypatch):
    begun, go_on, done, real = threading.Event(), threading.Event(), [], getattr(prepare, slow)

    def held(*args, **options):
        begun.set()
        go_on.wait(20)
        done.append(real(*args, **options))
        return done[0]

    monkeypatch.setattr(prepare, slow, held)
    source = open_image(movie(), "TYX")
    sink = ArraySink(output_spec(source, AUTO, tiny_codec))

    def given_up():
        running = denoise_stream(source, sink, AUTO, codec=tiny_codec)
        while not begun.is_set():
            next(running)
        began = time.monotonic()
        running.close()
        return time.monotonic() - began

    seconds = in_a_thread(given_up)
    go_on.set()
    assert seconds < 1


def test_a_run_in_a_thread_gives_the_pixels_of_one_in_the_main_thread(tiny_codec):
    def run():
        source = open_image(movie(), "TYX")
        sink = ArraySink(output_spec(source, AUTO, tiny_codec))
        running = denoise_stream(source, sink, AUTO, codec=tiny_codec)
        while True:
            try:
                next(running)
            except StopIteration as end:
                return sink.array, end.value.messages

    (here, told), (there, also) = run(), in_a_thread(run)
    assert np.array_equal(here, there)
    assert told == also
