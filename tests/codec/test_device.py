from __future__ import annotations

import threading
from contextlib import suppress

import pytest

from napari_rdpdenoise.codec.device import GivenUp, Turns, device_turns

PATIENCE = 60.0  # s, until a test that hangs is given up


def test_one_turn_at_a_time() -> None:
    turns, inside, most = Turns(), 0, 0
    guard, ready = threading.Lock(), threading.Barrier(6)

    def work(number: int) -> None:
        nonlocal inside, most
        ready.wait(PATIENCE)
        for _ in range(50):
            with turns.turn(None if number % 2 else lambda: False):
                with guard:
                    inside += 1
                    most = max(most, inside)
                with guard:
                    inside -= 1

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert most == 1


def test_waiting_for_a_turn_can_be_given_up_and_the_turn_comes_back_after_an_error() -> None:
    turns = Turns()
    with turns.turn(), pytest.raises(GivenUp), turns.turn(lambda: True):
        raise AssertionError("two turns at once")
    with suppress(KeyError), turns.turn():
        raise KeyError
    with turns.turn(lambda: True):  # free: nothing to wait for
        pass


def test_previews_wait_until_the_last_run_has_ended() -> None:
    turns, asked, through = Turns(), threading.Event(), threading.Event()

    def preview() -> None:
        turns.wait_for_runs(lambda: bool(asked.set()))
        through.set()

    with suppress(KeyError), turns.run():
        with turns.run():
            thread = threading.Thread(target=preview)
            thread.start()
            assert asked.wait(PATIENCE)
        asked.clear()
        assert asked.wait(PATIENCE)  # one run is left: it is still waiting
        assert not through.is_set()
        raise KeyError  # a run that fails has ended too
    assert through.wait(PATIENCE)
    thread.join(PATIENCE)
    with turns.run(), pytest.raises(GivenUp):
        turns.wait_for_runs(lambda: True)


def test_devices_have_turns_of_their_own() -> None:
    assert device_turns("cpu") is device_turns("cpu")
    assert device_turns("cpu") is not device_turns("cuda")
