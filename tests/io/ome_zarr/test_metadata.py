"""Axes and units as OME-Zarr images and plain zarr arrays declare them."""

from __future__ import annotations

import pytest
import zarr

from napari_rdpdenoise.io import open_image


@pytest.mark.parametrize(
    ("axes", "shape", "expected"),
    [
        (None, (2, 1, 3, 9, 8), "TCZYX"),  # 0.1, 0.2: not written
        (["z", "y", "x"], (3, 9, 8), "ZYX"),  # 0.3: names only
        (
            [{"name": "angle"}, {"name": "y", "type": "space"}, {"name": "x", "type": "space"}],
            (3, 9, 8),
            "QYX",
        ),
        ([{"name": "channel", "type": "channel"}, {"name": "y"}, {"name": "x"}], (3, 9, 8), "CYX"),
        ([{"name": "y"}, {"name": "x"}], (9, 8), "YX"),
    ],
)
def test_axes_as_versions_declare_them(tmp_path, axes, shape, expected, image, same_pixels):
    array = image(shape)
    path, described = tmp_path / "a.zarr", {"datasets": [{"path": "0"}]}
    group = zarr.create_group(path, zarr_format=2)
    group.create_array("0", data=array)
    group.update_attributes({"multiscales": [described if axes is None else {"axes": axes, **described}]})
    same_pixels(open_image(path), array, expected)
    assert open_image(path).metadata.scale == {}


def test_plain_array_takes_the_names_of_its_dimensions(tmp_path, image, same_pixels):
    array = image((20, 3, 17))
    zarr.create_array(tmp_path / "a.zarr", data=array, dimension_names=("y", "z", "x"))
    same_pixels(open_image(tmp_path / "a.zarr"), array, "YZX")
    old = zarr.create_array(tmp_path / "b.zarr", data=array, zarr_format=2)
    old.update_attributes({"_ARRAY_DIMENSIONS": ["y", "channel", "x"]})
    same_pixels(open_image(tmp_path / "b.zarr"), array, "YCX")


def test_names_that_tell_no_rows_and_columns_are_passed_over(tmp_path, image, same_pixels):
    array = image((3, 20, 17))
    zarr.create_array(tmp_path / "a.zarr", data=array, dimension_names=("a", "lat", "lon"))
    same_pixels(open_image(tmp_path / "a.zarr"), array, "TYX")
