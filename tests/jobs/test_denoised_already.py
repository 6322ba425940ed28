"""An image that was denoised already is told as such, once, whichever way it is denoised again."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest

import napari_rdpdenoise as rdp
from napari_rdpdenoise.jobs.finish import finish_parts
from napari_rdpdenoise.jobs.follow import Follow
from napari_rdpdenoise.jobs.following import run_following
from napari_rdpdenoise.jobs.job import Job
from napari_rdpdenoise.jobs.parts import Part, run_part
from napari_rdpdenoise.jobs.record import record_path
from napari_rdpdenoise.jobs.runner import run

WORDS = "This image was denoised already (rate 0.40); to denoise it again is rarely wanted."


@pytest.fixture
def codec(tiny_realism_codec):
    """A small model."""
    return tiny_realism_codec


@pytest.fixture(params=[".ome.zarr", ".ome.tif"])
def denoised(request, codec, counts, fast, drain, tmp_path):
    """A file that a run has made of noisy counts."""
    target = tmp_path / f"denoised{request.param}"
    events, outcome = drain(run(Job(counts((2, 70, 50), np.uint16), target, fast), codec=codec))
    assert told(events, outcome) == (0, 0)
    return target


def told(events, outcome):
    """How often the events say so, and how often the report."""
    lines = [getattr(event, "message", None) for event in events]
    return lines.count(WORDS), outcome.report.messages.count(WORDS)


def test_a_run_into_memory_and_into_a_file(denoised, codec, fast, drain, tmp_path):
    again = tmp_path / "again.ome.zarr"
    for target in (None, again):
        assert told(*drain(run(Job(denoised, target, fast), codec=codec))) == (1, 1)
    assert WORDS in json.loads(record_path(again).read_text())["report"]["messages"]
    assert told(*drain(run(Job(again, None, fast), codec=codec))) == (1, 1)


def test_in_parts(denoised, codec, fast, drain, tmp_path):
    job = Job(denoised, tmp_path / "again.ome.zarr", fast)
    for number in (1, 2):
        assert told(*drain(run_part(job, Part(number, 2), codec=codec))) == (1, 1)
    assert told(*drain(finish_parts(job, codec=codec)))[1] == 1


def test_followed(denoised, codec, fast, drain, tmp_path):
    job = Job(denoised, tmp_path / "again.ome.zarr", fast)
    follow = Follow(idle=0.5, still=0.1, first_steps=2)
    assert told(*drain(run_following(job, follow, codec=codec))) == (1, 1)


def test_from_python(denoised, codec, tmp_path):
    how = {"model": codec, "rate": 0.4, "device": "cpu", "tile": 64}
    calls = {
        "file": lambda: rdp.denoise_file(denoised, tmp_path / "again.ome.zarr", **how),
        "part": lambda: rdp.denoise_file(denoised, tmp_path / "p.ome.zarr", part=(1, 1), **how),
        "lazy": lambda: rdp.denoise(rdp.open_image(denoised), **how),
        "store": lambda: rdp.create_store(denoised, tmp_path / "s.ome.zarr", model=codec, device="cpu"),
    }
    for name, call in calls.items():
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            call()
        said = [warning for warning in found if "denoised already" in str(warning.message)]
        assert len(said) == 1, name
        assert said[0].filename == __file__, name
