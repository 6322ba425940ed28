"""`denoise --job`: settings from a job file."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from napari_rdpdenoise.codec.card import read_card
from napari_rdpdenoise.io import open_image
from napari_rdpdenoise.jobs.record import read_job, read_settings, record_path, write_job
from napari_rdpdenoise.settings import RunSettings


def pixels(path) -> np.ndarray:
    source = open_image(path)
    planes = [source.read(i, slice(0, 70), slice(0, 90)) for i in np.ndindex(*source.shape[:-2])]
    source.close()
    return np.array(planes)


@pytest.fixture
def settings(tiny_model):
    """Settings of a quick run, none of them the default."""
    return RunSettings(model=str(tiny_model), device="cpu", rate=0.3, tile=64, halo=64, time=(1, 3), seed=5)


def test_the_record_of_a_result_makes_it_again(denoise, run, stack, tmp_path):
    first, again = tmp_path / "a.ome.zarr", tmp_path / "b.ome.zarr"
    assert denoise(stack, first, "--tile", 64, "--time", "1:3").exit_code == 0
    answer = run("denoise", stack, again, "--job", record_path(first))
    assert answer.exit_code == 0, answer.stderr
    np.testing.assert_array_equal(pixels(again), pixels(first))
    assert pixels(again).shape[0] == 2
    assert read_settings(record_path(again)) == read_settings(record_path(first))


def test_what_is_given_beside_the_job_wins_and_nothing_else_changes(run, stack, tmp_path, settings):
    job = write_job(tmp_path / "mine.json", settings)
    out = tmp_path / "o.ome.tif"
    answer = run("denoise", stack, out, "--job", job, "--rate", "0.8", "--halo", 128)  # 128: the default
    assert answer.exit_code == 0, answer.stderr
    assert read_settings(record_path(out)) == settings.replace(rate=0.8, halo=128)


def test_without_inputs_and_out_those_of_the_job(run, stack, tmp_path, settings):
    target = tmp_path / "named.ome.tif"
    job = write_job(tmp_path / "mine.json", settings, str(stack), str(target))
    answer = run("denoise", "--job", job)
    assert answer.exit_code == 0, answer.stderr
    assert answer.stdout.strip() == str(target)
    before = target.stat().st_mtime_ns
    record = read_job(record_path(target))
    assert (record.input, record.result) == (str(stack), target)
    refused = run("denoise", "--job", record_path(target))
    assert refused.exit_code == 2
    assert "--overwrite" in refused.stderr
    assert target.stat().st_mtime_ns == before
    assert run("denoise", "--job", record_path(target), "--overwrite").exit_code == 0


def test_a_job_brings_no_permission_to_replace(run, stack, tmp_path, settings):
    job = write_job(tmp_path / "mine.json", settings.replace(overwrite=True))
    out = tmp_path / "o.ome.tif"
    out.write_text("precious")
    assert run("denoise", stack, out, "--job", job).exit_code == 2
    assert out.read_text() == "precious"


def test_the_ending_of_a_named_result_comes_before_the_jobs_format(run, stack, tmp_path, settings):
    job = write_job(tmp_path / "mine.json", settings.replace(output_format="ome-zarr"))
    assert run("denoise", stack, tmp_path / "o.ome.tif", "--job", job).exit_code == 0
    assert run("denoise", stack, tmp_path / "folder", "--job", job).exit_code == 0
    assert (tmp_path / "folder" / "cells.ome.zarr").is_dir()
    both = run("denoise", stack, tmp_path / "p.ome.tif", "--job", job, "--format", "ome-zarr")
    assert both.exit_code == 2
    assert "--format" in both.stderr


def test_another_model_of_the_name_is_wrong_use_unless_a_model_is_named(
    run, stack, tmp_path, tiny_model, tiny_realism_model, settings
):
    model, out = shutil.copytree(tiny_model, tmp_path / "cells-pairs"), tmp_path / "o.ome.tif"
    job = write_job(tmp_path / "mine.json", settings.replace(model=str(model)))
    shutil.copytree(tiny_realism_model, model, dirs_exist_ok=True)
    answer = run("denoise", stack, out, "--job", job)
    assert answer.exit_code == 2
    for folder in (tiny_model, tiny_realism_model):
        assert read_card(folder).sha256[:32] in answer.stderr
    assert "--model NAME" in answer.stderr
    assert not out.exists()
    assert run("denoise", stack, out, "--job", job, "--model", model).exit_code == 0


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "expected a job file, found none"),
        ("\x00\x01", "another kind of file"),
        ("[1]", "a JSON list"),
        ('{"a": 1}', "other JSON"),
        ('{"settings": {"rate": 7}}', "rate: rate must be a number"),
        ('{"settings": {"rate": 0.5}, "input": null, "result": "o.ome.tif"}', "found no input"),
        ('{"rate": 0.5}', "found no input"),
    ],
)
def test_a_job_that_cannot_be_used_is_wrong_use(run, tmp_path, content, words):
    job = tmp_path / "mine.job.json"
    if content is not None:
        job.write_text(content)
    answer = run("denoise", "--job", job)
    assert answer.exit_code == 2
    assert words in answer.stderr
    assert str(job) in answer.stderr
    assert "Traceback" not in answer.stderr


def test_one_place_alone_is_not_guessed(run, stack, tmp_path, settings):
    job = write_job(tmp_path / "mine.json", settings, str(stack), str(tmp_path / "o.ome.tif"))
    answer = run("denoise", stack, "--job", job)
    assert answer.exit_code == 2
    assert "found" in answer.stderr
    assert str(stack) in answer.stderr


def test_the_help_says_it(run):
    told = " ".join(run("denoise", "--help").stdout.split())
    assert "--job" in told
    assert "RESULT.job.json" in told
