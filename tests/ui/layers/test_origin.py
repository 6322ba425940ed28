from __future__ import annotations

import warnings

import dask.array as da
import numpy as np
import pytest
import tifffile

from napari_rdpdenoise.ui.layers.origin import Origin, find_origin


def counts(shape, dtype=np.uint16):
    return np.random.default_rng(0).integers(0, 200, shape).astype(dtype)


@pytest.fixture
def save(tmp_path):
    """Writes an array to a TIFF; the path as a text."""

    def write(data, **how):
        tifffile.imwrite(tmp_path / "image.tif", data, **how)
        return str(tmp_path / "image.tif")

    return write


@pytest.mark.parametrize("axes", ["TYX", "ZYX", "CYX", "TCYX", "TZYX", "ZCYX", "TZCYX"])
def test_axes_are_those_of_the_file_whatever_the_number_of_axes_suggests(save, axes) -> None:
    data = counts(tuple({"T": 4, "Z": 3, "C": 2, "Y": 70, "X": 50}[letter] for letter in axes))
    path = save(data, imagej=True, metadata={"axes": axes})
    assert find_origin(path, data) == find_origin(path, da.from_array(data)) == Origin(path, axes)


@pytest.mark.parametrize("axes", ["CYX", "TCYX", "TZCYX"])
def test_a_channel_of_a_file_is_known_as_such(save, axes) -> None:
    data = counts(tuple({"T": 4, "Z": 3, "C": 2, "Y": 70, "X": 50}[letter] for letter in axes))
    path, second = save(data, imagej=True, metadata={"axes": axes}), data.take(1, axes.index("C"))
    assert find_origin(path, second, 1) == Origin(path, axes.replace("C", ""), 1)
    assert find_origin(path, second, 0) is find_origin(path, second) is None


def test_colours_are_last(save) -> None:
    data = counts((60, 50, 3), np.uint8)
    path = save(data, photometric="rgb")
    assert find_origin(path, data) == Origin(path, "YXS")


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data[:2],  # cropped in time
        lambda data: data[:, 5:, :-5],
        lambda data: np.stack([data, data]),  # of several files
        lambda data: data[::-1],
        lambda data: data + 1,
        lambda data: data.transpose(0, 2, 1),
        lambda data: data.astype(np.float32) / 2,
    ],
)
def test_what_is_not_the_files_image_has_no_file(save, change) -> None:
    data = counts((3, 70, 70))
    path = save(data, imagej=True, metadata={"axes": "TYX"})
    assert find_origin(path, data) is not None
    assert find_origin(path, change(data)) is None


def test_files_that_we_do_not_read_are_not_named(tmp_path) -> None:
    foreign = tmp_path / "cells.png"
    foreign.write_bytes(b"\x89PNG")
    for path in (None, str(foreign), str(tmp_path / "gone.tif"), "https://127.0.0.1:9/none.tif"):
        assert find_origin(path, counts((9, 9))) is None


@pytest.mark.parametrize(
    ("how", "assumed"), [({}, True), ({"imagej": True, "metadata": {"axes": "ZYX"}}, False)]
)
def test_axes_that_a_file_does_not_name_are_known_as_assumed_each_time(save, how, assumed) -> None:
    data = counts((5, 70, 50))
    path = save(data, **how)
    for _ in range(2):  # Python tells a warning once
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            found = find_origin(path, data)
        assert found is not None
        assert found.assumed is assumed
