"""Axes: what is accepted, what each refusal says, and colours as files and viewers have them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_rdpdenoise.axes import (
    channel_axis,
    channels_as_colours,
    check_axes,
    colour_count,
    colours_as_channels,
    colours_last,
    default_axes,
    has_colours,
    is_picture,
    without_colours,
)

AXES = st.permutations("TZCSYX").flatmap(
    lambda letters: st.sets(st.sampled_from("TZCS")).map(
        lambda kept: "".join(letter for letter in letters if letter in {*kept, "Y", "X"})
    )
)


def test_axes_in_any_case_are_accepted():
    assert check_axes(" tzcyx ", 5) == "TZCYX"


@pytest.mark.parametrize(
    ("axes", "ndim", "message"),
    [
        ("X", 1, "at least 2 dimensions"),
        ("TYX", 4, r"4 letters, one per dimension.*'TYX' \(3\)"),
        ("TTYX", 4, "every letter once.*'TTYX'"),
        ("TZC", 3, "without Y and X.*--axes"),
        ("TZX", 3, "without Y;"),
        ("T1YX", 4, "letters only"),
    ],
)
def test_wrong_axes_are_refused_with_what_was_found(axes, ndim, message):
    with pytest.raises(ValueError, match=message):
        check_axes(axes, ndim)


@given(AXES)
def test_colours_are_the_channels_of_an_image_without_any(axes):
    place = channel_axis(axes)
    assert (place is None) == (not set("CS") & set(axes))
    if place is not None:
        assert axes[place] == ("C" if "C" in axes else "S")
        assert colours_as_channels(axes).index("C") == place


@given(AXES)
def test_colours_that_a_file_keeps_as_channels_come_back(axes):
    assert channels_as_colours(colours_as_channels(axes), axes) == axes


@given(AXES, AXES)
def test_channels_of_an_image_without_colours_stay(axes, original):
    found = channels_as_colours(axes, without_colours(original))
    assert found == axes


@given(AXES)
def test_a_viewer_has_colours_behind_all_other_axes(axes):
    last = colours_last(axes)
    assert sorted(last) == sorted(axes)
    assert without_colours(last) == without_colours(axes) == last.removesuffix("S")
    assert colours_last(axes, colours=False) == without_colours(axes)
    assert has_colours(colours_last(axes, colours=True))


@pytest.mark.parametrize(
    ("axes", "shape", "picture"),
    [
        ("YXS", (9, 9, 3), True),
        ("SYX", (4, 9, 9), True),  # with opacity
        ("SYX", (2, 9, 9), False),  # grey, and opacity
        ("SYX", (5, 9, 9), False),  # of more bands than a picture has colours
        ("CYX", (3, 9, 9), False),
        ("YX", (9, 9), False),
    ],
)
def test_a_picture_has_three_colours_and_perhaps_opacity(axes, shape, picture):
    assert is_picture(axes, shape) is picture
    assert colour_count(axes, shape) == (shape[axes.index("S")] if "S" in axes else 1)


@pytest.mark.parametrize(
    ("shape", "dtype", "axes"),
    [
        ((9, 9), "uint8", "YX"),
        ((9, 9, 3), "uint8", "YXS"),
        ((9, 9, 4), "uint8", "YXS"),
        ((9, 9, 3), "uint16", "TYX"),
        ((5, 9, 9, 2), "uint8", "TZYX"),
        ((2, 3, 2, 9, 9, 3), "uint8", "TCZYXS"),
    ],
)
def test_axes_of_an_array_that_names_none(shape, dtype, axes):
    assert default_axes(shape, np.dtype(dtype)) == axes


@pytest.mark.parametrize("shape", [(9,), (2, 3, 2, 9, 9, 5)])
def test_too_few_or_too_many_dimensions_need_names(shape):
    with pytest.raises(ValueError, match=r"axes|at least 2 dimensions"):
        default_axes(shape, np.dtype("uint8"))
