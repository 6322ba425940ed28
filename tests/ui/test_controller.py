from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from napari_rdpdenoise.cache import LatentCache
from napari_rdpdenoise.settings import RunSettings
from napari_rdpdenoise.ui.controller import (
    Cancelled,
    Controller,
    Failed,
    Finished,
    Job,
    axes_note,
    denoise_job,
    layer_axes,
)
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
            for number in range(1, 5):
                if number == self.fails_at:
                    raise self.error
                self.tiles = number
                yield tile(number)
            return Finished(job.data * 2, REPORT)
        finally:
            self.closed = True


@pytest.fixture
def job():
    return Job(np.arange(6.0).reshape(2, 3), "YX", RunSettings())


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
    *tiles, last = drain(controller, job)
    assert [event.done for event in tiles] == [1, 2, 3, 4]
    np.testing.assert_array_equal(last.data, job.data * 2)
    assert controller.state.phase is Phase.IDLE
    assert [state.done for state in shown if state.total] == [1, 2, 3, 4, 4]


def test_cancel_stops_after_the_tile_in_work_and_closes_the_stream(job):
    stream = FakeStream()
    controller, _ = ready(stream)
    events = controller.run(job)
    controller.apply(next(events))
    controller.cancel()
    assert controller.state.phase is Phase.CANCELLING
    rest = list(events)
    assert rest == [Cancelled()]
    controller.apply(rest[0])
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


@pytest.mark.parametrize(
    ("ndim", "labels", "rgb", "axes"),
    [
        (2, ("-2", "-1"), False, "YX"),
        (2, ("-2", "-1"), True, "YXS"),
        (3, ("-3", "-2", "-1"), False, "TYX"),
        (3, ("z", "y", "x"), False, "ZYX"),
        (3, ("Y", "X", "Time"), False, "YXT"),
        (4, ("-4", "-3", "-2", "-1"), False, "TZYX"),
        (3, ("z", "z", "x"), False, "TYX"),
        (6, ("a", "t", "c", "z", "y", "x"), False, None),
    ],
)
def test_layer_axes(ndim, labels, rgb, axes):
    if axes is None:
        with pytest.raises(ValueError, match="axis_labels must name the axes of a layer with 6 axes"):
            layer_axes(ndim, labels, rgb=rgb)
    else:
        assert layer_axes(ndim, labels, rgb=rgb) == axes


def test_assumed_axes_are_told_where_channels_could_be_mixed():
    assert "TCZYX" in axes_note(5, ("-5", "-4", "-3", "-2", "-1"))
    assert axes_note(5, ("t", "z", "c", "y", "x")) is None
    assert axes_note(3, ("-3", "-2", "-1")) is None


@pytest.fixture
def copying_stream(monkeypatch):
    """In place of the engine: copies every plane."""

    def denoise_stream(source, sink, settings, cache):
        assert isinstance(cache, LatentCache)
        rows, columns = (slice(0, size) for size in source.shape[-2:])
        for number, index in enumerate(np.ndindex(source.shape[:-2]), start=1):
            block = source.read(index, rows, columns).astype(sink.spec.dtype)
            sink.write(index, rows, columns, block)
            yield tile(number)
        return REPORT

    module = SimpleNamespace(denoise_stream=denoise_stream)
    monkeypatch.setitem(sys.modules, "napari_rdpdenoise.stream", module)


@pytest.mark.parametrize(
    ("shape", "axes"), [((5, 7), "YX"), ((5, 7, 3), "YXS"), ((2, 5, 7), "TYX"), ((7, 2, 5), "XTY")]
)
@pytest.mark.parametrize("dtype", ["input", "float32"])
def test_denoise_job_keeps_axes_and_type(copying_stream, shape, axes, dtype):
    data = np.random.default_rng(0).integers(0, 200, shape).astype(np.uint8)
    controller, _ = ready(denoise_job)
    last = drain(controller, Job(data, axes, RunSettings(dtype=dtype)))[-1]
    np.testing.assert_array_equal(last.data, data)
    assert last.data.dtype == (np.float32 if dtype == "float32" else np.uint8)


def test_denoise_job_refuses_what_does_not_fit_into_memory(copying_stream, monkeypatch):
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=100))
    with pytest.raises(MemoryError, match="denoise IN OUT"):
        next(denoise_job(Job(np.zeros((20, 20), np.uint8), "YX", RunSettings())))
