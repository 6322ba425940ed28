"""Work in threads: what arrives, what does not, and how it ends."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

pytestmark = pytest.mark.display

PATIENCE = 20


@pytest.fixture
def owner(qtbot):
    """A Qt object that works are for."""
    from qtpy.QtCore import QObject

    return QObject()


class Steps:
    """A work of three steps, each of which waits until it may go on; knows the thread that closed it."""

    def __init__(self):
        self.may_go_on, self.closed, self.seen, self.ends = threading.Semaphore(0), None, [], []

    def __call__(self):
        try:
            for number in range(3):
                assert self.may_go_on.acquire(timeout=PATIENCE)
                yield number
        finally:
            self.closed = threading.current_thread()

    def go_on(self, steps=3):
        for _ in range(steps):
            self.may_go_on.release()


def test_what_is_yielded_arrives_in_the_viewers_thread_and_the_end_after_it(owner, qtbot):
    from napari_rdpdenoise.ui.qt.background import start

    steps, threads = Steps(), []
    work = start(owner, steps, lambda item: threads.append(threading.current_thread()), steps.ends.append)
    assert work.busy
    steps.go_on()
    qtbot.waitUntil(lambda: steps.ends == [None])
    assert threads == [threading.main_thread()] * 3
    assert steps.closed is not threading.main_thread()
    assert not work.busy


@pytest.mark.parametrize("error", [RuntimeError("of torch"), ValueError("of ours")])
def test_an_error_is_handed_to_the_end(owner, qtbot, error):
    from napari_rdpdenoise.ui.qt.background import ask

    def broken():
        raise error

    ends = []
    ask(owner, broken, lambda answer: pytest.fail("there is no answer"), ends.append)
    qtbot.waitUntil(lambda: ends == [error])


def test_what_is_stopped_shows_its_step_in_work_and_ends(owner, qtbot):
    from napari_rdpdenoise.ui.qt.background import start

    steps = Steps()
    work = start(owner, steps, steps.seen.append, steps.ends.append)
    steps.go_on(1)
    qtbot.waitUntil(lambda: steps.seen == [0])
    work.stop()
    assert (work.busy, work.stopping) == (True, True)
    steps.go_on(1)
    qtbot.waitUntil(lambda: steps.ends == [None])
    assert steps.seen == [0, 1]
    assert steps.closed is not threading.main_thread()


def test_the_newest_work_wins_and_nothing_of_the_older_arrives(owner, qtbot):
    from napari_rdpdenoise.ui.qt.background import Newest

    works, old, new = Newest(owner), Steps(), Steps()
    works.start(old, old.seen.append, old.ends.append)
    old.go_on(1)
    qtbot.waitUntil(lambda: old.seen == [0])
    works.start(new, new.seen.append, new.ends.append)
    old.go_on()
    new.go_on()
    qtbot.waitUntil(lambda: new.ends == [None] and old.closed is not None)
    assert (old.seen, old.ends, new.seen) == ([0], [], [0, 1, 2])
    assert not works.busy


def test_questions_are_answered_one_at_a_time_and_only_the_newest(owner, qtbot):
    from napari_rdpdenoise.ui.qt.background import Newest

    works, may_end, at_work, most, answers = Newest(owner), threading.Event(), [], [], []

    def question(number):
        at_work.append(number)
        most.append(len(at_work))
        assert may_end.wait(PATIENCE)
        at_work.remove(number)
        return number

    for number in range(20):
        works.ask(lambda number=number: question(number), answers.append)
        assert works.busy
        qtbot.waitUntil(lambda: most == [1])
    may_end.set()
    qtbot.waitUntil(lambda: answers == [19])
    assert most == [1, 1]
    assert not works.busy
    works.ask(lambda: question(20), answers.append)
    qtbot.waitUntil(lambda: answers == [19, 20])


def test_a_cancelled_question_that_waits_is_never_asked(owner, qtbot):
    from napari_rdpdenoise.ui.qt.background import Newest

    works, may_end, asked = Newest(owner), threading.Event(), []
    works.ask(lambda: asked.append(1) or may_end.wait(PATIENCE), lambda answer: None)
    qtbot.waitUntil(lambda: asked == [1])
    works.ask(lambda: asked.append(2), lambda answer: None)
    works.cancel()
    assert not works.busy
    may_end.set()
    qtbot.wait(200)
    assert asked == [1]


def test_nothing_arrives_once_the_owner_is_gone(qtbot):
    from qtpy import sip
    from qtpy.QtCore import QObject

    from napari_rdpdenoise.ui.qt.background import start

    owner, steps = QObject(), Steps()
    start(owner, steps, steps.seen.append, steps.ends.append)
    sip.delete(owner)
    steps.go_on()
    qtbot.waitUntil(lambda: steps.closed is not None)
    qtbot.wait(50)
    assert (steps.seen, steps.ends) == ([], [])


def test_works_do_not_wait_for_one_another(owner, qtbot):
    from napari_rdpdenoise.ui.qt.background import ask, start

    works, answers = [Steps() for _ in range(20)], []
    for steps in works:
        start(owner, steps, steps.seen.append, steps.ends.append)
    ask(owner, lambda: "meanwhile", answers.append)
    qtbot.waitUntil(lambda: answers == ["meanwhile"])
    for steps in works:
        steps.go_on()
    qtbot.waitUntil(lambda: all(steps.ends == [None] for steps in works))


def test_napari_asks_before_a_run_is_closed_and_not_for_questions(make_napari_viewer, qtbot):
    from napari_rdpdenoise.ui.qt.background import ask, start

    viewer, steps = make_napari_viewer(), Steps()
    manager = viewer.window._task_status_manager
    held, answers = threading.Event(), []
    ask(viewer.window._qt_window, lambda: held.wait(PATIENCE), answers.append)
    assert not manager.is_busy()
    start(viewer.window._qt_window, steps, steps.seen.append, steps.ends.append, task="Denoising cells")
    assert manager.get_status() == ["RDP Denoise: Denoising cells"]
    held.set()
    steps.go_on()
    qtbot.waitUntil(lambda: not manager.is_busy() and answers == [True])


_ENDS = """
import sys, threading, time
from napari_rdpdenoise.threads import start_thread

