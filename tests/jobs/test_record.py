"""Job files."""

from __future__ import annotations

import json
import shutil
from types import SimpleNamespace

import pytest

from napari_rdpdenoise.codec.card import read_card
from napari_rdpdenoise.codec.library import DEFAULT_MODEL
from napari_rdpdenoise.jobs.job import Job
from napari_rdpdenoise.jobs.record import (
    read_job,
    read_report,
    read_settings,
    record_path,
    record_text,
    same_job,
    write_job,
)
from napari_rdpdenoise.noise import NoiseModel
from napari_rdpdenoise.settings import RunSettings
from napari_rdpdenoise.stream import ChannelReport, RunReport

SETTINGS = RunSettings(rate=1 / 3, realism=0.1, axes="TYX", channels=(2, 0), time=(1, 4), overwrite=True)
SPEC = SimpleNamespace(job="settings|input|model")


def report(path=None):
    channel = ChannelReport(0, NoiseModel(gain=2.0, offset=100.0, read_noise=2.0), 0.3, None, float("nan"))
    return RunReport((channel,), float("nan"), 3, 4, 0, 4, 1.5, 0.2, ("a word",), path)


def write(job, codec, found):
    file = record_path(job.target)
    file.write_text(record_text(job, codec, SPEC, found), encoding="utf-8")
    return file


@pytest.fixture
def settings(tiny_model):
    """Settings with a model that is not in the library."""
    return SETTINGS.replace(model=str(tiny_model))


@pytest.fixture
def made(tmp_path, tiny_codec, settings):
    """A result with its record: target, input, content."""
    source, target = tmp_path / "cells.tif", tmp_path / "out" / "r.ome.tif"
    target.parent.mkdir()
    source.touch()
    job = Job(source, target, settings)
    file = write(job, tiny_codec, report(target))
    return target, source, json.loads(file.read_text())


@pytest.fixture
def tuned(tmp_path, tiny_model, monkeypatch):
    """Folder of a model of the user's own, in the library as "cells-pairs"."""
    monkeypatch.setenv("RDPDENOISE_MODELS", str(tmp_path / "mine"))
    return shutil.copytree(tiny_model, tmp_path / "mine" / "cells-pairs")


def test_a_record_lies_beside_its_result_and_is_read_again(made, settings, tiny_codec):
    target, source, content = made
    assert sorted(path.name for path in target.parent.iterdir()) == ["r.ome.tif.job.json"]
    job = read_job(record_path(target))
    assert (job.settings, job.input, job.result) == (settings, str(source), target)
    assert content["model"] == {"name": "tiny", "sha256": tiny_codec.card.sha256}


def test_a_result_in_memory_has_no_record(settings, tiny_codec):
    with pytest.raises(ValueError, match="expected a file as target"):
        record_text(Job("a.tif", None, settings), tiny_codec, SPEC, report())


@pytest.mark.parametrize("given", ["cells-pairs", "path"])
def test_a_model_of_the_library_is_named_wherever_it_lies(tuned, tmp_path, given, tiny_codec):
    settings = SETTINGS.replace(model=str(tuned) if given == "path" else given)
    saved = write_job(tmp_path / "mine.job.json", settings)
    job = Job("s3://bucket/a.zarr", tmp_path / "r.ome.zarr", settings)
    run = write(job, tiny_codec, report())
    for file in (saved, run):
        content = json.loads(file.read_text())
        assert content["settings"]["model"] == "cells-pairs"
        assert content["model"]["sha256"] == tiny_codec.card.sha256
        assert str(tmp_path) not in file.read_text()
        assert read_settings(file) == SETTINGS.replace(model="cells-pairs")


def test_the_default_model_is_named_by_its_own_name(tmp_path):
    assert read_settings(write_job(tmp_path / "mine.json", SETTINGS)).model == DEFAULT_MODEL


def test_a_model_in_hand_keeps_its_name_and_digest(tmp_path, tiny_codec):
    job = Job("a.tif", tmp_path / "r.ome.tif", SETTINGS.replace(model="in a notebook"))
    content = json.loads(write(job, tiny_codec, report()).read_text())
    assert content["settings"]["model"] == "in a notebook"
    assert content["model"]["sha256"] == tiny_codec.card.sha256


@pytest.mark.parametrize("where", ["library", "elsewhere"])
def test_another_model_of_the_name_is_refused_in_words(tuned, tmp_path, tiny_realism_model, where):
    folder = tuned if where == "library" else shutil.copytree(tuned, tmp_path / "cells-pairs")
    file = write_job(tmp_path / "mine.job.json", SETTINGS.replace(model=str(folder)))
    before, after = (read_card(model).sha256[:32] for model in (folder, tiny_realism_model))
    shutil.rmtree(folder)
    with pytest.raises(FileNotFoundError, match=f"job: the model of {file} is not here. .*no model"):
        read_job(file)
    shutil.copytree(tiny_realism_model, folder)
    with pytest.raises(ValueError, match=f"{file}.*expected .* digest {before}, found {after}.*--model NAME"):
        read_job(file)
    assert read_job(file, model="default").settings == SETTINGS


