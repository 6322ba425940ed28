"""The run that command line, dock and Python share."""

from __future__ import annotations

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile

from napari_rdpdenoise.cache import LatentCache
from napari_rdpdenoise.codec import library
from napari_rdpdenoise.files import InUseError, locked
from napari_rdpdenoise.io import ImageMetadata, open_image
from napari_rdpdenoise.io.origin import files_behind, refuse_overwriting
from napari_rdpdenoise.jobs.job import Job, Opened
from napari_rdpdenoise.jobs.parts import finish_parts, run_part
from napari_rdpdenoise.jobs.record import record_path
from napari_rdpdenoise.jobs.runner import finished_before, load_codec, run
from napari_rdpdenoise.lazy import denoise_lazy
from napari_rdpdenoise.stream.parts import Part
from napari_rdpdenoise.stream.plan import for_image


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


def test_the_model_is_loaded_once_and_told(counts, fast, drain, tiny_model, tmp_path):
    settings = fast.replace(model=str(tiny_model))
    codec = load_codec(settings)
    before = codec.encoder_calls
    events, _ = drain(run(Job(counts((40, 40)), None, settings)))
    assert events[0].message.startswith("model tiny on cpu")
    assert load_codec(settings) is codec
    assert codec.encoder_calls > before
    with pytest.raises(ValueError, match="no realism decoder"):
        load_codec(settings.replace(realism=1.0))
    with pytest.raises(ValueError, match="no realism decoder"):
        next(run(Job(counts((9, 9)), tmp_path / "a.ome.tif", fast.replace(realism=1.0)), codec=codec))
    assert list(tmp_path.iterdir()) == []


def test_a_model_of_the_library_is_the_same_by_path_and_by_name(
    counts, fast, drain, tiny_model, tmp_path, monkeypatch
):
    monkeypatch.setenv("RDPDENOISE_MODELS", str(tmp_path / "mine"))
    folder = shutil.copytree(tiny_model, tmp_path / "mine" / "cells-pairs")
    by_path, by_name = (
        array_job(counts((40, 40)), "YX", fast.replace(model=model), tmp_path / "a.ome.tif")
        for model in (str(folder), "cells-pairs")
    )
    _, last = drain(run(by_path))
    assert str(tmp_path / "mine") not in last.record.read_text()
    assert str(tmp_path / "mine").encode() not in last.path.read_bytes()
    assert finished_before(by_name, load_codec(by_name.settings))


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
    return {path: data for path, data in _tree(folder).items() if ".partial" not in str(path)}


def _tree(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("a.tif", "a.tif"),
        ("a.tif", "b/../a.tif"),
        ("a.tif", "link.tif"),
        ("a.tif", "hard.tif"),
        ("raw.zarr", "raw.zarr"),
        ("raw.zarr", "raw.zarr/0.zarr"),
        ("raw.zarr/0", "raw.zarr"),
        ("raw.zarr", "alias/raw.zarr"),
        ("b.ome.zarr.partial", "b.ome.zarr"),
    ],
)
def test_the_input_is_never_written_over(codec, counts, fast, tmp_path, source, target):
    for folder in ("b", "raw.zarr/0", "b.ome.zarr.partial"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "zarr.json").write_text("precious")
    (tmp_path / "a.tif").write_text("precious")
    (tmp_path / "link.tif").symlink_to(tmp_path / "a.tif")
    (tmp_path / "alias").symlink_to(tmp_path)
    (tmp_path / "hard.tif").hardlink_to(tmp_path / "a.tif")
    before = _tree(tmp_path)
    settings = fast.replace(overwrite=True)
    job = array_job(counts((20, 20)), "YX", settings, tmp_path / target, str(tmp_path / source))
    with pytest.raises(ValueError, match=r"target: expected a place of its own, found .*choose another"):
        next(run(job, codec=codec))
    assert _tree(tmp_path) == before


def test_arrays_that_tell_their_file_are_never_written_over(codec, counts, fast, tmp_path):
    import zarr

    np.save(tmp_path / "a.npy", counts((3, 20, 20)))
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    stored = zarr.create_array(tmp_path / "a.zarr", data=counts((20, 20)))
    assert files_behind(np.asarray(mapped)[1:]) == [tmp_path / "a.npy"]
    assert files_behind(stored, "https://example.org/a.zarr") == [tmp_path / "a.zarr"]
    assert files_behind(mapped + 1) == files_behind(counts((9, 9))) == []
    with pytest.raises(ValueError, match="place of its own"):
        next(run(array_job(stored, "YX", fast.replace(overwrite=True), tmp_path / "a.zarr"), codec=codec))
    refuse_overwriting(tmp_path / "b.ome.zarr", [*files_behind(mapped), *files_behind(stored)])


