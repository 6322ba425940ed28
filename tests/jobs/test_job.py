from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from napari_rdpdenoise.io import ImageMetadata
from napari_rdpdenoise.jobs.job import Job
from napari_rdpdenoise.settings import RunSettings

DEFAULT = RunSettings()


@pytest.mark.parametrize(
    ("path", "name"),
    [("x/a.ome.tif", "a.ome.tif"), (Path("x/b.tif"), "b.tif"), ("s3://b/c.ome.zarr/", "c.ome.zarr"),
     ("C:\\data\\d.tif", "d.tif")],
)  # fmt: skip
def test_an_input_that_is_a_path_is_the_place_it_is_read_from(path, name):
    job = Job(path, None, DEFAULT)
    assert (job.path, job.name, job.axes) == (str(path), name, "")


def test_an_array_has_the_name_the_axes_and_the_place_that_are_known():
    plain = Job(np.ones((2, 3)), None, DEFAULT)
    assert (plain.path, plain.name, plain.axes) == (None, "image", "")
    known = Job(plain.input, None, DEFAULT, ImageMetadata("XY", name="cells"), "x/a.tif")
    assert (known.path, known.name, known.axes) == ("x/a.tif", "cells", "XY")


def test_axes_among_the_settings_come_first():
    assert Job("a.tif", None, RunSettings(axes="YX"), ImageMetadata("XY")).axes == "YX"


def test_jobs_and_batches_are_planned_without_the_engine():
    code = "import sys, napari_rdpdenoise.jobs.batch; print({'torch', 'numpy', 'zarr'} & set(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "set()"
