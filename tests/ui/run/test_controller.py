from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from napari_rdpdenoise.jobs.job import Job, Opened
from napari_rdpdenoise.settings import RunSettings
from napari_rdpdenoise.ui.run.controller import Cancelled, Controller, Failed
from napari_rdpdenoise.ui.run.jobs import Finished
from napari_rdpdenoise.ui.state import Phase

REPORT = SimpleNamespace(seconds=1.0, rate=0.5, bpp=0.3, messages=())


def tile(done, total=4):
    return SimpleNamespace(done=done, total=total, mpps=1.0, eta_s=1.0, bpp=0.3, message=None)


class FakeStream:
    """Stands for the engine: four tiles, optionally an error in place of tile `fails_at`."""

    def __init__(self, fails_at=None, error=None):
        self.fails_at, self.error = fails_at, error
        self.closed = False
        self.tiles = 0

    def __call__(self, job):
        try:
            yield Opened(job.input)
            for number in range(1, 5):
                if number == self.fails_at:
                    raise self.error
                self.tiles = number
                yield tile(number)
            return Finished(job.input * 2, REPORT)
        finally:
            self.closed = True


@pytest.fixture
def job():
    return Job(np.arange(6.0).reshape(2, 3), None, RunSettings(axes="YX"))


def ready(stream):
    shown = []
    controller = Controller(stream, shown.append)
    controller.edit(layer="cells")
    controller.start()
    return controller, shown


def drain(controller, job):
    events = list(controller.run(job))
    for event in events:
        controller.apply(event)
    return events


def test_a_run_reports_every_tile_and_returns_the_result(job):
    controller, shown = ready(FakeStream())
    opened, *tiles, last = drain(controller, job)
    assert opened == Opened(job.input)
    assert [event.done for event in tiles] == [1, 2, 3, 4]
    np.testing.assert_array_equal(last.data, job.input * 2)
    assert controller.state.phase is Phase.IDLE
    assert [state.done for state in shown if state.total] == [1, 2, 3, 4, 4]


def test_cancel_stops_after_the_tile_in_work_and_closes_the_stream(job):
    stream = FakeStream()
    controller, _ = ready(stream)
    events = controller.run(job)
    controller.apply(next(events))
    controller.apply(next(events))
    controller.cancel()
    assert controller.state.phase is Phase.CANCELLING
    (last,) = events
    assert isinstance(last, Cancelled)
    assert last.data is job.input, "what was done is kept"
    controller.apply(last)
    assert "1 of 4 tiles" in controller.state.status
    assert (stream.tiles, stream.closed, controller.state.can_start) == (1, True, True)


def test_dropping_a_run_closes_the_stream(job):
    stream = FakeStream()
    controller, _ = ready(stream)
    events = controller.run(job)
    next(events)
    events.close()
    assert stream.closed


# RuntimeError is torch's own, and the one that napari's workers swallow.
@pytest.mark.parametrize("error", [RuntimeError("out of memory"), ValueError("axes must be"), MemoryError()])
def test_an_error_comes_out_as_an_event_and_the_next_run_is_free(job, error):
    controller, _ = ready(FakeStream(fails_at=2, error=error))
    events = drain(controller, job)
    assert events[-1] == Failed(error)
    assert controller.state.status.startswith("Failed: ")
    assert controller.state.can_start


def test_cancel_of_one_run_does_not_stop_the_next(job):
    controller, _ = ready(FakeStream())
    controller.cancel()
    assert drain(controller, job) == [Cancelled()]
    controller.start()
    assert isinstance(drain(controller, job)[-1], Finished)


def test_start_is_refused_while_running_and_without_a_layer():
    controller, _ = ready(FakeStream())
    with pytest.raises(RuntimeError, match="no other run"):
        controller.start()
    with pytest.raises(RuntimeError, match="layer None"):
        Controller(FakeStream(), lambda state: None).start()


def test_unchanged_edits_are_not_shown():
    shown = []
    controller = Controller(FakeStream(), shown.append)
    controller.edit(rate=controller.state.rate)
    assert shown == []
