"""Images that were multiplied by a mask with soft edges are told, and measured without its edges."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_rdpdenoise.io import open_image
from napari_rdpdenoise.noise import estimate_noise
from napari_rdpdenoise.noise.fading import find_fading
from napari_rdpdenoise.noise.invalid_sample import screen_sample
from napari_rdpdenoise.stream.sample import sample_channel
from tests.noise.test_invalid import FOLDERS
from tests.support.exposures import GAIN, OFFSET, exposure, light, stored


def soft_disc(radius=100, blur=8.0):
    y, x = np.ogrid[:256, :256]
    return ndimage.gaussian_filter((np.hypot(y - 128, x - 128) < radius).astype(float), blur)


def soft_box():
    inside = np.zeros((256, 256))
    inside[30:-30, 30:-30] = 1
    return ndimage.gaussian_filter(inside, 8)


MASKS = {"disc": soft_disc(), "steep disc": soft_disc(blur=3), "box": soft_box()}


@pytest.mark.parametrize("dtype", ["u2", "f4"])
@pytest.mark.parametrize("peak", [60, 1000])
@pytest.mark.parametrize("mask", MASKS)
def test_the_noise_is_that_of_the_image(mask, peak, dtype):
    counts, _ = exposure(shape=(256, 256), peak=peak)
    rule, _ = screen_sample([stored(counts * MASKS[mask], dtype)])
    assert rule.fading > 0
    expected = estimate_noise([counts])
    for level in np.quantile(counts, [0.3, 0.5, 0.95]):
        assert rule.noise.variance(level) ** 0.5 == pytest.approx(expected.variance(level) ** 0.5, rel=0.25)


def test_it_is_told_in_one_line():
    counts, _ = exposure(shape=(256, 256))
    (told,) = sample_channel(open_image(stored(counts * MASKS["disc"], "f4"))).left_alone()
    assert "of the sample fades softly" in told


def test_edges_of_a_mask_are_no_change_of_the_noise():
    """A series whose masks differ from plane to plane: of some more fades than of others."""
    for seed in range(3):
        counts = [exposure(seed=10 * seed + t, shape=(256, 256), peak=60)[0] for t in range(6)]
        radii = (40, 80, 110, 140, 80, 40)
        series = np.stack([stored(c * soft_disc(r, 14), "u2") for c, r in zip(counts, radii, strict=True)])
        sample = sample_channel(open_image(series, "TYX"))
        noise = sample.rule.noise
        assert sample.rule.fading > 0
        assert sample.trend(noise) is None
        assert sample.unsteady_words(noise) == ""


def test_light_that_fades_to_black_is_image():
    """Cells, beads and vignettes of a camera without offset, of little and much light."""
    rng, mask = np.random.default_rng(0), MASKS["disc"]
    for peak in (5, 60, 1000):
        for photons in (
            peak * mask,
            mask * light((256, 256), peak=peak),
            np.maximum(light((256, 256)) - 5, 0),
        ):
            assert find_fading([(GAIN * rng.poisson(photons)).astype("u2")]) is None
            assert find_fading([stored(GAIN * rng.poisson(photons) + OFFSET, "u2")]) is None
    assert find_fading([exposure(shape=(256, 256))[0]]) is None


@pytest.mark.parametrize("folder", FOLDERS)
def test_real_images_are_image(data_folder, folder):
    from skimage.io import imread

    paths = sorted((data_folder / "data" / "train" / folder).glob("*.png"))
    assert all(find_fading([imread(path)]) is None for path in paths[:: max(1, len(paths) // 6)])


def test_small_and_missing():
    assert find_fading([]) is None
    assert find_fading([np.ones((2, 7), np.uint8), np.full((60, 60), np.nan, np.float32)]) is None
    assert find_fading([np.zeros((60, 60), np.float16)]) is None
