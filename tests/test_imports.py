"""Loading libraries without looking for garbage meanwhile."""

from __future__ import annotations

import gc
import sys
import threading

import pytest

from napari_rdpdenoise.imports import no_collections, short_turns


@pytest.fixture
def collecting():
    before = gc.isenabled()
    gc.enable()
    yield
    if not before:
        gc.disable()


def test_garbage_is_collected_again_after_the_outermost_end_whatever_happened(collecting):
    def load():
        with no_collections():
            with no_collections():
                assert not gc.isenabled()
            assert not gc.isenabled()
            raise ImportError

    with pytest.raises(ImportError):
        load()
    assert gc.isenabled()


def test_who_collects_nothing_still_does_not_afterwards(collecting):
    gc.disable()
    with no_collections():
        pass
    assert not gc.isenabled()


def test_what_was_made_meanwhile_is_old_afterwards_and_still_collected(collecting):
    with no_collections():
        made = [[number] for number in range(50_000)]
    assert gc.get_count()[0] < 5_000
    assert gc.get_freeze_count() == 0
    ring: list[object] = [made]
    ring.append(ring)
    del ring
    assert gc.collect() > 0


@pytest.mark.parametrize("context", [no_collections, short_turns])
def test_turns_are_short_until_the_outermost_end(context):
    before = sys.getswitchinterval()
    with context():
        with short_turns():
            assert sys.getswitchinterval() < before
        assert sys.getswitchinterval() < before
    assert sys.getswitchinterval() == pytest.approx(before)


@pytest.mark.parametrize("own", [1e-4, 0.0023, 0.1])
def test_what_the_user_has_set_comes_back_and_stays_where_it_is_shorter(own):
    before = sys.getswitchinterval()
    sys.setswitchinterval(own)
    own = sys.getswitchinterval()
    try:
        for _ in range(3):
            with short_turns():
                assert sys.getswitchinterval() <= min(own, 0.001)
        assert sys.getswitchinterval() == own
    finally:
        sys.setswitchinterval(before)


def test_turns_are_short_as_long_as_any_thread_asks_for_it():
    before, inside, leave = sys.getswitchinterval(), threading.Event(), threading.Event()

    def work():
        with short_turns():
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=work)
    thread.start()
    inside.wait(10)
    with short_turns():
        pass
    assert sys.getswitchinterval() < before
    leave.set()
    thread.join()
    assert sys.getswitchinterval() == pytest.approx(before)
