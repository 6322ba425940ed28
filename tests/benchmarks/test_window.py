"""The heartbeat of the windows that are measured: late beats are seen, with where the thread was."""

from __future__ import annotations

import signal
import sys
import threading
import time
import weakref
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.window import LATE_S, Heartbeat, Sampler

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="threads get no signals here")


def _dawdle(seconds):
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def test_the_sampler_sees_where_the_main_thread_is_while_it_is_late():
    sampler = Sampler()
    sampler.start()
    _dawdle(4 * LATE_S)
    end = time.perf_counter()
    sampler.stop()
    seen = [where for moment, where, _ in sampler.seen if moment < end]
    assert seen
    assert all("_dawdle" in where for where in seen)


def test_the_sampler_tells_what_threads_of_the_dock_do():
    ended = threading.Event()
    other = threading.Thread(target=ended.wait, name="dock: Training")
    other.start()
    sampler = Sampler()
    sampler.start()
    _dawdle(4 * LATE_S)
    sampler.stop()
    ended.set()
    other.join()
    assert all(len(found) == 1 and "wait" in found[0] for _, _, found in sampler.seen)


def test_the_sampler_holds_nothing_that_the_main_thread_has_let_go_of():
    class Painter:
        pass

    def paint():
        painter = Painter()
        _dawdle(3 * LATE_S)
        return weakref.ref(painter)

    sampler = Sampler()
    sampler.start()
    assert all(paint()() is None for _ in range(3))
    sampler.stop()
    assert len(sampler.seen) >= 3


def test_a_signal_that_comes_after_the_end_ends_nothing():
    sampler = Sampler()
    sampler.start()
    sampler.stop()
    seen = len(sampler.seen)
    signal.raise_signal(signal.SIGUSR1)
    _dawdle(0.01)
    assert len(sampler.seen) == seen


@pytest.mark.display
def test_a_window_that_stands_still_is_measured_with_where(qtbot):
    with Heartbeat() as beat:
        qtbot.wait(50)
        _dawdle(5 * LATE_S)
        qtbot.wait(50)
    figures = beat.figures()
    assert figures["longest_ms"] >= 5000 * LATE_S
    assert figures["longest_computing_ms"] <= figures["longest_ms"]
    assert any("_dawdle" in where for where in figures["worst"][0]["places"])
