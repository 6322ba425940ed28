from __future__ import annotations

from dataclasses import replace

import dask.array as da
import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st

from napari_rdpdenoise.codec.normalization import Normalization
from napari_rdpdenoise.noise import NoiseModel
from napari_rdpdenoise.stream.plan import ChannelPlan
from napari_rdpdenoise.tiles import plan_tiles
from napari_rdpdenoise.ui.compare.arrays import (
    Difference,
    Gap,
    KeptShare,
    Removed,
    Split,
)
from napari_rdpdenoise.ui.preview.canvas import Canvas
from napari_rdpdenoise.ui.preview.shown import Shown

PLANE = (70, 130)
NOISE = NoiseModel(gain=2.0, offset=100.0, read_noise=5.0)
LAYOUTS = ["YX", "TYX", "TXY", "YXT", "TYZX"]


def shape_of(axes):
    sizes = {"T": 3, "Z": 2, "Y": PLANE[0], "X": PLANE[1]}
    return tuple(sizes[letter] for letter in axes)


def counts(shape, dtype=np.uint16, seed=0):
    return np.random.default_rng(seed).integers(0, 200, shape).astype(dtype)


def pieces(size):
    bounds = st.none() | st.integers(-size - 2, size + 2)
    return st.integers(-size, size - 1) | st.builds(slice, bounds, bounds, st.sampled_from([None, 1, 2, -1]))


def keys(shape):
    return st.tuples(*(pieces(size) for size in shape))


def shown_plane(index=(), shape=PLANE, done=None, noise=NOISE, alpha=0.0):
    """A plane whose gap is a number of its own in every pixel; NaN where it is not done."""
    done = np.ones(shape, bool) if done is None else done
    fidelity = np.where(done, 300.0, np.nan).astype(np.float32)
    gap = np.arange(1, done.size + 1, dtype=np.float32).reshape(shape)
    plan = None if noise is None else ChannelPlan(Normalization(noise, 0.0, 1.0), 0.5, None)
    share = np.linspace(0, 1, done.size, dtype=np.float16).reshape(shape)
    return Shown("cells", index, counts(shape), fidelity, fidelity + gap, done, alpha, plan, 0.3, share)


# What was removed


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.uint32, np.float32, np.float64])
@pytest.mark.parametrize("kind", [np.asarray, lambda a: da.from_array(a, 16), lambda a: zarr.array(a)])
def test_the_difference_and_the_result_add_up(dtype, kind) -> None:
    noisy, result = counts((3, 20, 30), dtype), counts((3, 20, 30), dtype, seed=1)
    difference = Difference(kind(noisy), kind(result))
    assert (difference.shape, difference.dtype) == (noisy.shape, np.float32)
    for key in (0, (slice(None), 4), (..., 7), ...):
        removed = difference[key]
        assert removed.dtype == np.float32
        assert (removed < 0).any()
        np.testing.assert_array_equal(removed + result[key].astype(float), noisy[key].astype(float))


def test_wide_counts_keep_their_last_digit() -> None:
    noisy, result = np.full((1, 1), 2**31 + 1, np.uint32), np.full((1, 1), 2**31, np.uint32)
    assert Difference(noisy, result)[0, 0] == 1


@pytest.mark.parametrize("axes", LAYOUTS)
@given(data=st.data())
def test_what_is_not_done_is_0(axes, data) -> None:
    noisy = counts(shape_of(axes)) + np.uint16(1000)
    canvas = Canvas(noisy, axes, "float32")
    leading = [place for place, letter in enumerate(axes) if letter not in "YX"]
    tiles = plan_tiles(PLANE, 64, 0)
    index = tuple(data.draw(st.integers(0, noisy.shape[place] - 1)) for place in leading)
    expected = np.zeros(noisy.shape, np.float32)
    for tile in tiles:
        canvas.plane(index)[tile.core] = 7.0
    canvas.restart()  # the pixels stay, but they are of other settings
    done = data.draw(st.lists(st.sampled_from(tiles), unique=True))
    rows = np.moveaxis(expected, [axes.index("Y"), axes.index("X")], [-2, -1])[index]
    plane = np.moveaxis(noisy, [axes.index("Y"), axes.index("X")], [-2, -1])[index]
    for tile in done:
        canvas.mark(index, [tile])
        rows[tile.core] = plane[tile.core] - np.float32(7)
    key = data.draw(keys(noisy.shape))
    found = Difference(noisy, canvas)[key]
    assert found.shape == expected[key].shape
    np.testing.assert_array_equal(found, expected[key])


def test_pixels_that_are_no_number_are_0() -> None:
    noisy = np.array([[np.nan, np.inf, 5.0]], np.float32)
    np.testing.assert_array_equal(Difference(noisy, np.ones((1, 3), np.float32))[...], [[0, 0, 4]])


def test_only_what_is_asked_for_is_read() -> None:
    class Stack:
        shape, dtype, asked = (1000, 2000, 2000), np.dtype(np.uint16), 0

        def __getitem__(self, key):
            part = np.broadcast_to(np.uint16(3), self.shape)[key]
            self.asked += part.size
            return part

    noisy, result = Stack(), Stack()
    Difference(noisy, result)[5, :10, :10]
    Split(noisy, result, 2, 700)[5, :10, :10]
    assert (noisy.asked, result.asked) == (200, 200)


