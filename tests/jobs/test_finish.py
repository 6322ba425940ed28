"""Finishing a job in parts: by whoever sees the files, whatever machine the parts were done on."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from napari_rdpdenoise.codec import device, library
from napari_rdpdenoise.jobs.finish import finish_parts
from napari_rdpdenoise.jobs.job import Job
from napari_rdpdenoise.jobs.opening import Opening
from napari_rdpdenoise.jobs.parts import Part, run_part


@pytest.fixture
def job(two_models, counts, fast, tmp_path):
    """A job of a file that leaves its model to image and device; there is one for GPUs."""
    card = shutil.copytree(two_models / library.COLOUR_MODEL, two_models / library.GPU_MODEL) / "card.yaml"
    card.write_text(card.read_text().replace(library.COLOUR_MODEL, library.GPU_MODEL))
    np.save(tmp_path / "a.npy", counts((4, 64, 70)))
    return Job(tmp_path / "a.npy", tmp_path / "r.ome.zarr", fast.replace(device="auto", axes="TYX"))


@pytest.fixture
def gpu(monkeypatch):
    """A context in which the default model is that of a machine with a GPU."""

    def there():
        context = monkeypatch.context()
        patch = context.__enter__()
        name = "napari_rdpdenoise.codec.models.choose_device"
        patch.setattr(name, lambda device: "cuda" if device == "auto" else device)
        return lambda: context.__exit__(None, None, None)

    return there


def test_the_default_is_that_of_the_parts_though_here_is_another_device(job, gpu, drain):
    gone = gpu()
    drain(run_part(job, Part(1, 2)))
    gone()
    events, _ = drain(run_part(job, Part(2, 2)))
    assert events[0].message.startswith(f"model {library.GPU_MODEL} on ")
    for _ in range(2):  # the second finds it finished
        _, outcome = drain(finish_parts(job))
        assert json.loads(outcome.record.read_text())["settings"]["model"] == library.GPU_MODEL
    assert drain(run_part(job, Part(2, 2)))[0][-1].message == "The job was finished before."


def test_a_default_of_another_kind_of_image_is_not_taken(job, counts, drain):
    drain(run_part(job, Part(1, 1)))
    plan = job.target.with_name("r.ome.zarr.partial") / "plan.json"
    text = plan.read_text()
    assert f'"model": "{library.DEFAULT_MODEL}"' in text
    plan.write_text(text.replace(f'"{library.DEFAULT_MODEL}"', f'"{library.COLOUR_MODEL}"'))
    with pytest.raises(ValueError, match=f"model {library.COLOUR_MODEL!r} there, "):
        drain(finish_parts(job))


def test_neither_finishing_nor_a_part_that_is_done_loads_a_model(job, drain, monkeypatch):
    for number in (1, 2):
        drain(run_part(job, Part(number, 2)))

    def refused(*_):
        raise AssertionError("a model was loaded")

    monkeypatch.setattr(device, "shared_codec", refused)
    assert "was done before" in drain(run_part(job, Part(2, 2)))[0][-1].message
    assert drain(finish_parts(job))[1].path == job.target


@pytest.mark.parametrize("first", [True, False], ids=["before the plan is read", "after it is read"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_what_another_process_finishes_meanwhile_is_the_result(job, drain, monkeypatch, first, overwrite):
    job = replace(job, settings=job.settings.replace(overwrite=overwrite))
    for number in (1, 2):
        drain(run_part(job, Part(number, 2)))
    others, real = [], Opening.plan_there

    def raced(self):
        plan = None if first else real(self)
        if not others:
            others.append(None)
            others[0] = drain(finish_parts(job))[1]
        return real(self) if first else plan

    monkeypatch.setattr(Opening, "plan_there", raced)
    _, outcome = drain(finish_parts(job))
    assert outcome.path == others[0].path == job.target
    assert outcome.record.read_bytes() == others[0].record.read_bytes()


def test_the_image_is_read_once_to_know_it_again(job, drain, monkeypatch):
    from napari_rdpdenoise.io.arrays import ArraySource

    asked, real = [], ArraySource.fingerprint
    monkeypatch.setattr(ArraySource, "fingerprint", lambda self: asked.append(1) or real(self))
    for count, running in enumerate((run_part(job, Part(1, 1)), finish_parts(job)), start=1):
        drain(running)
        assert len(asked) == count
