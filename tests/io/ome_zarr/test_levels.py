"""A level of resolution that is given by its own path is known as well as its image."""

from __future__ import annotations

import numpy as np
import pytest
import zarr

from napari_rdpdenoise.io import open_image
from tests.support.ome_zarrs import AXES, multiscales, write_image

PIXELS = np.arange(2 * 3 * 32 * 48, dtype=np.uint16).reshape(2, 3, 32, 48)
SHOWN = {"channels": [{"label": name, "color": "0000FF"} for name in ("a", "b", "c")]}


def written(path, zarr_format, **more):
    """Two levels, the second half as fine, with all that metadata tell."""
    entry = multiscales(**more)[0]
    entry["datasets"].append(
        {"path": "1", "coordinateTransformations": [{"type": "scale", "scale": [0.5, 1.0, 0.2, 0.4]}]}
    )
    attributes = {"multiscales": [{**entry, "version": "0.4"}], "omero": SHOWN}
    if zarr_format == 3:
        attributes = {"ome": {"version": "0.5", "multiscales": [entry], "omero": SHOWN}}
    return write_image(path, PIXELS, zarr_format, attributes)


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("level", ["0", "1"])
@pytest.mark.parametrize("ending", ["", "/"])
def test_it_has_its_pixel_size_and_all_else(tmp_path, zarr_format, level, ending):
    path = written(tmp_path / "a.ome.zarr", zarr_format)
    found, image = open_image(f"{path}/{level}{ending}"), open_image(path)
    step = 2 ** int(level)
    assert found.shape == PIXELS[..., ::step, ::step].shape
    assert found.metadata.axes == "TCYX"
    assert found.metadata.scale == {"T": 0.5, "Y": 0.1 * step, "X": 0.2 * step}
    assert found.metadata.units == image.metadata.units
    assert found.metadata.channel_names == ("a", "b", "c")
    assert found.metadata.channels == image.metadata.channels
    block = found.read((1, 2), slice(0, 8), slice(0, 8))
    assert np.array_equal(block, PIXELS[1, 2, ::step, ::step][:8, :8])


def test_deeper_below_its_group(tmp_path):
    group = zarr.create_group(tmp_path / "a.zarr", zarr_format=2)
    group.create_array("fine/pixels", data=PIXELS)
    entry = multiscales()[0]
    entry["datasets"][0]["path"] = "fine/pixels"
    group.update_attributes({"multiscales": [entry]})
    assert open_image(tmp_path / "a.zarr" / "fine" / "pixels").metadata.axes == "TCYX"


def test_a_relative_path(tmp_path, monkeypatch):
    path = written(tmp_path / "a.ome.zarr", 2)
    monkeypatch.chdir(path)
    assert open_image("1").metadata.scale["X"] == 0.4


def test_metadata_that_are_of_no_use_leave_the_array_as_it_is(tmp_path):
    """Who was told to open the array without its metadata can."""
    path = written(tmp_path / "a.ome.zarr", 2, scale=(1.0, 0.1))
    with pytest.raises(ValueError, match="without its metadata"):
        open_image(path)
    assert open_image(path / "0").metadata.scale == {}
    written(tmp_path / "b.ome.zarr", 2, axes=AXES[1:])
    assert open_image(tmp_path / "b.ome.zarr" / "0", axes="TCYX").shape == PIXELS.shape
    zarr.create_group(tmp_path / "c.zarr", zarr_format=2).create_array("0", data=PIXELS)
    (tmp_path / "c.zarr" / ".zattrs").write_text("{")
    assert open_image(tmp_path / "c.zarr" / "0").shape == PIXELS.shape


def test_a_level_of_labels_is_refused(tmp_path):
    group = zarr.create_group(tmp_path / "a.zarr", zarr_format=2)
    labels = group.create_group("labels/cells")
    labels.create_array("0", data=PIXELS)
    labels.update_attributes({"multiscales": multiscales(), "image-label": {}})
    with pytest.raises(TypeError, match="labels"):
        open_image(tmp_path / "a.zarr" / "labels" / "cells" / "0")