def test_results_of_a_part_are_refused() -> None:
    with pytest.raises(ValueError, match=r"result: expected the shape .*\(3, 5, 5\), found \(2, 5, 5\)"):
        Difference(np.zeros((3, 5, 5)), np.zeros((2, 5, 5)))


# What was removed, in units of the noise


@pytest.mark.parametrize("axes", ["YX", "TYX", "TCYX", "CTYX", "YXC"])
@given(data=st.data())
def test_every_channel_is_measured_by_its_own_noise(axes, data) -> None:
    shape = tuple({"T": 3, "C": 2, "Y": 7, "X": 9}[letter] for letter in axes)
    noisy, result = counts(shape), counts(shape, seed=1)
    models = {0: NOISE, 1: NoiseModel(gain=0.0, offset=0.0, read_noise=50.0)}
    expected = (noisy.astype(float) - result) / np.sqrt(NOISE.variance(result.astype(float)))
    if "C" in axes:
        other = (noisy.astype(float) - result) / 50.0
        second = np.moveaxis(np.zeros(shape, bool), axes.index("C"), 0)
        second[1] = True
        second = np.moveaxis(second, 0, axes.index("C"))
        expected = np.where(second, other, expected)
    removed = Removed(noisy, result, axes, lambda channel, index: models[channel])
    key = data.draw(keys(shape))
    assert removed[key].dtype == np.float32
    np.testing.assert_allclose(removed[key], expected[key], rtol=1e-5)
    assert not Removed(noisy, result, axes, lambda channel, index: None)[key].any(), "not known yet"


# The split view


@given(data=st.data())
def test_a_split_is_noisy_up_to_the_divider_and_leaves_both_as_they_are(data) -> None:
    noisy = np.arange(4 * 6 * 5).reshape(4, 6, 5)
    result = np.array(-noisy, np.float32)
    axis = data.draw(st.integers(0, 2))
    split = Split(noisy, result, axis, 0)
    split.move(data.draw(st.integers(0, noisy.shape[axis])))
    place = np.arange(noisy.shape[axis]).reshape([-1 if a == axis else 1 for a in range(3)])
    expected = np.where(place < split.stop, noisy, result)
    assert (split.shape, split.dtype) == (noisy.shape, np.float32)
    key = data.draw(keys(noisy.shape))
    np.testing.assert_array_equal(split[key], expected[key])
    assert (result == -noisy).all()


@pytest.mark.parametrize(("axis", "stop"), [(3, 1), (-1, 1), (0, -1), (0, 5)])
def test_dividers_outside_are_refused(axis, stop) -> None:
    with pytest.raises(ValueError, match=r"axis: expected|stop: expected"):
        Split(np.zeros((4, 6, 5)), np.zeros((4, 6, 5)), axis, stop)


# Texture that the data do not determine


@pytest.mark.parametrize("axes", LAYOUTS)
@given(data=st.data())
def test_the_gap_is_in_its_plane_alone(axes, data) -> None:
    shape = shape_of(axes)
    leading = [place for place, letter in enumerate(axes) if letter not in "YX"]
    index = tuple(data.draw(st.integers(0, shape[place] - 1)) for place in leading)
    done = np.zeros(PLANE, bool)
    done[: data.draw(st.integers(0, PLANE[0]))] = True
    gap = Gap(shape, axes)
    assert not gap[...].any()
    assert gap.show(shown_plane(index, done=done))
    expected = np.zeros(shape, np.float32)
    plane = np.arange(1, done.size + 1, dtype=np.float32).reshape(PLANE) * done
    plane /= np.sqrt(NOISE.variance(300.0)).astype(np.float32)
    np.moveaxis(expected, [axes.index("Y"), axes.index("X")], [-2, -1])[index] = plane
    key = data.draw(keys(shape))
    np.testing.assert_allclose(gap[key], expected[key], rtol=1e-6)
    np.testing.assert_allclose(gap.plane, plane, rtol=1e-6)
    assert not gap.show(None)
    assert not gap[...].any()


@pytest.mark.parametrize("kind", [Gap, KeptShare])
def test_planes_of_another_layer_are_refused(kind) -> None:
    with pytest.raises(ValueError, match=r"shown: expected a plane of \(70, 130\)"):
        kind((3, 70, 130), "TYX").show(shown_plane((0,), (70, 131)))


def test_what_was_kept_is_in_its_plane_alone_and_where_it_is_done() -> None:
    done = np.zeros(PLANE, bool)
    done[: PLANE[0] // 2] = True
    shown = shown_plane((1,), done=done)
    kept = KeptShare((3, *PLANE), "TYX")
    assert kept.show(shown)
    np.testing.assert_array_equal(kept[1], np.where(done, shown.share, 0).astype(np.float32))
    assert kept[1].any()
    assert not kept[0].any()
    assert not kept[2].any()
    assert not kept.show(replace(shown, share=None))
    assert not kept[...].any()
