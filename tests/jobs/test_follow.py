"""What a command says of following is checked, and Ctrl-C asks once before it interrupts."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

import pytest
from pydantic import ValidationError

from napari_rdpdenoise.jobs.follow import Follow, followed_job, interruptible
from napari_rdpdenoise.settings import RunSettings

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"idle": 0}, "idle"),
        ({"still": -1}, "still"),
        ({"first_steps": 0}, "first_steps"),
        ({"until": ""}, "until"),
    ],
)
def test_numbers_out_of_range_are_named(given, named):
    with pytest.raises(ValidationError, match=named):
        Follow(**given)


def test_the_end_must_come_after_what_is_waited_for():
    with pytest.raises(ValidationError, match=r"idle: expected more seconds than still \(5\), found 3"):
        Follow(idle=3)


def test_one_image_is_followed():
    assert followed_job(["a.zarr"], "r.ome.zarr", RunSettings()).input == "a.zarr"
    with pytest.raises(ValueError, match="expected one image to follow, found 2"):
        followed_job(["a", "b"], "r.ome.zarr", RunSettings())
    with pytest.raises(ValueError, match="output_format: expected ome-zarr, which can grow, found ome-tiff"):
        followed_job(["a.zarr"], "r.ome.zarr", RunSettings(output_format="ome-tiff"))


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(1)


@POSIX
def test_the_first_interrupt_asks_and_the_second_interrupts(monkeypatch):
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with interruptible() as asked:
            assert not asked()
            os.kill(os.getpid(), signal.SIGINT)
            assert asked()
            with pytest.raises(KeyboardInterrupt):
                interrupt()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, former)


def test_another_thread_hears_no_signal():
    found = []

    def work():
        with interruptible() as asked:
            found.append(asked())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [False]
