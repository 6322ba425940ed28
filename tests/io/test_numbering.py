"""Gaps, doubles and second counts in the names of frames."""

from __future__ import annotations

import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from napari_rdpdenoise.io import open_stack
from napari_rdpdenoise.io.numbering import check_numbers


@given(st.integers(0, 50), st.integers(1, 20), st.integers(2, 30), st.data())
def test_a_number_that_is_missing_is_named_and_nothing_else(first, step, count, data):
    numbers = [first + step * k for k in range(count + 3)]
    names = [f"x/cell2_t{n:03}.tif" for n in numbers]
    assert check_numbers(names) is None
    gone = data.draw(st.integers(1, count + 1))
    said = check_numbers(names[:gone] + names[gone + 1 :])
    if count + 2 > 3:  # of three steps one is twice as long
        assert said.startswith("1 number is missing")
        assert f"({numbers[gone]})" in said


def test_many_are_counted_and_some_are_named():
    said = check_numbers([f"t{n}.tif" for n in (*range(10), *range(2000, 2010))])
    assert (
        "1990 numbers are missing in the names of 20 files, between 0 and 2009 (10, 11, 12, 13, 14, ...)"
        in said
    )


@pytest.mark.parametrize(
    "names",
    [
        ["a.tif"], ["t1.tif", "t9.tif"], ["control.tif", "treated.tif"], ["a.tif", "t1.tif"],
        ["f1_170001.tif", "f2_170913.tif", "f3_171000.tif"],  # a count beside a time
        ["img_120301.tif", "img_120407.tif", "img_120911.tif", "img_121500.tif"],  # times alone
        [f"day{n}.tif" for n in (1, 2, 4, 8, 16)], ["d/scan_0.5", "d/scan_0.7"], ["a/t0.5.tif", "a/t1.5.tif"],
    ],
)  # fmt: skip
def test_nothing_is_said_where_numbers_do_not_count(names):
    assert check_numbers(names) is None


@pytest.mark.parametrize(
    "names",
    [
        ["t1.tif", "t1.tiff", "t2.tif"], ["t1.tif", "t2.tif", "t02.tif"], ["t1.ome.tif", "t1.tif"],
        ["a.tif", "a.tiff"],
    ],
)  # fmt: skip
def test_a_frame_that_is_there_twice_is_refused(names):
    with pytest.raises(ValueError, match=r"stack: expected every frame once, found .* and "):
        check_numbers(names)


@pytest.mark.parametrize(
    "names",
    [
        [f"t{t}_z{z}.tif" for t in range(3) for z in range(2)],
        [f"t{t}_{c}.tif" for t in range(3) for c in ("GFP", "RFP")],
        [f"dish{d}/t{t}.tif" for d in range(2) for t in range(4)],
    ],
)
def test_two_counts_in_the_names_are_told(names):
    assert f"the {len(names)} files tell them apart by more than one number (number 0: " in check_numbers(
        names
    )


def test_it_is_told_where_a_stack_is_opened(tmp_path, image):
    for number in (0, 1, 2, 4, 5):
        tifffile.imwrite(tmp_path / f"t{number}.tif", image((20, 30)))
    with pytest.warns(UserWarning, match=r"stack: 1 number is missing .* \(3\)"):
        open_stack(f"{tmp_path}/*.tif", "T").close()
    tifffile.imwrite(tmp_path / "t4.tiff", image((20, 30)))
    with pytest.raises(ValueError, match=r"found t4\.tif and t4\.tiff"):
        open_stack(f"{tmp_path}/*.tif*", "T")
