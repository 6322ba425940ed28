"""Labels of a value that noise reaches as well are told from clipped noise and from saturated cells."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_rdpdenoise.noise.end_labels import strokes
from napari_rdpdenoise.noise.fill_values import find_fill_values
from napari_rdpdenoise.noise.invalid_sample import screen_sample
from tests.support.exposures import light, stored

SHAPE = (192, 256)
GROUNDS = [(245, 4), (245, 6), (250, 2), (250, 4), (252, 2)]


def bright_field(level, sigma, seed=0):
    """Dark cells on a bright ground, counts of bytes before they are clipped at 255."""
    cells = light(SHAPE, seed)
    cells = (cells - cells.min()) / np.ptp(cells)
    return level - 60 * cells + np.random.default_rng(seed).normal(0, sigma, SHAPE)


def label():
    """Letters without smooth edges, a bar and a frame of 2 px."""
    from PIL import Image, ImageDraw, ImageFont

    picture = Image.new("1", SHAPE[::-1])
    pen = ImageDraw.Draw(picture)
    pen.text((8, 20), "00:12:45.3 s", 1, font=ImageFont.load_default(18))
    pen.rectangle((150, 160, 230, 165), fill=1)
    pen.rectangle((30, 90, 70, 130), outline=1, width=2)
    return np.asarray(picture)


@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize(("level", "sigma"), GROUNDS)
def test_white_letters_on_a_bright_ground_stay(level, sigma, inverted):
    drawn = label()
    image = stored(np.where(drawn, 255, bright_field(level, sigma)), "u1")
    image = 255 - image if inverted else image
    _, (found,) = screen_sample([image])
    assert found.left[drawn].mean() > 0.97
    assert found.left[~ndimage.binary_dilation(drawn, iterations=24)].mean() < 0.01


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize(("level", "sigma"), [*GROUNDS, (240, 8), (250, 8), (255, 2), (258, 4)])
def test_clipped_noise_is_image(level, sigma, inverted, seed):
    image = stored(bright_field(level, sigma, seed), "u1")
    assert find_fill_values([255 - image if inverted else image]) == ()


@pytest.mark.parametrize("sigma", [2, 4])
@pytest.mark.parametrize("width", [1.5, 3, 6])
def test_saturated_cells_are_image(sigma, width):
    """Brightness comes nearer to the end with every pixel, also at steep edges."""
    spots = ndimage.gaussian_filter((np.random.default_rng(1).random(SHAPE) < 0.002).astype(float), width)
    image = stored(bright_field(245, sigma) + 30 * spots / spots.max(), "u1")
    assert find_fill_values([image]) == ()


def test_strokes_are_local():
    at = stored(bright_field(250, 4), "u1") == 255
    at |= label()
    whole = strokes(at)
    for x in range(0, 256, 64):
        part = strokes(at[:, max(0, x - 32) : x + 96])
        assert np.array_equal(part[:, x - max(0, x - 32) :][:, :64], whole[:, x : x + 64])


def test_no_strokes():
    at = np.zeros((20, 20), bool)
    at[3, 3:9] = at[10:12, 10:12] = True
    assert not strokes(at).any()
    at[13:15, 12:15] = True
    assert np.array_equal(strokes(at), at)
