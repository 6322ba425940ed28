from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

import napari_rdpdenoise as rdp
from napari_rdpdenoise.codec import device as shared
from napari_rdpdenoise.io import open_image
from napari_rdpdenoise.jobs.job import Job, Opened
from napari_rdpdenoise.settings import RunSettings
from napari_rdpdenoise.store.about import store_info
from napari_rdpdenoise.store.settings import store_settings
from napari_rdpdenoise.ui.layers.metadata import layer_metadata
from napari_rdpdenoise.ui.run.jobs import denoise_job, realism_note

FAST = RunSettings(device="cpu", rate=0.4, tile=64, halo=64, batch=1)


def layer_job(data, axes, settings=FAST, target=None, path=None, *known):
    """A job as the session makes it of a layer; `known`: scale, units, name, names of channels."""
    return Job(data, target, settings, layer_metadata(axes, *known), path)


def drain(stream):
    events = []
    while True:
        try:
            events.append(next(stream))
        except StopIteration as end:
            return events, end.value


@pytest.fixture
def codec(tiny_realism_codec, in_place_of_shipped):
    """In place of the shipped model."""
    in_place_of_shipped(tiny_realism_codec)
    return tiny_realism_codec


@pytest.fixture
def counts():
    return lambda shape, dtype=np.uint8: np.random.default_rng(0).poisson(40, shape).astype(dtype)


@pytest.mark.parametrize("residual", ["1", "none"])
def test_a_store_is_the_one_of_the_package_and_is_read_back(codec, counts, tmp_path, residual):
    data, target = counts((3, 70, 50), np.uint16), tmp_path / "kept.ome.zarr"
    chosen = store_settings(FAST.replace(realism=0.7, dtype="float32"))
    job = replace(layer_job(data, "TYX", chosen, target, None, (2.0, 0.5, 0.25)), residual=residual)
    _, last = drain(denoise_job(job))
    other = tmp_path / "other.ome.zarr"
    options = {"rate": 0.4, "tile": 64, "halo": 64, "batch": 1, "device": "cpu"}
    rdp.create_store(data, other, residual=residual, model=codec, axes="TYX", **options)
    assert last.data.dtype == np.uint16
    np.testing.assert_array_equal(np.asarray(last.data), np.asarray(rdp.open_store(other)[:]))
    info, reference = store_info(target), store_info(other)
    assert (info.residual, info.coded) == (residual, reference.coded)
    if residual == "1":
        original = np.asarray(rdp.open_store(target, layer="original")[:]).astype(float)
        assert np.abs(original - data).max() < 1.1 * np.sqrt(data.max())


@pytest.mark.parametrize("ending", [".ome.zarr", ".ome.tif"])
def test_a_file_holds_what_memory_would_with_its_place_and_record(codec, counts, tmp_path, ending):
    data, target = counts((3, 70, 50), np.uint16), tmp_path / f"out{ending}"
    settings = FAST.replace(time=(1, 3))
    units = ("second", "micrometer", "micrometer")
    job = layer_job(data, "TYX", settings, target, None, (2.0, 0.5, 0.25), units, "cells")
    events, last = drain(denoise_job(job))
    _, memory = drain(denoise_job(layer_job(data, "TYX", settings)))
    opened = events.index(Opened(None))
    assert ["can be continued" in event.message for event in events[:opened]] == [True]
    assert last.path == target
    np.testing.assert_array_equal(np.asarray(last.data), memory.data)
    metadata = open_image(target).metadata
    assert [metadata.scale[axis] for axis in "TYX"] == [2.0, 0.5, 0.25]
    assert metadata.units["Y"] == "micrometer"
    record = json.loads((tmp_path / f"out{ending}.job.json").read_text())
    assert RunSettings(**record["settings"]) == settings
    assert record["input"] is None, "a name is no file"


@pytest.mark.parametrize("ending", [".ome.zarr", ".ome.tif"])
@pytest.mark.parametrize(
    ("axes", "shape"),
    [("TZCYX", (2, 3, 3, 40, 30)), ("CTYX", (2, 2, 40, 30)), ("ZYX", (1, 40, 30)), ("YXS", (40, 30, 3))],
)
def test_a_file_comes_back_in_the_order_of_the_job(codec, counts, tmp_path, ending, axes, shape):
    data = counts(shape, np.uint8)
    _, last = drain(denoise_job(layer_job(data, axes, FAST, tmp_path / f"out{ending}")))
    _, memory = drain(denoise_job(layer_job(data, axes, FAST)))
    np.testing.assert_array_equal(np.asarray(last.data), memory.data)


def test_what_dask_reads_by_is_imported_before_the_run_is_finished(codec, counts, tmp_path, monkeypatch):
    import dask.base

    asked, find = [], dask.base.get_scheduler
    monkeypatch.setattr(dask.base, "get_scheduler", lambda *a, **k: asked.append(1) or find(*a, **k))
    drain(denoise_job(layer_job(counts((50, 50)), "YX", FAST, tmp_path / "out.ome.zarr")))
    assert asked


def test_a_finished_file_is_not_replaced_unasked(codec, counts, tmp_path):
    job = layer_job(counts((50, 50)), "YX", FAST, tmp_path / "out.ome.zarr")
    drain(denoise_job(job))
    with pytest.raises(FileExistsError):
        drain(denoise_job(job))
    with pytest.raises(FileNotFoundError, match="existing folder"):
        drain(denoise_job(layer_job(job.input, "YX", FAST, tmp_path / "no" / "out.ome.zarr")))


@pytest.mark.parametrize("ending", [".ome.zarr", ".ome.tif"])
def test_what_napari_makes_up_is_not_in_the_file_and_names_of_channels_are(codec, counts, tmp_path, ending):
    target, units = tmp_path / f"out{ending}", ("pixel",) * 3
    job = layer_job(
        counts((3, 40, 30)),
        "CYX",
        FAST.replace(channels=(2, 0)),
        target,
        None,
        (1.0,) * 3,
        units,
        "a",
        ("DAPI", "GFP", "RFP"),
    )
    drain(denoise_job(job))
    known = open_image(target).metadata
    assert (dict(known.scale), dict(known.units)) == ({}, {})
    assert known.channel_names == ("RFP", "DAPI")


def test_large_planes_come_back_with_their_resolutions(codec, counts, tmp_path):
    data = counts((530, 2, 40), np.uint16)
    _, last = drain(denoise_job(layer_job(data, "YTX", FAST, tmp_path / "out.ome.zarr")))
    assert [level.shape for level in last.data] == [(530, 2, 40), (265, 2, 20)]
    _, memory = drain(denoise_job(layer_job(data, "YTX", FAST)))
    np.testing.assert_array_equal(np.asarray(last.data[0]), memory.data)


def test_what_a_model_offers_is_known_without_loading_it(tiny_model, tiny_realism_model, monkeypatch):
    monkeypatch.setattr(shared, "load_model", lambda *_: pytest.fail("no weights are needed to know that"))
    assert realism_note(str(tiny_realism_model)) is None
    assert "realism" in realism_note(str(tiny_model))


def test_a_model_that_cannot_be_found_offers_no_realism_and_says_why():
    assert "no model 'broken'" in realism_note("broken")
