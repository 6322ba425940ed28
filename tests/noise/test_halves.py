"""Two cameras in one frame are told from one camera whose halves show different things."""

from __future__ import annotations

import numpy as np
import pytest

from napari_rdpdenoise.io import open_image
from napari_rdpdenoise.noise.halves import find_halves
from napari_rdpdenoise.stream.sample import sample_channel
from tests.support.exposures import GAIN, OFFSET, READ, light, stored


def frame(gains, axis=1, shape=(160, 160), peaks=(80.0, 80.0)):
    """Halves of two scenes, with a gain and a brightness of their own."""
    rng, halves = np.random.default_rng(2), []
    for seed, (gain, peak) in enumerate(zip(gains, peaks, strict=True)):
        counts = gain * GAIN * rng.poisson(light(shape, seed, peak)) + rng.normal(0, gain * READ, shape)
        halves.append(stored(OFFSET + counts, "u2"))
    return np.concatenate(halves, axis)


@pytest.mark.parametrize(
    ("gains", "axis", "half"),
    [((1, 4), 1, "right"), ((6, 1), 1, "left"), ((5, 1), 0, "upper"), ((1, 4), 0, "lower")],
)
def test_two_gains_in_one_frame_are_told(gains, axis, half):
    image = frame(gains, axis)
    found = find_halves([image], [(0, 0)], image.shape)
    assert found is not None
    assert found.noisier == half
    assert 0.7 * max(gains) ** 0.5 < found.factor < 1.1 * max(gains)
    assert any(
        f"the {half} half of the image has" in text for text in sample_channel(open_image(image)).left_alone()
    )


def test_they_are_told_in_windows_of_a_large_frame():
    image = frame((1, 4), shape=(600, 400))
    windows = [image[:300, 100:450], image[200:500, 420:800]]
    assert find_halves(windows, [(0, 100), (200, 420)], image.shape) is not None
    assert find_halves(windows[1:], [(200, 420)], image.shape) is None, "all of it is of one half"


@pytest.mark.parametrize("peaks", [(80.0, 80.0), (300.0, 10.0), (5.0, 80.0)])
def test_one_camera_has_one_noise(peaks):
    for axis in (0, 1):
        image = frame((1, 1), axis, peaks=peaks)
        assert find_halves([image], [(0, 0)], image.shape) is None
    assert find_halves([], [], (5, 5)) is None
    assert find_halves([image[:20, :20]], [(0, 0)], (20, 20)) is None
