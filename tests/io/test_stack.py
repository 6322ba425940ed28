"""Files of single frames as one image."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from napari_rdpdenoise.io import open_stack
from napari_rdpdenoise.io.stack import _OPEN_FILES


def write(folder, array):
    for number, plane in enumerate(array):
        tifffile.imwrite(folder / f"t{number}.tif", plane, photometric="minisblack")


@pytest.mark.parametrize("count", [1, 12, 2 * _OPEN_FILES])
def test_frames_in_the_order_of_their_numbers(tmp_path, count, image, same_pixels):
    array = image((count, 20, 30))
    write(tmp_path, array)
    source = open_stack(f"{tmp_path}/*.tif", "T")
    same_pixels(source, array, "TYX", regions=3 * count)
    assert len(source._sources) <= _OPEN_FILES
    source.close()


def test_an_axis_through_stacks(tmp_path, image, same_pixels):
    array = image((3, 4, 20, 30))
    write(tmp_path, array)
    same_pixels(open_stack(f"{tmp_path}/*.tif", "Z", "TYX"), array, "ZTYX")


def test_an_axis_that_is_there_is_refused(tmp_path, image):
    write(tmp_path, image((3, 4, 20, 30)))
    with pytest.raises(ValueError, match="without the axis T"):
        open_stack(f"{tmp_path}/*.tif", "T", "TYX")


@pytest.mark.parametrize("odd", [1, 2])
def test_a_file_unlike_the_others_is_named(tmp_path, odd, image):
    write(tmp_path, image((3, 20, 30)))
    tifffile.imwrite(tmp_path / f"t{odd}.tif", image((20, 31)))
    with pytest.raises(ValueError, match=rf"t{odd}\.tif"):
        open_stack(f"{tmp_path}/*.tif", "T").read((1,), slice(0, 20), slice(0, 30))


def test_fingerprint_follows_every_file(tmp_path, image):
    write(tmp_path, image((3, 20, 30)))
    first = open_stack(f"{tmp_path}/*.tif", "T").fingerprint()
    assert open_stack(f"{tmp_path}/*.tif", "T").fingerprint() == first
    tifffile.imwrite(tmp_path / "t1.tif", np.zeros((20, 30), np.uint16), description="more")
    assert open_stack(f"{tmp_path}/*.tif", "T").fingerprint() != first
