"""The run that command line, dock and Python share."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile

from napari_rdpdenoise.cache import LatentCache
from napari_rdpdenoise.files import InUseError, locked
from napari_rdpdenoise.io import ImageMetadata, open_image
from napari_rdpdenoise.jobs.job import Job, Opened
from napari_rdpdenoise.jobs.record import record_path
from napari_rdpdenoise.jobs.runner import finished_before, run


@pytest.fixture
def codec(tiny_realism_codec):
    """A small model with both decoders."""
    return tiny_realism_codec


def array_job(data, axes, settings, target=None, path=None):
    return Job(data, target, settings, ImageMetadata(axes, name="cells"), path)


@pytest.mark.parametrize(
    ("shape", "axes"), [((50, 70), "YX"), ((50, 70, 3), "YXS"), ((2, 50, 70), "TYX"), ((70, 2, 50), "XTY")]
)
@pytest.mark.parametrize("dtype", ["input", "float32"])
def test_a_job_in_memory_keeps_axes_and_type(codec, counts, fast, drain, shape, axes, dtype):
    data = counts(shape)
    events, last = drain(run(array_job(data, axes, fast.replace(dtype=dtype)), codec=codec))
    assert isinstance(events[0], Opened)
    assert last.data is events[0].data
    assert last.data.shape == shape
    assert last.data.dtype == (np.float32 if dtype == "float32" else np.uint8)
    assert last.data.mean() == pytest.approx(data.mean(), rel=0.01)
    assert (last.path, last.record) == (None, None)
    _, canonical = drain(run(Job(open_image(data, axes), None, fast.replace(dtype=dtype)), codec=codec))
    assert canonical.data.shape[-2:] == (shape[axes.index("Y")], shape[axes.index("X")])


@pytest.mark.parametrize("ending", [".ome.zarr", ".ome.tif"])
def test_paths_arrays_and_sources_give_the_same(codec, counts, fast, drain, tmp_path, ending):
    data = counts((2, 70, 50), np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", data, imagej=True, metadata={"axes": "TYX"})
    source = open_image(data, "TYX")
    _, memory = drain(run(Job(data, None, fast), codec=codec))
    for number, image in enumerate((tmp_path / "a.tif", str(tmp_path / "a.tif"), data, source)):
        target = tmp_path / f"new/{number}{ending}"
        events, last = drain(run(Job(image, target, fast), codec=codec))
        assert Opened(None) in events
        assert (last.path, last.record, last.data) == (target, record_path(target), None)
        assert last.spec.axes == "TYX"
        written = open_image(target)
        for t in range(2):
            np.testing.assert_array_equal(written.read((t,), slice(0, 70), slice(0, 50)), memory.data[t])
        written.close()
        named = json.loads(last.record.read_text())["input"]
        assert named == (str(tmp_path / "a.tif") if number < 2 else None)
    assert source.read((0,), slice(0, 1), slice(0, 1)).shape == (1, 1), "what came open stays open"


def test_a_cache_spares_the_encoder(codec, counts, fast, drain):
    cache, job = LatentCache(folder=None), Job(counts((64, 130)), None, fast)
    outcomes = [drain(run(job, codec=codec, cache=cache))[1] for _ in range(2)]
    assert [outcome.report.cache_hits for outcome in outcomes] == [0, 2]
    np.testing.assert_array_equal(outcomes[0].data, outcomes[1].data)


def test_a_closed_run_goes_on_where_it_was(codec, counts, fast, drain, tmp_path):
    data, target = counts((2, 64, 130)), tmp_path / "a.ome.tif"
    job = array_job(data, "TYX", fast, target)
    stream = run(job, codec=codec)
    while not (event := next(stream)) or isinstance(event, Opened) or event.done < 3:
        pass
    stream.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.ome.tif.partial"]
    assert not finished_before(job, codec)
    _, last = drain(run(job, codec=codec))
    assert "continuing" in " ".join(last.report.messages)
    whole = tmp_path / "whole.ome.tif"
    drain(run(array_job(data, "TYX", fast, whole), codec=codec))
    assert target.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("name", ["a.ome.zarr", "a.ome.tif"])
def test_a_run_stopped_after_its_result_appeared_is_known_to_be_finished(
    codec, counts, fast, drain, tmp_path, monkeypatch, name
):
    from napari_rdpdenoise.io.output import publishing

    exchange = publishing.exchange

    def killed(*places):
        exchange(*places)
        raise KeyboardInterrupt

    job = array_job(counts((40, 40)), "YX", fast, tmp_path / name)
    with monkeypatch.context() as patch:
        patch.setattr(publishing, "exchange", killed)
        first = run(job, codec=codec)
        with pytest.raises(KeyboardInterrupt):
            drain(first)
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == [name, f"{name}.job.json", f"{name}.partial"]
    before = _result(tmp_path)
    calls = codec.encoder_calls
    events, last = drain(run(job, codec=codec))
    assert "finished" in events[-1].message
    assert codec.encoder_calls == calls
    assert (last.path, last.record, last.report.path) == (job.target, record_path(job.target), job.target)
    assert last.report.tiles == 1
    assert _result(tmp_path) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == [name, f"{name}.job.json"]
    with pytest.raises(FileExistsError, match="--overwrite"):  # as any finished result
        next(run(job, codec=codec))


@pytest.mark.parametrize("name", ["a.ome.zarr", "a.ome.tif"])
def test_a_finished_result_is_known_without_its_record(codec, counts, fast, drain, tmp_path, name):
    job = array_job(counts((40, 40)), "YX", fast, tmp_path / name)
    drain(run(job, codec=codec))
    record_path(job.target).unlink()
    assert finished_before(job, codec)
    assert not finished_before(array_job(job.input, "YX", fast.replace(seed=1), job.target), codec)


def test_what_is_removed_of_another_job_is_told(codec, counts, fast, drain, tmp_path):
    job = array_job(counts((2, 64, 130)), "TYX", fast, tmp_path / "a.ome.tif")
    stream = run(job, codec=codec)
    while not (event := next(stream)) or isinstance(event, Opened) or event.done < 3:
        pass
    stream.close()
    events, _ = drain(run(array_job(job.input, "TYX", fast.replace(seed=1), job.target), codec=codec))
    told = [event.message for event in events if not isinstance(event, Opened) and event.message]
    assert any("a.ome.tif.partial holds" in message and "anew" in message for message in told)


def test_a_run_that_is_closed_once_opened_leaves_its_place_to_the_next(codec, counts, fast, drain, tmp_path):
    job = array_job(counts((40, 40)), "YX", fast, tmp_path / "a.ome.zarr")
    stream = run(job, codec=codec)
    while not isinstance(next(stream), Opened):
        pass
    stream.close()
    assert drain(run(job, codec=codec))[1].path == job.target


def test_a_finished_result_is_known_by_input_settings_and_model(
    codec, tiny_codec, counts, fast, drain, tmp_path
):
    job = array_job(counts((40, 40)), "YX", fast, tmp_path / "a.ome.tif")
    assert not finished_before(job, codec)
    drain(run(job, codec=codec))
    assert finished_before(job, codec)
    assert finished_before(
        array_job(job.input, "YX", fast.replace(batch=2, overwrite=True), job.target), codec
    )
    assert not finished_before(job, tiny_codec)
    assert not finished_before(array_job(job.input, "YX", fast.replace(seed=1), job.target), codec)
    assert not finished_before(array_job(job.input + 1, "YX", fast, job.target), codec)
    assert not finished_before(array_job(job.input, "YX", fast), codec)
    with pytest.raises(FileExistsError, match="--overwrite"):
        next(run(job, codec=codec))


@pytest.mark.parametrize("name", ["a.ome.zarr", "a.ome.tif"])
def test_a_place_that_another_run_writes_to_is_refused_in_words(codec, counts, fast, drain, tmp_path, name):
    first = run(array_job(counts((64, 130)), "YX", fast, tmp_path / name), codec=codec)
    while not isinstance(next(first), Opened):
        pass
    second = array_job(counts((40, 40)), "YX", fast.replace(overwrite=True), tmp_path / name)
    with pytest.raises(InUseError, match=rf"nobody else writes to, .*{name}; wait for it"):
        drain(run(second, codec=codec))
    _, last = drain(first)
    assert open_image(last.path).shape == (64, 130)
    with locked(tmp_path / name), pytest.raises(InUseError):
        drain(run(second, codec=codec))


def _result(folder):
    """Files of a folder but for those of an unfinished result."""
    files = (path for path in folder.rglob("*") if path.is_file() and ".partial" not in str(path))
    return {path: path.read_bytes() for path in files}
