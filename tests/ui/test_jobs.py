from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

from napari_rdpdenoise.codec import shared
from napari_rdpdenoise.io import open_image
from napari_rdpdenoise.settings import RunSettings
from napari_rdpdenoise.ui.jobs import Finished, Job, JobStream, Opened
from napari_rdpdenoise.ui.lazy_layers import lazy_array

FAST = RunSettings(device="cpu", rate=0.4, tile=64, halo=64, batch=1)


def drain(stream):
    events = []
    while True:
        try:
            events.append(next(stream))
        except StopIteration as end:
            return events, end.value


@pytest.fixture
def codec(tiny_realism_codec, monkeypatch):
    """In place of the shipped model."""
    monkeypatch.setattr(shared, "shared_codec", lambda model, device: tiny_realism_codec)
    return tiny_realism_codec


@pytest.fixture
def counts():
    return lambda shape, dtype=np.uint8: np.random.default_rng(0).poisson(40, shape).astype(dtype)


@pytest.mark.parametrize(
    ("shape", "axes"), [((50, 70), "YX"), ((50, 70, 3), "YXS"), ((2, 50, 70), "TYX"), ((70, 2, 50), "XTY")]
)
@pytest.mark.parametrize("dtype", ["input", "float32"])
def test_a_job_in_memory_keeps_axes_and_type(codec, counts, shape, axes, dtype):
    data = counts(shape)
    events, last = drain(JobStream()(Job(data, axes, FAST.replace(dtype=dtype))))
    assert isinstance(events[0], Opened)
    assert isinstance(last, Finished)
    assert last.data is events[0].data
    assert last.data.shape == shape
    assert last.data.dtype == (np.float32 if dtype == "float32" else np.uint8)
    assert last.data.mean() == pytest.approx(data.mean(), rel=0.01)


def test_a_job_in_memory_must_fit(codec, counts, monkeypatch):
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=100))
    with pytest.raises(MemoryError, match="write it to a file"):
        next(JobStream()(Job(counts((20, 20)), "YX", FAST)))


@pytest.mark.parametrize("ending", [".ome.zarr", ".ome.tif"])
def test_a_file_holds_what_memory_would_with_its_place_and_record(codec, counts, tmp_path, ending):
    data, target = counts((3, 70, 50), np.uint16), tmp_path / f"out{ending}"
    settings = FAST.replace(time=(1, 3))
    units = ("second", "micrometer", "micrometer")
    job = Job(data, "TYX", settings, target, None, (2.0, 0.5, 0.25), units, "cells")
    events, last = drain(JobStream()(job))
    _, memory = drain(JobStream()(Job(data, "TYX", settings)))
    assert events[0] == Opened(None)
    assert last.path == target
    np.testing.assert_array_equal(np.asarray(last.data), memory.data)
    metadata = open_image(target).metadata
    assert [metadata.scale[axis] for axis in "TYX"] == [2.0, 0.5, 0.25]
    assert metadata.units["Y"] == "micrometer"
    record = json.loads((tmp_path / f"out{ending}.job.json").read_text())
    assert RunSettings(**record["settings"]) == settings


@pytest.mark.parametrize("ending", [".ome.zarr", ".ome.tif"])
@pytest.mark.parametrize(
    ("axes", "shape"),
    [("TZCYX", (2, 3, 3, 40, 30)), ("CTYX", (2, 2, 40, 30)), ("ZYX", (1, 40, 30)), ("YXS", (40, 30, 3))],
)
def test_a_file_comes_back_in_the_order_of_the_job(codec, counts, tmp_path, ending, axes, shape):
    data = counts(shape, np.uint8)
    _, last = drain(JobStream()(Job(data, axes, FAST, tmp_path / f"out{ending}")))
    _, memory = drain(JobStream()(Job(data, axes, FAST)))
    np.testing.assert_array_equal(np.asarray(last.data), memory.data)


def test_a_finished_file_is_not_replaced_unasked(codec, counts, tmp_path):
    job = Job(counts((50, 50)), "YX", FAST, tmp_path / "out.ome.zarr")
    drain(JobStream()(job))
    with pytest.raises(FileExistsError):
        drain(JobStream()(job))
    with pytest.raises(FileNotFoundError, match="existing folder"):
        drain(JobStream()(Job(job.data, "YX", FAST, tmp_path / "no" / "out.ome.zarr")))


def test_lazy_arrays_slice_like_the_file(counts, tmp_path):
    data = counts((3, 2, 40, 30), np.uint16)
    file = tmp_path / "a.npy"
    np.save(file, data)
    lazy = lazy_array(file)
    np.testing.assert_array_equal(np.asarray(lazy[1:, 1, 5:9]), data[1:, 1, 5:9])
