from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_rdpdenoise.tiles import plan_tiles
from napari_rdpdenoise.ui.preview.canvas import Canvas

PLANE = (150, 200)
TILES = plan_tiles(PLANE, 64, 0)


def noisy(axes="TYX", dtype=np.uint16):
    """Stack with a number of its own in every pixel; T is 4 and Z is 3 long."""
    sizes = {"T": 4, "Z": 3, "Y": PLANE[0], "X": PLANE[1]}
    shape = tuple(sizes[a] for a in axes)
    return (np.arange(np.prod(shape)) % 60_000).reshape(shape).astype(dtype)


class Counting:
    """An array that keeps what was asked of it."""

    def __init__(self, array):
        self.array, self.shape, self.dtype, self.asked = array, array.shape, array.dtype, []

    def __getitem__(self, key):
        part = self.array[key]
        self.asked.append(part.size)
        return part


@st.composite
def keys(draw, shape):
    """Any key of integers, slices and at most one ellipsis, of at most as many parts as axes."""
    parts = []
    for size in shape[: draw(st.integers(0, len(shape)))]:
        kind = draw(st.sampled_from(["integer", "slice", "all"]))
        if kind == "integer":
            parts.append(draw(st.integers(-size, size - 1)))
        elif kind == "slice":
            bounds = st.none() | st.integers(-size - 2, size + 2)
            parts.append(slice(draw(bounds), draw(bounds), draw(st.sampled_from([None, 1, 2, -1]))))
        else:
            parts.append(slice(None))
    if draw(st.booleans()):
        parts.append(Ellipsis)
    return tuple(parts)


def put(canvas, index, tile, block) -> None:
    canvas.plane(index)[tile.core] = block
    canvas.mark(index, (tile,))


@pytest.mark.parametrize("axes", ["YX", "TYX", "YXT", "TXY", "TZYX", "TYZX", "XTZY"])
@given(data=st.data())
def test_slicing_is_that_of_the_whole_array(axes, data) -> None:
    array = noisy(axes)
    canvas, expected = Canvas(array, axes), array.copy()
    leading = [place for place, letter in enumerate(axes) if letter not in "YX"]
    for number in range(2):
        index = tuple(data.draw(st.integers(0, array.shape[place] - 1)) for place in leading)
        block = np.full(TILES[number].core_shape, 61_000 + number, np.uint16)
        put(canvas, index, TILES[number], block)
        where = [slice(None)] * array.ndim
        for place, position in zip(leading, index, strict=True):
            where[place] = position
        plane = expected[tuple(where)]
        (plane.T if axes.index("X") < axes.index("Y") else plane)[TILES[number].core] = block
    key = data.draw(keys(array.shape))
    np.testing.assert_array_equal(canvas[key], expected[key])
    np.testing.assert_array_equal(np.asarray(canvas), expected)


def test_it_is_the_noisy_image_until_something_is_put() -> None:
    array = noisy()
    canvas = Canvas(array, "TYX", np.float32)
    assert (canvas.shape, canvas.dtype, canvas.ndim, canvas.size) == (array.shape, np.float32, 3, array.size)
    np.testing.assert_array_equal(canvas[2], array[2])
    assert canvas.share_done((2,), TILES) == 0
    assert not canvas.done((2,)).any()


def test_a_held_plane_is_seen_through_a_view() -> None:
    canvas = Canvas(noisy(), "TYX", np.float32)
    plane = canvas.plane((1,))
    shown = canvas[1, :, :]
    plane[:] = -1
    assert (shown == -1).all()
    assert np.shares_memory(shown, plane)


def test_the_data_itself_is_never_written_to() -> None:
    array = noisy()
    before = array.copy()
    canvas = Canvas(array, "TYX")
    canvas.plane((0,))[:] = 7
    canvas[1][:] = 9
    np.testing.assert_array_equal(array, before)


def test_done_covers_exactly_the_cores_that_were_marked() -> None:
    canvas = Canvas(noisy(), "TYX")
    chosen = TILES[1::3]
    canvas.mark((0,), chosen)
    expected = np.zeros(PLANE, bool)
    for tile in chosen:
        expected[tile.core] = True
    np.testing.assert_array_equal(canvas.done((0,)), expected)
    assert canvas.share_done((0,), TILES) == pytest.approx(expected.mean())
    assert canvas.share_done((0,), chosen) == 1
    assert not canvas.done((1,)).any()


def test_restart_keeps_the_pixels_of_the_plane_in_use_only() -> None:
    canvas = Canvas(noisy(), "TYX")
    for t in (0, 1):
        put(canvas, (t,), TILES[0], 0)
    canvas.restart()
    assert not canvas.done((1,)).any()
    assert not canvas[1][TILES[0].core].any()
    np.testing.assert_array_equal(canvas[0], noisy()[0])


def test_planes_beyond_the_budget_are_noisy_again_and_the_one_in_use_stays() -> None:
    array = noisy()
    canvas = Canvas(array, "TYX", memory_bytes=2 * array[0].nbytes)
    for t in (0, 1, 2, 1, 3):
        canvas.plane((t,))[:] = 1
    changed = [bool((canvas[t] == 1).all()) for t in range(4)]
    assert changed == [False, True, True, True]
    none = Canvas(array, "TYX", memory_bytes=0)
    none.plane((0,))[:] = 1
    assert (none[0] == 1).all()


def test_one_plane_at_a_time_is_read() -> None:
    counting = Counting(noisy("TZYX"))
    canvas = Canvas(counting, "TZYX")
    canvas.plane((1, 2))
    canvas.plane((1, 2))
    np.asarray(canvas[0, 0])
    assert counting.asked == [PLANE[0] * PLANE[1]] * 2


@pytest.mark.parametrize("key", [[0, 1], (0, np.array([1, 2])), True, (0, 0, 0, 0), (..., 0, ...), 4])
def test_other_keys_are_refused(key) -> None:
    with pytest.raises(IndexError):
        Canvas(noisy(), "TYX")[key]


def test_axes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="3 letters"):
        Canvas(noisy(), "YX")


@pytest.mark.parametrize("axes", ["YX", "TYX", "YXT", "TXY", "XTZY"])
@given(data=st.data())
def test_done_at_a_key_is_done_of_the_whole(axes, data) -> None:
    array = noisy(axes)
    canvas, expected = Canvas(array, axes), np.zeros(array.shape, bool)
    leading = [place for place, letter in enumerate(axes) if letter not in "YX"]
    for number in range(2):
        index = tuple(data.draw(st.integers(0, array.shape[place] - 1)) for place in leading)
        put(canvas, index, TILES[number], 0)
        planes = np.moveaxis(expected, [axes.index("Y"), axes.index("X")], [-2, -1])
        planes[index][TILES[number].core] = True
    key = data.draw(keys(array.shape))
    np.testing.assert_array_equal(canvas.done_at(key), expected[key])
