"""Regions of one value amid the noise are found though each plane has another; image never is."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_rdpdenoise.io import open_image
from napari_rdpdenoise.noise.constant import find_constant, solid
from napari_rdpdenoise.noise.fill_values import find_own_limits
from napari_rdpdenoise.noise.invalid import screen, screen_sample
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
    assert limits == (frames[::2].min(), frames[::2].max())
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
