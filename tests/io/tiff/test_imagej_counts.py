"""ImageJ's counts of planes that are no numbers: what is in the file is read, and it is said."""

from __future__ import annotations

import math
import re
import warnings

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from napari_rdpdenoise.io import open_image
from napari_rdpdenoise.io.tiff.imagej_counts import with_right_counts, wrong_counts

PLANES = np.random.default_rng(0).poisson(40, (6, 30, 40)).astype("u2")
WRONG = ["abc", "", "0", "-3", "nan", "9" * 30, "2.5", "1e9"]


def write(path, said, how):
    text = f"ImageJ=1.53t\n{said}\n"
    options = {"photometric": "minisblack", "metadata": None, "description": text}
    if how == "one page":  # as ImageJ writes it: all planes follow the only directory
        tifffile.imwrite(path, PLANES[0], **options)
        path.write_bytes(path.read_bytes() + PLANES[1:].tobytes())
    else:
        tifffile.imwrite(path, PLANES, **options, compression="zlib" if how == "compressed" else None)


@pytest.mark.parametrize("how", ["one page", "pages", "compressed"])
@pytest.mark.parametrize("value", WRONG)
@pytest.mark.parametrize(
    ("said", "axes"),
    [("images={}", "TYX"), ("images=6\nslices={}", "ZYX"), ("images=6\nslices=2\nframes={}", "TZYX")],
)
def test_all_planes_are_read_and_it_is_said(tmp_path, said, axes, value, how):
    write(tmp_path / "a.tif", said.format(value), how)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        source = open_image(tmp_path / "a.tif")
    assert f"={value} in its ImageJ description, which is no number" in " ".join(str(w.message) for w in told)
    assert source.metadata.axes == axes
    expected = PLANES.reshape((3, 2, 30, 40) if len(axes) == 4 else PLANES.shape)
    for index in np.ndindex(*source.shape[:-2]):
        np.testing.assert_array_equal(source.read(index, slice(0, 30), slice(0, 40)), expected[index])
    source.close()


@given(st.fixed_dictionaries({}, optional={k: st.integers(1, 9) for k in ("frames", "slices", "channels")}))
def test_right_counts_stay(counts):
    images = math.prod(counts.values())
    lines = [f"images={images}", *(f"{name}={count}" for name, count in counts.items()), "images2=x", "min=a"]
    text = "\n".join(["ImageJ=1.53", *lines])
    assert wrong_counts(text) == []
    assert with_right_counts(text, 5) == text
    for line in lines[:-2]:
        broken = text.replace(line, re.sub("=.*", "=?", line), 1)
        assert wrong_counts(broken) == [re.sub("=.*", "=?", line)]
        assert with_right_counts(broken, images) == text


def test_descriptions_of_others_are_left_alone():
    assert wrong_counts("images=abc") == []


@pytest.mark.parametrize(("said", "shape"), [("images=6", (6,)), ("images=6\nslices=2", (3, 2))])
def test_images_that_are_counted_as_nothing_else_are_read_all(tmp_path, said, shape):
    write(tmp_path / "a.tif", said, "one page")
    with pytest.warns(UserWarning, match="does not say what its axes"):
        source = open_image(tmp_path / "a.tif")
    expected = PLANES.reshape(*shape, 30, 40)
    assert source.shape == expected.shape
    for index in np.ndindex(*shape):
        np.testing.assert_array_equal(source.read(index, slice(0, 30), slice(0, 40)), expected[index])
    source.close()


def test_images_that_are_counted_and_cut_off_are_told(tmp_path):
    write(tmp_path / "a.tif", "images=6", "one page")
    (tmp_path / "a.tif").write_bytes((tmp_path / "a.tif").read_bytes()[: -PLANES[0].nbytes - 9])
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        source = open_image(tmp_path / "a.tif")
    assert "4 of the 6 planes that it declares are there" in " ".join(str(w.message) for w in told)
    assert source.shape == (4, 30, 40)
    source.close()
