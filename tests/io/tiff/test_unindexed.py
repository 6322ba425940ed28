"""Micro-Manager files without the index at their end: planes are of the position that they are of."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import tifffile
from microscope_files import write_mmstack

from napari_rdpdenoise.io import list_images, open_image

SHAPE = {"C": 2, "Z": 3, "T": 2, "R": 2}
KEYS = {"C": "ChannelIndex", "Z": "SliceIndex", "T": "FrameIndex", "R": "PositionIndex"}
LENGTH = 20 * 30 * 2


def written(folder, image, texts, time_first=True, slices_first=True):
    """A file without its index, and its planes by (position, time, slice, channel)."""
    order = ("TR" if time_first else "RT") + ("ZC" if slices_first else "CZ")
    array = image((2, 2, 3, 2, 20, 30))
    planes, about = {}, {}
    for index in np.ndindex(*(SHAPE[letter] for letter in order)):
        at = dict(zip(order, index, strict=True))
        place = tuple(at[letter] for letter in "CZTR")
        planes[place] = array[at["R"], at["T"], at["Z"], at["C"]]
        if texts:
            about[place] = {KEYS[letter]: at[letter] for letter in order}
    summary = {
        "MicroManagerVersion": "2.0.0", "Frames": 2, "Slices": 3, "Channels": 2, "Positions": 2,
        "TimeFirst": time_first, "SlicesFirst": slices_first, "Prefix": "run", "Interval_ms": 500.0,
        "PixelSize_um": 0.1, "z-step_um": 2.0,
    }  # fmt: skip
    path = write_mmstack(folder / "run_MMStack_Pos.ome.tif", planes, summary, about)
    data = path.read_bytes()
    path.write_bytes(data[: -8 - 20 * len(planes)])
    return path, array


def told(path, **options):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        source = open_image(path, **options)
    return source, " | ".join(str(warning.message) for warning in caught)


@pytest.mark.parametrize("texts", [True, False])
@pytest.mark.parametrize("time_first", [True, False])
@pytest.mark.parametrize("slices_first", [True, False])
def test_positions_and_axes_are_those_of_the_whole_file(
    tmp_path, image, same_pixels, texts, time_first, slices_first
):
    path, array = written(tmp_path, image, texts, time_first, slices_first)
    assert len(list_images(path)) == 2
    for position in range(2):
        source, said = told(path, series=position)
        axes = "TZCYX" if slices_first else "TCZYX"
        expected = array[position] if slices_first else array[position].swapaxes(1, 2)
        same_pixels(source, expected, axes)
        assert source.metadata.scale == {"X": 0.1, "Y": 0.1, "Z": 2.0, "T": 0.5}
        assert "ends without the index" in said
        assert ("what it says of each" if texts else "its summary says") in said
        source.close()


@pytest.mark.parametrize("texts", [True, False])
@pytest.mark.parametrize("there", [1, 12, 13, 20])
def test_a_file_that_ends_anywhere_gives_whole_planes_where_they_belong(tmp_path, image, there, texts):
    path, array = written(tmp_path, image, texts, time_first=False)
    with tifffile.TiffFile(path) as tif:
        end = tif.pages[there].dataoffsets[0] + LENGTH - 1
    path.write_bytes(path.read_bytes()[:end])
    for position in range(1 + (there > 12)):
        source, said = told(path, series=position)
        for index in np.ndindex(*source.shape[:-2]):
            at = dict(zip(source.metadata.axes, index, strict=False))
            expected = array[position, at.get("T", 0), at.get("Z", 0), at.get("C", 0)]
            assert (source.read(index, slice(None), slice(None)) == expected).all()
        assert 1 <= np.prod(source.shape[:-2]) <= (there if position == 0 else there - 12)
        assert "ends without the index" in said
        source.close()


def test_a_position_of_which_nothing_is_there_is_told_of_and_no_image(tmp_path, image):
    path, _ = written(tmp_path, image, True, time_first=False)
    with tifffile.TiffFile(path) as tif:
        end = tif.pages[12].dataoffsets[0] + LENGTH - 1
    path.write_bytes(path.read_bytes()[:end])
    source, said = told(path)
    assert source.shape == (2, 3, 2, 20, 30)
    assert "not one whole plane is there of position 1" in said


def test_planes_that_nothing_tells_apart_are_told_so(tmp_path, image):
    planes = {(0, 0, 0, k): plane for k, plane in enumerate(image((4, 20, 30)))}
    path = write_mmstack(tmp_path / "run_MMStack.ome.tif", planes, {"MicroManagerVersion": "1.4"})
    path.write_bytes(path.read_bytes()[: -8 - 20 * 4])
    source, said = told(path)
    assert source.shape == (4, 20, 30)
    assert "neither its planes nor its summary say of which position" in said


def test_a_summary_of_giants_is_not_believed(tmp_path, image):
    planes = {(0, 0, k, 0): plane for k, plane in enumerate(image((4, 20, 30)))}
    summary = {"MicroManagerVersion": "2", "Frames": 10**9, "Slices": 10**9}
    path = write_mmstack(tmp_path / "run_MMStack.ome.tif", planes, summary, {p: {"x": 1} for p in planes})
    path.write_bytes(path.read_bytes()[: -8 - 20 * 4])
    assert told(path)[0].shape == (4, 20, 30)


def test_an_image_that_is_lost_does_not_take_the_others_with_it(tmp_path, image):
    path = tmp_path / "two.ome.tif"
    with tifffile.TiffWriter(path) as tif:
        tif.write(image((3, 20, 30)), metadata={"axes": "TYX"}, compression="zlib")
        tif.write(image((3, 10, 30)), metadata={"axes": "TYX"}, compression="zlib")
    with tifffile.TiffFile(path) as tif:
        end = tif.series[1].pages[0].dataoffsets[0] + 10
    path.write_bytes(path.read_bytes()[:end])
    source, said = told(path)
    assert source.shape == (3, 20, 30)
    assert "not one whole plane is there of image 1" in said


def test_a_file_with_its_index_is_not_said_to_lack_it(tmp_path, image):
    """Though tifffile does not read it: older versions and Magellan write no number of frames."""
    planes = {(0, 0, t, 0): plane for t, plane in enumerate(image((3, 20, 30)))}
    path = write_mmstack(tmp_path / "run_MMStack.ome.tif", planes, {"Prefix": "run"})
    source, said = told(path)
    assert source.shape[-2:] == (20, 30)
    assert "index" not in said