def test_mapped_files_and_zarrs_are_known_again_without_reading_them(
    codec, tmp_path, counts, fast, monkeypatch
):
    import zarr

    from napari_rdpdenoise.io.arrays import ArraySource

    np.save(tmp_path / "a.npy", counts((3, 40, 40)))
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    stored = zarr.create_array(tmp_path / "a.zarr", data=counts((3, 40, 40)))
    read = []

    class Watched(ArraySource):
        def read(self, *place):
            read.append(place)
            return super().read(*place)

    monkeypatch.setattr("napari_rdpdenoise.io.arrays.ArraySource", Watched)
    for data, target in ((mapped + 1, None), (mapped, "b.ome.zarr"), (stored, "c.ome.zarr")):
        stream = run(array_job(data, "TYX", fast, target and tmp_path / target), codec=codec)
        assert isinstance(next(stream), Opened)
        stream.close()
        assert read == []


@pytest.mark.parametrize(
    ("shape", "axes", "expected"),
    [
        ((40, 50, 3), "YXS", library.COLOUR_MODEL),
        ((2, 40, 50, 4), "TYXS", library.COLOUR_MODEL),
        ((40, 50, 2), "YXS", library.DEFAULT_MODEL),
        ((3, 40, 50), "CYX", library.DEFAULT_MODEL),
    ],
)
def test_the_default_is_another_model_for_pictures_in_colour(
    two_models, counts, fast, drain, tmp_path, shape, axes, expected
):
    data, target = counts(shape), tmp_path / "a.ome.zarr"
    job = array_job(data, axes, fast, target)
    _, last = drain(run(job))
    assert json.loads(last.record.read_text())["settings"]["model"] == expected
    usual = load_codec(fast)
    assert finished_before(job, usual)
    named = array_job(data, axes, fast.replace(model=library.DEFAULT_MODEL), tmp_path / "b.ome.zarr")
    _, last = drain(run(named))
    assert json.loads(last.record.read_text())["settings"]["model"] == library.DEFAULT_MODEL


@pytest.mark.filterwarnings("ignore:.*(noise|photo|removed part)")  # random counts, and a random model
def test_blocks_parts_and_previews_take_the_same_default(two_models, counts, fast, drain, tmp_path):
    data = counts((40, 50, 3))
    expected = drain(run(array_job(data, "YXS", fast)))[1].data
    lazy = denoise_lazy(open_image(data, "YXS"), fast)
    np.testing.assert_array_equal(np.moveaxis(lazy.compute(), 0, -1), expected)
    tifffile.imwrite(tmp_path / "a.tif", data, photometric="rgb")
    job = Job(tmp_path / "a.tif", tmp_path / "parts.ome.zarr", fast)
    drain(run_part(job, Part(1, 1)))
    _, whole = drain(finish_parts(job))
    assert json.loads(whole.record.read_text())["settings"]["model"] == library.COLOUR_MODEL
    settings = for_image(fast, open_image(data, "YXS"))
    assert settings == fast.replace(model=library.COLOUR_MODEL)
    assert for_image(settings, open_image(data[..., 0], "YX")) is settings


def test_where_a_gpu_computes_the_default_is_the_larger_model(two_models, counts, fast, monkeypatch):
    usual, colour = open_image(counts((40, 50)), "YX"), open_image(counts((40, 50, 3)), "YXS")
    monkeypatch.setattr("napari_rdpdenoise.codec.models.choose_device", lambda device: device)
    on_gpu = fast.replace(device="cuda")
    assert for_image(on_gpu, usual) == on_gpu  # which is not there
    shutil.copytree(two_models / library.DEFAULT_MODEL, two_models / library.GPU_MODEL)
    assert for_image(on_gpu, usual).model == library.GPU_MODEL
    assert for_image(on_gpu, colour).model == library.COLOUR_MODEL
    assert for_image(fast, usual).model == library.DEFAULT
    named = on_gpu.replace(model=library.DEFAULT_MODEL)
    assert for_image(named, usual) == named


def test_without_the_model_of_colours_the_usual_one_is_taken(two_models):
    shutil.rmtree(two_models / library.COLOUR_MODEL)
    assert library.default_model("YXS", (40, 50, 3)) == library.DEFAULT_MODEL
