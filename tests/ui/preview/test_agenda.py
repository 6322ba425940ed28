"""What the preview's thread does next, and in which order."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import pytest

from napari_rdpdenoise.ui.preview.agenda import _IDLE_S, Agenda, Task


@pytest.fixture
def agenda():
    return Agenda()


def test_chores_come_first_then_tiles_in_their_order_then_those_that_may_follow(agenda, view, movie):
    there, order = view(movie()), []
    ahead = view(movie(), (1,)).requests[:1]
    agenda.aim(replace(there, ahead=ahead))
    agenda.add(lambda: order.append("chore"))
    agenda.take()()
    assert order == ["chore"]
    tasks = [agenda.take() for _ in there.requests]
    assert [task.request for task in tasks] == list(there.requests)
    assert all(task.asked for task in tasks)
    assert agenda.settled
    start = time.monotonic()
    assert agenda.take() == Task(agenda.target, ahead[0], asked=False)
    assert time.monotonic() - start >= 0.9 * _IDLE_S


def test_another_view_replaces_the_tiles_and_outdates_the_one_before(agenda, view, movie):
    agenda.aim(view(movie()))
    before = agenda.target
    assert agenda.is_current(before)
    assert agenda.aim(view(movie(), (1,))) == agenda.generation == 2
    assert not agenda.is_current(before)
    assert agenda.take().request.index == (1,)
    agenda.give_up(before)  # of a view that is gone: the other's tiles stay
    assert not agenda.settled
    agenda.give_up(agenda.target)
    assert agenda.settled


def test_closing_wakes_the_thread_and_leaves_nothing_to_do(agenda, view, movie):
    taken: list[object] = []
    waits, wait = threading.Event(), agenda.lock.wait
    agenda.lock.wait = lambda *timeout: (waits.set(), wait(*timeout))[1]
    thread = threading.Thread(target=lambda: taken.append(agenda.take()), daemon=True)
    thread.start()
    assert waits.wait(5)
    agenda.close()
    thread.join(5)
    assert taken == [None]
    agenda.aim(view(movie()))
    agenda.add(lambda: None)
    assert agenda.take() is None
    assert not agenda.is_current(agenda.target)
