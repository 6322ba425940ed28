"""The package of inputs and outputs as a whole."""

from __future__ import annotations

import subprocess
import sys

import pytest

import napari_rdpdenoise.io as io


def test_importing_it_loads_no_file_library():
    code = "import sys, napari_rdpdenoise.io; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "napari_rdpdenoise.io.output.sink" in loaded
    assert not {"zarr", "tifffile", "dask", "torch", "napari"} & set(loaded)


@pytest.mark.parametrize("name", io.__all__)
def test_public_names_exist_and_are_described(name):
    assert getattr(io, name).__doc__ or name == "Index"
