"""Letters with smooth edges stay whole, thin ones too, and the image near to them is image."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_rdpdenoise.noise import NoiseModel
from napari_rdpdenoise.noise.invalid import screen
from napari_rdpdenoise.noise.invalid_sample import screen_sample
from napari_rdpdenoise.noise.smooth_strokes import faint_edge, find_strokes
from tests.support.exposures import GAIN, OFFSET, READ, exposure, stored

SHAPE = (192, 256)
NOISE = NoiseModel(GAIN, OFFSET, READ)
EIGHT = np.ones((3, 3), bool)


def letters(size, places=((8, 20), (20, 60))):
    """Share of each pixel that letters cover, and a bar with a smooth edge."""
    from PIL import Image, ImageDraw, ImageFont

    picture = Image.new("L", SHAPE[::-1])
    for place, text in zip(places, ("00:12:45.3 s", "10 µm"), strict=False):
        ImageDraw.Draw(picture).text(place, text, 255, font=ImageFont.load_default(size))
    fine = np.zeros((4 * SHAPE[0], 4 * SHAPE[1]))
    fine[690:715, 242:441] = 1
    return np.maximum(np.asarray(picture) / 255, fine.reshape(SHAPE[0], 4, SHAPE[1], 4).mean((1, 3)))


def told(counts, sigma, size, value, dtype):
    """What is left of letters above the noise, and of the image away from them."""
    share = letters(size)
    _, (found,) = screen_sample([stored(counts * (1 - share) + value * share, dtype)])
    seen = share * np.abs(value - counts) > 4 * sigma
    away = ~ndimage.binary_dilation(share > 0, EIGHT, 2)
    return found.left[seen].mean(), found.left[away].mean()


@pytest.mark.parametrize("size", [14, 18, 24, 32])
@pytest.mark.parametrize("value", [1000, 4095, 65535])
def test_letters_on_a_dark_ground_stay(size, value):
    letter, image = told(*exposure(shape=SHAPE), size, value, "u2")
    assert letter > 0.985
    assert image < 1e-3


@pytest.mark.parametrize("size", [14, 18])
@pytest.mark.parametrize(
    ("level", "sigma", "value"), [(200, 4, 255), (180, 8, 255), (245, 4, 0), (180, 8, 0)]
)
def test_letters_on_a_bright_ground_stay(size, level, sigma, value):
    ground = level + np.random.default_rng(0).normal(0, sigma, SHAPE)
    letter, image = told(ground, np.full(SHAPE, sigma), size, value, "u1")
    assert letter > 0.975
    assert image < 1e-3


@pytest.mark.parametrize("width", [1.0, 1.5, 2.5])
def test_thin_light_beside_a_label_is_image(width):
    """Filaments as sharp as optics make them, up to the value of the label itself."""
    counts, _ = exposure(shape=SHAPE)
    lines = np.zeros(SHAPE)
    lines[10:90, 30::24] = 1
    lines = ndimage.gaussian_filter(lines, width)
    counts = counts + 800 * lines / lines.max()
    label = np.zeros(SHAPE, bool)
    label[60:66, 40:100] = True
    near = ndimage.binary_dilation(label, EIGHT, 24) & ~ndimage.binary_dilation(label, EIGHT, 7)
    found = find_strokes(counts, label, 1000.0, NOISE)
    assert found[near].mean() < (0.06 if width == 1.0 else 1e-3)


@pytest.mark.parametrize("width", [1, 3, 11, 20])
def test_borders_have_no_letters(width):
    """Dark gaps beside a border of zeros are image, however near they come to it, and however thin it is."""
    counts, _ = exposure(shape=SHAPE)
    counts += 300
    counts[:, 30::9] -= 350
    border = np.zeros(SHAPE, bool)
    border[:, :width] = True
    counts[border] = 0
    assert not find_strokes(counts, border, 0.0, NOISE).any()


def test_the_faintest_edge_ends_with_the_noise():
    ground = np.full(SHAPE, 150.0)
    plane = ground + np.random.default_rng(0).normal(0, np.sqrt(NOISE.variance(150.0)), SHAPE)
    label = np.zeros(SHAPE, bool)
    label[20:170:6, 20:200] = True
    plane[label] = 4095
    found = faint_edge(plane, label, ground, 4095.0, NOISE)
    assert found.sum() < 2e-3 * label.sum()
    plane[21:171:6, 20:200] += 60
    assert faint_edge(plane, label, ground, 4095.0, NOISE)[21:171:6, 20:200].mean() > 0.9


def test_tiles_decide_as_the_plane_does():
    counts, _ = exposure(shape=SHAPE)
    share = letters(14)
    image = stored(counts * (1 - share) + 1000 * share, "u2")
    rule, (whole,) = screen_sample([image])
    margin = 64
    for y in range(0, 192, 64):
        for x in range(0, 256, 64):
            rows, columns = (slice(max(n - margin, 0), n + 64 + margin) for n in (y, x))
            part = screen(image[rows, columns], rule).left
            part = np.zeros(image[rows, columns].shape, bool) if part is None else part
            inside = part[y - rows.start :, x - columns.start :][:64, :64]
            assert np.array_equal(inside, whole.left[y : y + 64, x : x + 64])


@pytest.mark.parametrize("value", [255, 4095])
def test_bright_image_around_lone_pixels_of_a_label_s_value_is_image(value):
    """Cells that reach the value at single pixels have no letters' edges."""
    rng = np.random.default_rng(0)
    spots = np.zeros(SHAPE)
    spots[70:180:30, 30:240:30] = 1
    spots = ndimage.gaussian_filter(spots, 4)
    light = 0.03 * value + 0.85 * value * spots / spots.max()
    counts = np.minimum(light + rng.normal(0, 0.01 * value, SHAPE), value - 1)
    counts[70:180:30, 30:240:30] = value
    share = letters(18)
    share[60:] = 0
    image = stored(counts * (1 - share) + value * share, "u1" if value == 255 else "u2")
    _, (found,) = screen_sample([image], float(value))
    assert found.left[share > 0.9].all()
    assert found.left[60:].sum() <= 28  # the pixels themselves
