"""Rows and columns with levels of their own are named; noise, samples and other processing are not."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from napari_rdpdenoise.noise.lines import find_lines
from tests.support.exposures import OFFSET, exposure, stored

COUNTS, _ = exposure(0, (256, 256))
RNG = np.random.default_rng(1)


def columns(depth, count=12):
    image = COUNTS.copy()
    image[:, RNG.choice(256, count, replace=False)] += depth
    return image


def woven(gain, offset=0.0):
    image = COUNTS.copy()
    image[1::2] = (image[1::2] - OFFSET) * gain + OFFSET + offset
    return image


@pytest.mark.parametrize(
    ("image", "across", "alternating"),
    [
        (columns(-30), "columns", False),
        (columns(40, 1), "columns", False),
        (columns(-30).T, "rows", False),
        (COUNTS + RNG.normal(0, 4, 256), "columns", False),
        (woven(1.5), "rows", True),
        (woven(1.0, 6.0), "rows", True),
        (woven(1.0, 6.0).T, "columns", True),
    ],
)
def test_lines_with_a_level_of_their_own(image, across, alternating):
    found = find_lines([stored(image, "u2")])
    assert found is not None
    assert (found.across, found.alternating) == (across, alternating)
    assert across in found.words


def test_colours_on_the_pixels():
    image = COUNTS.copy()
    for y, x, gain in ((0, 1, 0.6), (1, 0, 0.6), (1, 1, 0.35)):
        image[y::2, x::2] = OFFSET + gain * (image[y::2, x::2] - OFFSET)
    found = find_lines([image])
    assert found is not None
    assert (found.across, found.alternating) == ("rows and columns", True)


def test_what_is_no_image_is_left_out():
    image = stored(columns(-30), "f4")
    image[:20], image[:, 200:] = np.nan, np.nan
    assert find_lines([image]) is not None
    hidden = np.ma.masked_array(stored(columns(-30), "u2"), np.zeros((256, 256), bool))
    hidden[:20] = np.ma.masked
    assert find_lines([hidden]) is not None
    stripes = np.ma.masked_array(np.where(np.arange(256) < 128, COUNTS, columns(-30)))
    stripes[:, 128:] = np.ma.masked
    assert find_lines([stripes]) is None


def fibre():
    x = np.arange(256)
    return COUNTS + 200 * np.exp(-((x - 100.0) ** 2) / 2)


@pytest.mark.parametrize(
    "image",
    [
        COUNTS,
        fibre(),
        ndimage.gaussian_filter(COUNTS, 1),
        np.asarray(Image.fromarray(COUNTS.astype("f4")).resize((512, 512), Image.BILINEAR)),
        np.add.outer(np.arange(256.0), np.zeros(256)),
        np.zeros((64, 64), "u2"),
        np.full((64, 64), np.nan),
        COUNTS[:9, :7],
        np.random.default_rng(0).poisson(0.05, (256, 256)).astype("u1"),
    ],
)
def test_images_without_such_lines(image):
    assert find_lines([image]) is None


def test_no_windows():
    assert find_lines([]) is None
