"""Stores in parts: the files and the record of a store in one piece."""

from __future__ import annotations

import json

import numpy as np
import pytest
from stores import last, quick, steps

import napari_rdpdenoise as rdp
from napari_rdpdenoise.codec import load_model
from napari_rdpdenoise.jobs.finish import finish_parts
from napari_rdpdenoise.jobs.job import Job, Opened
from napari_rdpdenoise.jobs.parts import Part, run_part
from napari_rdpdenoise.jobs.record import record_path
from napari_rdpdenoise.store.reading import open_store


def contents(path):
    return {file.relative_to(path): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def record_of(target):
    content = json.loads(record_path(target).read_text())
    for name in ("seconds", "mpps", "encoder_calls"):
        del content["report"][name]
    return content


QUICK = {"batch": 1, "structure": "none", "neighbours": "none"}


@pytest.fixture(scope="module")
def codec():
    """A model whose residual is noise."""
    return load_model("default", "cpu")


def two_jobs(tmp_path, image, codec, residual="1", axes=None, **settings):
    """The same job for two folders: in one piece, which is done, and in parts."""
    mask = settings.pop("mask", None)
    whole, divided = (tmp_path / name / "a.ome.zarr" for name in ("whole", "parts"))
    chosen = quick(axes=axes, **{**QUICK, **settings})
    jobs = [Job(image, target, chosen, residual=residual, invalid=mask) for target in (whole, divided)]
    last(steps(jobs[0], codec=codec))
    return jobs


def check(whole, divided):
    assert contents(divided.target) == contents(whole.target)
    assert record_of(divided.target) == record_of(whole.target)
    names = ["a.ome.zarr", "a.ome.zarr.job.json"]
    assert sorted(path.name for path in divided.target.parent.iterdir()) == names


@pytest.mark.parametrize(
    ("shape", "residual", "settings"),
    [
        ((5, 64, 70), "1", {"structure": "auto", "neighbours": "auto"}),
        ((9, 20, 20), "none", {}),  # chunks that share a shard
        ((1, 96, 1201), "0.5", {"tile": 640}),  # tiles, and lower resolutions, of an odd number of columns
        ((2, 3, 64, 64), "lossless", {"axes": "TCYX", "rate": "auto"}),
        ((64, 70, 4), "1", {"axes": "YXS"}),  # opacity is no light
    ],
)
def test_files_and_record_are_those_of_one_piece(codec, stack, tmp_path, shape, residual, settings):
    image = np.moveaxis(stack((4, 64, 70), np.uint8), 0, -1) if shape[-1] == 4 else stack(shape)
    whole, divided = two_jobs(tmp_path, image, codec, residual, **settings)
    for number in (2, 3, 1):
        last(run_part(divided, Part(number, 3), codec=codec))
    assert last(finish_parts(divided, codec=codec)).path == divided.target
    check(whole, divided)


def test_a_part_that_was_stopped_goes_on(codec, stack, tmp_path):
    whole, divided = two_jobs(tmp_path, stack((6, 64, 600)), codec)
    for _ in range(3):
        running = run_part(divided, Part(1, 2), codec=codec)
        for event in running:
            if not isinstance(event, Opened) and event.total and event.encoder_calls:
                break
        running.close()
    for number in (1, 2):
        last(run_part(divided, Part(number, 2), codec=codec))
    last(finish_parts(divided, codec=codec))
    check(whole, divided)


def test_tiles_that_are_kept_losslessly_are_told_together(codec, tmp_path):
    image = np.random.default_rng(0).integers(0, 4000, (4, 64, 64)).astype(np.uint16)
    whole, divided = two_jobs(tmp_path, image, codec, camera=(1.0, 100.0, 1.0))
    for number in (1, 2):
        last(run_part(divided, Part(number, 2), codec=codec))
    report = last(finish_parts(divided, codec=codec)).report
    assert [words for words in report.messages if words.startswith("4 tiles: what was removed spreads")]
    check(whole, divided)


def test_an_interrupted_run_tells_of_what_was_kept_losslessly_before(codec, tmp_path):
    image = np.random.default_rng(0).integers(0, 4000, (4, 64, 64)).astype(np.uint16)
    job = Job(image, tmp_path / "a.ome.zarr", quick(**QUICK, camera=(1.0, 100.0, 1.0)), residual="1")
    running = steps(job, codec=codec)
    for event in running:
        if not isinstance(event, Opened) and event.done:
            break
    running.close()
    assert any(
        words.startswith("4 tiles: what was removed")
        for words in last(steps(job, codec=codec)).report.messages
    )


def test_parts_of_another_store_are_refused(codec, stack, tmp_path):
    image, target = stack((2, 64, 64)), tmp_path / "a.ome.zarr"
    last(run_part(Job(image, target, quick(**QUICK), residual="1"), Part(1, 2), codec=codec))
    for other in (Job(image, target, quick(**QUICK), residual="0.5"), Job(image, target, quick(**QUICK))):
        for running in (run_part(other, Part(2, 2), codec=codec), finish_parts(other, codec=codec)):
            with pytest.raises(ValueError, match="residual '1' there, "):
                last(running)


def test_a_finished_store_is_not_taken_for_one_that_keeps_less(codec, stack, tmp_path):
    image, target = stack((2, 64, 64)), tmp_path / "a.ome.zarr"
    last(steps(Job(image, target, quick(**QUICK), residual="1"), codec=codec))
    assert (
        last(run_part(Job(image, target, quick(**QUICK), residual="1"), Part(1, 2), codec=codec)).path
        == target
    )
    for residual in ("0.5", None):
        with pytest.raises(FileExistsError, match="a finished one"):
            last(run_part(Job(image, target, quick(**QUICK), residual=residual), Part(1, 2), codec=codec))


@pytest.mark.filterwarnings("ignore:noise estimate", "ignore:nothing stands out", "ignore:2 tiles")
def test_in_python(codec, stack, tmp_path):
    image, options = stack((2, 64, 64)), {"rate": 0.5, "device": "cpu", "residual": "0.5", "model": codec}
    options |= QUICK
    for number in (1, 2):
        outcome = rdp.create_store(image, tmp_path / "a.ome.zarr", part=(number, 2), **options)
        assert outcome.path is None
    outcome = rdp.finish_store(image, tmp_path / "a.ome.zarr", **options)
    assert open_store(outcome.path).shape == image.shape
    with pytest.raises(ValueError, match=r"client: expected an image, .* found one in memory"):
        rdp.create_store(image, tmp_path / "b.ome.zarr", client=object(), **{**options, "model": "default"})
    with pytest.raises(ValueError, match="client: expected neither a part nor"):
        rdp.create_store(image, tmp_path / "b.ome.zarr", client=object(), part=(1, 2), **options)
