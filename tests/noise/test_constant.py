"""Regions of one value amid the noise are found though each plane has another; image never is."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_rdpdenoise.io import open_image
from napari_rdpdenoise.noise.constant import Limits, find_constant, solid
from napari_rdpdenoise.noise.fill_values import find_own_limits
from napari_rdpdenoise.noise.invalid import screen
from napari_rdpdenoise.noise.invalid_sample import screen_sample
from napari_rdpdenoise.stream.sample import sample_channel
from tests.support.exposures import exposure, stored


def drift(dtype, count=10):
    """Frames that drift away from a border which has the mean of each, and where that is."""
    frames = np.stack([stored(exposure(seed, peak=20.0 + 9 * seed)[0], dtype) for seed in range(count)])
    border = np.zeros(frames.shape, bool)
    for n, frame in enumerate(frames):
        border[n, : 3 * n] = border[n, :, 160 - 2 * n :] = True
        frame[border[n]] = stored(frame[~border[n]].mean(), dtype)
    return frames, border


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
def test_means_of_each_plane_are_found(dtype):
    frames, border = drift(dtype)
    limits = find_own_limits(list(frames[::2]))
    assert limits == Limits(frames[::2].min(), frames[::2].max())
    for n, frame in enumerate(frames):
        at = find_constant(frame, limits)
        assert n < 3 or at[border[n]].mean() > 0.99
        assert at[~border[n]].mean() < 1e-3


def test_planes_that_are_not_in_the_sample_are_screened_as_well():
    frames, border = drift("f4")
    rule, found = screen_sample(list(frames[::2]))
    assert rule.constant is not None
    assert all(np.array_equal(part.regions, at) for part, at in zip(found[2:], border[4::2], strict=True))
    assert np.array_equal(screen(frames[7], rule).regions, border[7])
    assert find_own_limits(list(frames[:1])) is None
    rule, found = screen_sample(list(frames[::2]), "none")
    assert all(part.regions is None for part in found)


def test_it_is_told_in_one_line():
    frames, _ = drift("f4")
    (told,) = sample_channel(open_image(frames, axes="TYX")).left_alone()
    assert "exactly one value" in told


@pytest.mark.parametrize("dtype", ["u2", "f4"])
@pytest.mark.parametrize("order", [0, 1, 3])
def test_a_mean_is_found_where_the_image_was_turned_or_moved(order, dtype):
    """Interpolation makes the noise smaller and smooth, and mixes it with the mean."""
    counts, _ = exposure()
    how = {"order": order, "mode": "constant", "cval": float(np.rint(counts.mean()))}
    for move in (
        lambda image, **how: ndimage.rotate(image, 9, reshape=False, **how),
        lambda image, **how: ndimage.shift(image, (12.4, -7.3), **how),
    ):
        border = move(np.ones(counts.shape), order=order, mode="constant") < 1e-6
        rule, (found,) = screen_sample([stored(move(counts, **how), dtype)])
        assert [fill.value for fill in rule.values] == [how["cval"]]
        assert found.regions[border].mean() > 0.97
        assert found.regions[~ndimage.binary_dilation(border, iterations=3)].mean() < 2e-3


@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_black_and_saturated_parts_are_image(dtype):
    """Each plane may have a level of its own at which it is cut off, too."""
    planes = [np.clip(stored(exposure(seed)[0], "i4") - 112, 0, 60).astype(dtype) for seed in range(4)]
    assert max((plane == 60).sum() for plane in planes) > 400
    assert find_own_limits(planes) is None
    assert find_own_limits([np.minimum(plane, 50 + n) for n, plane in enumerate(planes)]) is None


def test_what_noise_brings_together_is_not_solid():
    at = np.random.default_rng(0).random((400, 400)) < 0.25
    assert not solid(at).any()
    at[40:44, 50:54] = at[100:102, 200:260] = True
    found = solid(at)
    assert found[40:44, 50:54].all()
    assert found[100:102, 200:260].all()
    assert found.sum() < 300


class TestUnseen:
    """Planes that are not in the sample hold regions of one value, which the sample has none of."""

    @pytest.mark.parametrize("dtype", ["u2", "f4", ">u2"])
    @pytest.mark.parametrize("value", [0, 140, 60000])
    def test_regions_of_any_value_are_left_out(self, value, dtype):
        rule, _ = screen_sample([stored(exposure(seed)[0], dtype) for seed in range(2)])
        lost = stored(exposure(5)[0], dtype)
        lost[90:, 30:] = value
        at = np.zeros(lost.shape, bool)
        at[90:, 30:] = True
        found = screen(lost, rule)
        assert np.array_equal(found.regions, at)
        assert np.array_equal(found.unseen, at)
        assert not at[found.filled < 90].any()

    def test_a_plane_that_was_lost_is_left_out_as_a_whole(self):
        rule, _ = screen_sample([stored(exposure(seed)[0], "u2") for seed in range(2)])
        assert screen(np.zeros((160, 160), "u2"), rule).regions.all()

    def test_ends_of_the_sample_and_what_is_hardly_beyond_are_image(self):
        windows = [stored(exposure(seed)[0], "u2") for seed in range(2)]
        rule, _ = screen_sample(windows)
        low, high = min(w.min() for w in windows), max(w.max() for w in windows)
        for value in (low, low - 4, high, high + 30):  # where a camera clips
            plane = stored(exposure(5)[0], "u2")
            plane[40:60, 40:60] = value
            assert screen(plane, rule).unseen is None

    @pytest.mark.parametrize(
        ("gain", "dtype"),
        [(0.05, "u1"), (0.05, "u2"), (1.0, "u2")],
        ids=["coarse u1", "coarse u2", "regions"],
    )
    def test_nothing_is_said_where_chance_makes_regions_or_the_sample_has_some(self, gain, dtype):
        windows = [stored(exposure(seed)[0] * gain, dtype) for seed in range(2)]
        if gain == 1:
            windows[1][20:25, 20:25] = 130
        assert screen_sample(windows)[0].unseen is None


@pytest.mark.parametrize("dtype", ["u1", "u2", "f2", "f4", ">f4", "i4"])
def test_blocks_are_found_wherever_they_begin(dtype):
    plane = stored(exposure(3, (40, 40))[0] / 2, dtype)
    limits = Limits(-1, 1e9)
    for y in (0, 7, 10, 35):
        for x in (0, 6, 13, 35):
            image, at = plane.copy(), np.zeros(plane.shape, bool)
            image[y : y + 5, x : x + 5] = 77
            at[y : y + 5, x : x + 5] = True
            assert np.array_equal(find_constant(image, limits), at)
            image[y + 4, x + 4] = 78
            assert not find_constant(image, limits).any()
