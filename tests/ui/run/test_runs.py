from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from napari_rdpdenoise.jobs.job import Job, Opened
from napari_rdpdenoise.settings import RunSettings
from napari_rdpdenoise.ui.run.jobs import Finished
from napari_rdpdenoise.ui.run.runs import Cancelled, Failed, Runs
from napari_rdpdenoise.ui.state import Phase, StateStore

REPORT = SimpleNamespace(seconds=1.0, rate=0.5, blank=False, bpp=0.3, messages=())


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
    store = StateStore(shown.append)
    runs = Runs(store, stream)
    store.edit(layer="cells")
    runs.start(lambda: None)
    return runs, store, shown


def drain(runs, job):
    events = list(runs.events(job))
    for event in events:
        runs.take(event)
    return events


def test_a_run_reports_every_tile_and_returns_the_result(job):
    runs, store, shown = ready(FakeStream())
    opened, *tiles, last = drain(runs, job)
    assert opened == Opened(job.input)
    assert [event.done for event in tiles] == [1, 2, 3, 4]
    np.testing.assert_array_equal(last.data, job.input * 2)
    assert store.state.phase is Phase.IDLE
    assert [state.done for state in shown if state.total] == [1, 2, 3, 4, 4]


def test_cancel_stops_after_the_tile_in_work_and_closes_the_stream(job):
    stream = FakeStream()
    runs, store, _ = ready(stream)
    events = runs.events(job)
    runs.take(next(events))
    runs.take(next(events))
    runs.cancel()
    assert store.state.phase is Phase.CANCELLING
    (last,) = events
    assert isinstance(last, Cancelled)
    runs.take(last)
    assert "1 of 4 blocks" in store.state.status
    assert "cache" in store.state.status
    assert (stream.tiles, stream.closed, store.state.can_start) == (1, True, True)


def test_dropping_a_run_closes_the_stream(job):
    stream = FakeStream()
    runs, _, _ = ready(stream)
    events = runs.events(job)
    next(events)
    events.close()
    assert stream.closed


# RuntimeError is torch's own, and the one that napari's workers swallow.
@pytest.mark.parametrize("error", [RuntimeError("out of memory"), ValueError("axes must be"), MemoryError()])
def test_an_error_comes_out_as_an_event_and_the_next_run_is_free(job, error):
    runs, store, _ = ready(FakeStream(fails_at=2, error=error))
    events = drain(runs, job)
    assert events[-1] == Failed(error)
    assert store.state.status.startswith("Failed: ")
    assert store.state.can_start


def test_cancel_of_one_run_does_not_stop_the_next(job):
    runs, _, _ = ready(FakeStream())
    runs.cancel()
    assert drain(runs, job) == [Cancelled()]
    runs.start(lambda: None)
    assert isinstance(drain(runs, job)[-1], Finished)


def test_start_is_refused_while_running_and_without_a_layer():
    runs, _, _ = ready(FakeStream())
    with pytest.raises(RuntimeError, match="no other run"):
        runs.start(lambda: None)
    with pytest.raises(RuntimeError, match="layer None"):
        Runs(StateStore(), FakeStream()).start(lambda: None)


def test_unchanged_edits_are_not_shown():
    shown = []
    store = StateStore(shown.append)
    store.edit(rate=store.state.rate)
    assert shown == []


@pytest.mark.parametrize(
    ("residual", "ensemble", "told"), [("1", 3, True), ("1", 1, False), (None, 3, False)]
)
def test_a_store_says_that_its_image_is_no_average(job, tmp_path, residual, ensemble, told):
    runs, store, _ = ready(FakeStream())
    store.edit(base=store.state.base.replace(ensemble=ensemble))
    runs.job = replace(job, target=tmp_path / "a.ome.zarr", residual=residual)
    runs.take(Finished(None, REPORT, tmp_path / "a.ome.zarr"))
    assert ("no average over mirror images" in store.state.status) == told
    assert "Saved as" in store.state.status


def test_where_the_file_is_comes_before_what_was_found(job, tmp_path):
    runs, store, _ = ready(FakeStream())
    runs.job = replace(job, target=tmp_path / "a.ome.zarr")
    runs.take(
        Finished(
            None, SimpleNamespace(**{**vars(REPORT), "messages": ("one", "two")}), tmp_path / "a.ome.zarr"
        )
    )
    first, second, *found = store.state.status.split("\n")
    assert first.startswith("Done in")
    assert second == f"Saved as {tmp_path / 'a.ome.zarr'}."
    assert found == ["! One.", "! Two."]
