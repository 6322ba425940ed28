"""What a job makes: number types of formats, and results that must fit into the memory."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from napari_rdpdenoise.io import ImageMetadata, open_image
from napari_rdpdenoise.jobs.job import Job
from napari_rdpdenoise.jobs.runner import finished_before, run


@pytest.fixture
def codec(tiny_realism_codec):
    """A small model with both decoders."""
    return tiny_realism_codec


def array_job(data, axes, settings, target=None, path=None):
    return Job(data, target, settings, ImageMetadata(axes, name="cells"), path)


@pytest.mark.parametrize(
    ("ending", "dtype", "told"),
    [(".ome.tif", "float32", True), (".ome.zarr", "float16", False)],
)
def test_half_floats_become_floats_where_the_format_has_none(
    codec, counts, fast, drain, tmp_path, ending, dtype, told
):
    target = tmp_path / f"r{ending}"
    events, last = drain(run(array_job(counts((50, 70)).astype("f2"), "YX", fast, target), codec=codec))
    assert last.spec.dtype == open_image(target).dtype == dtype
    assert any("the result is float32" in str(getattr(event, "message", "")) for event in events) == told
    assert finished_before(array_job(counts((50, 70)).astype("f2"), "YX", fast, target), codec)


def test_a_job_in_memory_must_fit(codec, counts, fast, monkeypatch):
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=100))
    with pytest.raises(MemoryError, match="write it to a file"):
        next(run(array_job(counts((20, 20)), "YX", fast), codec=codec))
