"""Which model a job takes, and that it is loaded once."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import tifffile

from napari_rdpdenoise.codec import library
from napari_rdpdenoise.io import ImageMetadata, open_image
from napari_rdpdenoise.jobs.finish import finish_parts
from napari_rdpdenoise.jobs.job import Job
from napari_rdpdenoise.jobs.models import load_codec
from napari_rdpdenoise.jobs.parts import run_part
from napari_rdpdenoise.jobs.runner import finished_before, run
from napari_rdpdenoise.lazy import denoise_lazy
from napari_rdpdenoise.stream.parts import Part
from napari_rdpdenoise.stream.plan import for_image


@pytest.fixture
def codec(tiny_realism_codec):
    """A small model with both decoders."""
    return tiny_realism_codec


def array_job(data, axes, settings, target=None, path=None):
    return Job(data, target, settings, ImageMetadata(axes, name="cells"), path)


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
