from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_rdpdenoise.tiles import plan_tiles
from napari_rdpdenoise.ui.layers.stacks import Stack, box_of, overlap, series_planes
from napari_rdpdenoise.ui.preview.canvas import Canvas


def stack(shape, axes, name="cells"):
    return Stack(name, np.arange(np.prod(shape)).reshape(shape), axes)


def test_a_plane_has_rows_first_whatever_the_order_of_axes() -> None:
    plain = stack((2, 3, 4, 5), "TCYX")
    for axes in ("YXTC", "XTYC", "CXYT"):
        order = [plain.axes.index(letter) for letter in axes]
        other = Stack("turned", plain.data.transpose(order), axes)
        assert other.plane_shape == (4, 5)
        index = tuple({"T": 1, "C": 2}[letter] for letter in axes if letter not in "YX")
        np.testing.assert_array_equal(other.plane(index), plain.plane((1, 2)))


def test_a_reference_has_the_shape_or_is_one_plane() -> None:
    noisy = stack((3, 4, 5), "TYX")
    full, single, thin = stack((3, 4, 5), "TYX"), stack((4, 5), "YX"), stack((1, 4, 5), "ZYX")
    np.testing.assert_array_equal(full.beside(noisy, (2,)), full.data[2])
    np.testing.assert_array_equal(single.beside(noisy, (2,)), single.data)
    np.testing.assert_array_equal(thin.beside(noisy, (2,)), thin.data[0])
    for shape, axes in (((2, 4, 5), "TYX"), ((4, 4), "YX"), ((3, 5, 4), "TYX"), ((2, 3, 4, 5), "CTYX")):
        with pytest.raises(ValueError, match=r"expected the shape of cells, \(3, 4, 5\), or one plane of"):
            stack(shape, axes, "clean").beside(noisy, (0,))


def test_a_series_holds_only_what_is_done() -> None:
    data = np.random.default_rng(0).integers(0, 99, (4, 64, 96)).astype(np.uint16)
    noisy, canvas = Stack("cells", data, "TYX"), Canvas(data, "TYX")
    tiles = plan_tiles((64, 96), 64, 64)
    canvas.mark((1,), tiles)
    canvas.mark((3,), tiles[:1])
    reference = Stack("clean", data + 1, "TYX")
    (plane,) = series_planes(Stack("result", canvas, "TYX"), reference, noisy)
    assert plane.where == (1,)
    np.testing.assert_array_equal(plane.reference, data[1] + 1)
    np.testing.assert_array_equal(plane.noisy, data[1])
    assert [p.where for p in series_planes(noisy, reference, None)] == [(0,), (1,), (2,), (3,)]


def test_a_noisy_stack_of_another_shape_is_left_out() -> None:
    result = stack((2, 4, 5), "TYX")
    planes = list(series_planes(result, result, stack((6, 4, 5), "TYX")))
    assert len(planes) == 2
    assert all(plane.noisy is None for plane in planes)


PART = st.tuples(st.integers(0, 20), st.integers(1, 20)).map(lambda p: slice(p[0], p[0] + p[1]))
BOX = st.tuples(PART, PART)


@given(BOX, BOX)
def test_the_overlap_holds_the_pixels_of_both(first, second) -> None:
    masks = np.zeros((2, 40, 40), bool)
    masks[0][first] = masks[1][second] = True
    both, found = masks.all(0), np.zeros((40, 40), bool)
    box = overlap(first, second)
    if box is not None:
        found[box] = True
    np.testing.assert_array_equal(found, both)
    assert overlap(first, None) is overlap(None, first) is None


@given(st.lists(st.tuples(st.floats(-5, 25), st.floats(-5, 35)), min_size=2, max_size=5))
def test_a_region_holds_the_pixels_whose_centres_it_covers(corners) -> None:
    low, high = np.min(corners, 0), np.max(corners, 0)
    y, x = np.mgrid[:20, :30]
    inside = (y >= low[0]) & (y <= high[0]) & (x >= low[1]) & (x <= high[1])
    if not inside.any():
        with pytest.raises(ValueError, match="region: expected a shape that covers pixels of the 20 x 30 px"):
            box_of(corners, (20, 30))
        return
    found = np.zeros_like(inside)
    found[box_of(corners, (20, 30))] = True
    np.testing.assert_array_equal(found, inside)