stop = threading.Event()

def work():
    while not stop.is_set():
        time.sleep(0.3)
    print("ended", flush=True)

start_thread(work, stop.set, "work")
"""


_SOON = """
import threading, time
from napari_rdpdenoise import threads

held = threading.Lock()
start = threading.Thread.start

def slow(thread):
    if thread.name == "work":
        time.sleep(0.5)
    start(thread)

threading.Thread.start = slow
began = time.perf_counter()
threads.start_soon(lambda: print("worked", flush=True), lambda: None, "work")
assert time.perf_counter() - began < 0.4
print("went on", flush=True)
"""


def test_who_starts_a_work_does_not_wait_for_its_thread():
    done = subprocess.run([sys.executable, "-c", _SOON], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "went on\nworked\n", "")


def test_python_waits_for_the_step_in_work():
    done = subprocess.run([sys.executable, "-c", _ENDS], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ended\n", "")


def test_a_work_is_held_and_goes_on(owner, qtbot):
    from napari_rdpdenoise.ui.qt.background import start

    steps, told = Steps(), []
    work = start(owner, steps, steps.seen.append, steps.ends.append)
    work.paused.connect(lambda: told.append("paused"))
    work.resumed.connect(lambda: told.append("resumed"))
    work.pause()
    steps.go_on()
    qtbot.waitUntil(lambda: told == ["paused"])
    held = list(steps.seen)
    qtbot.wait(50)
    assert steps.seen == held != [0, 1, 2]
    work.resume()
    qtbot.waitUntil(lambda: steps.ends == [None])
    assert (steps.seen, told) == ([0, 1, 2], ["paused", "resumed"])