def test_a_digest_that_is_none_is_refused(tmp_path):
    file = tmp_path / "mine.json"
    file.write_text('{"settings": {"rate": 0.5}, "model": {"name": "a", "sha256": 5}}')
    with pytest.raises(ValueError, match=f"sha256 of the model in {file}, found 5"):
        read_job(file)


def test_a_model_that_is_not_there_is_not_saved(tmp_path):
    with pytest.raises(FileNotFoundError, match="no model 'nothing'"):
        write_job(tmp_path / "mine.json", SETTINGS.replace(model="nothing"))
    assert list(tmp_path.iterdir()) == []


def test_a_report_is_plain_json_without_paths(made):
    _, _, content = made
    assert content["report"]["bpp"] is None
    assert content["report"]["channels"][0]["found_residual"] is None
    assert content["report"]["messages"] == ["a word"]
    assert "path" not in content["report"]


def test_a_report_is_read_again(made):
    target, *_ = made
    again, expected = read_report(record_path(target)), report()
    assert again.channels[0].noise == expected.channels[0].noise
    assert (again.clipped, again.tiles, again.messages) == (expected.clipped, expected.tiles, ("a word",))
    assert again.bpp != again.bpp
    for content, message in (({"settings": {}}, "found none"), ({"report": {"bpp": "x"}}, "found another")):
        record_path(target).write_text(json.dumps(content))
        with pytest.raises(ValueError, match=f"report of a run, {message}"):
            read_report(record_path(target))


def test_same_job(made, tmp_path):
    target, *_ = made
    assert same_job(target, SimpleNamespace(job="settings|input|model"))
    assert not same_job(target, SimpleNamespace(job="other"))
    assert not same_job(tmp_path / "none.tif", SimpleNamespace(job=""))
    record_path(target).write_text("[]")
    assert not same_job(target, SimpleNamespace(job="settings|input|model"))


def test_a_job_without_a_run(tmp_path, settings):
    source, target = tmp_path / "cells.tif", tmp_path / "elsewhere" / "r.ome.zarr"
    source.touch()
    job = read_job(write_job(tmp_path / "mine.json", settings, str(source), str(target)))
    assert (job.settings, job.input, job.result) == (settings, str(source), target)


@pytest.mark.parametrize(
    ("source", "expected"), [(None, None), ("a layer", None), ("s3://b/a.zarr", "s3://b/a.zarr")]
)
def test_an_image_in_memory_has_no_input(tmp_path, source, expected):
    assert read_job(write_job(tmp_path / "mine.json", SETTINGS, source)).input == expected


def test_settings_alone_and_some_of_them(tmp_path):
    file = tmp_path / "settings.json"
    file.write_text(SETTINGS.model_dump_json())
    assert read_job(file).settings == SETTINGS
    assert (read_job(file).input, read_job(file).result) == (None, None)
    file.write_bytes(b'\xef\xbb\xbf{"rate": 0.5}')  # as some editors on Windows save it
    assert read_settings(file) == RunSettings(rate=0.5)


def test_paths_are_meant_from_the_folder_of_the_file(tmp_path):
    file = tmp_path / "mine.json"
    file.write_text('{"settings": {"rate": 0.5}, "input": "a.tif", "result": "r.ome.tif"}')
    job = read_job(file)
    assert (job.input, job.result) == (str(tmp_path / "a.tif"), tmp_path / "r.ome.tif")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "another kind of file"),
        (b"II*\x00\xff\xfe", "another kind of file"),
        ("[" * 100_000, "another kind of file"),
        ("7", "a JSON int"),
        ("{}", "other JSON"),
        ('{"type": "FeatureCollection"}', "other JSON"),
        ('{"settings": 5}', "other JSON"),
        ('{"settings": {}}', "other JSON"),
        ('{"settings": {"rate": 2}}', "rate: rate must be a number from 0 to 1"),
        ('{"rate": 0.5, "color": "red"}', "color: Extra inputs are not permitted, found 'red'"),
        ('{"rate": NaN}', "rate"),
        ('{"settings": {"rate": 0.5}, "input": 5}', "a path as input"),
    ],
)
def test_other_files_are_refused_by_name(tmp_path, content, words):
    file = tmp_path / "other.json"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match="job: expected") as refusal:
        read_job(file)
    assert words in str(refusal.value)
    assert str(file) in str(refusal.value)


def test_a_large_file_is_not_read(tmp_path):
    file = tmp_path / "stack.json"
    with file.open("wb") as handle:
        handle.truncate(2**31)
    with pytest.raises(ValueError, match="more than 16 MiB"):
        read_job(file)


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="expected a job file"):
        read_job(tmp_path)
