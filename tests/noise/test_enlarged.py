"""Enlarged images are known by copies and by the rhythm of interpolation; others are not called so."""

from __future__ import annotations

import imagecodecs
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from napari_rdpdenoise.noise.enlarged import find_enlargement
from tests.support.exposures import exposure, stored

COUNTS, _ = exposure(0, (256, 256))
PLAIN = stored(COUNTS, "u2")


def resized(factors, how, counts=COUNTS):
    """Interpolated with half-pixel centres, as most programs do it."""
    shape = tuple(int(n * f) for n, f in zip(counts.shape, factors, strict=True))
    image = Image.fromarray(counts.astype("f4")).resize(shape[::-1], how)
    return stored(np.asarray(image), "u2")


@pytest.mark.parametrize("factors", [(2, 2), (3, 3), (4, 4), (8, 8), (3, 1), (1, 2)])
@pytest.mark.parametrize("start", [0, 1])
def test_pixels_that_are_repeated(factors, start):
    image = np.kron(PLAIN, np.ones(factors, "u2"))[start:300, start:300]
    found = find_enlargement([image])
    assert found is not None
    assert found.copies
    assert (found.rows, found.columns) == pytest.approx(factors, rel=0.03)


@pytest.mark.parametrize("how", [Image.BILINEAR, Image.BICUBIC, Image.LANCZOS])
@pytest.mark.parametrize("factor", [1.5, 2, 3, 4])
def test_pixels_that_are_interpolated(how, factor):
    found = find_enlargement([resized((factor, factor), how)[:512, :512]])
    assert found is not None
    assert not found.copies
    assert (found.rows, found.columns) == pytest.approx((factor, factor), rel=0.03)


@pytest.mark.parametrize("order", [1, 3])
@pytest.mark.parametrize("dtype", ["u2", "f4"])
def test_corners_on_corners(order, dtype):
    found = find_enlargement([stored(ndimage.zoom(COUNTS, 2, order=order), dtype)])
    assert found is not None
    assert (found.rows, found.columns) == (2, 2)


def test_one_direction_alone():
    found = find_enlargement([resized((2, 1), Image.BILINEAR)])
    assert found is not None
    assert (found.rows, found.columns) == (2, 1)
    assert "2 x 1 (rows x columns" in found.words


def test_small_windows_together():
    windows = [resized((2, 2), Image.BILINEAR, COUNTS[y : y + 64, :64]) for y in (0, 64, 128, 192)]
    assert find_enlargement(windows) is not None


def test_a_border_without_values():
    image = stored(ndimage.zoom(COUNTS, 2, order=1), "f4")
    image[:20], image[:, :9] = np.nan, np.nan
    assert find_enlargement([image]) is not None
    image = np.kron(PLAIN, np.ones((2, 2))).astype("f4")
    image[:20], image[:, :9] = np.nan, np.nan
    found = find_enlargement([image])
    assert found is not None
    assert found.copies


def jpeg(counts, level):
    image = np.clip(counts - 80, 0, 255).astype("u1")
    return imagecodecs.jpeg8_decode(imagecodecs.jpeg8_encode(image, level=level))


@pytest.mark.parametrize("how", [Image.NEAREST, Image.BILINEAR, Image.BICUBIC, Image.LANCZOS])
@pytest.mark.parametrize("level", [75, 85, 95])
def test_twice_the_size_and_then_jpeg(how, level):
    image = jpeg(resized((2, 2), how).astype(float), level)
    found = find_enlargement([image])
    assert found is not None
    assert (found.rows, found.columns) == (2, 2)
    part = find_enlargement([image[:300, 100:400], image[101:401, 37:337]], [(0, 100), (101, 37)])
    assert part is not None


@pytest.mark.parametrize("how", [Image.NEAREST, Image.BILINEAR, Image.BICUBIC])
@pytest.mark.parametrize("level", [85, 95])
def test_jpeg_and_then_twice_the_size(how, level):
    found = find_enlargement([resized((2, 2), how, jpeg(COUNTS, level).astype(float))])
    assert found is not None
    assert (found.rows, found.columns) == pytest.approx((2, 2), rel=0.03)


def test_what_jpeg_leaves_is_told():
    found = find_enlargement([jpeg(resized((2, 2), Image.BILINEAR).astype(float), 80)])
    assert "enlarged by about 2 x 2 (rows x columns, and compressed as JPEG)" in found.words


def other_images():
    rng = np.random.default_rng(0)
    mosaic = COUNTS.copy()
    mosaic[1::2, ::2], mosaic[::2, 1::2] = 0.6 * mosaic[1::2, ::2], 0.6 * mosaic[::2, 1::2]
    rows = COUNTS.copy()
    rows[1::2] *= 1.5
    yield "as it was taken", PLAIN
    yield "turned", ndimage.rotate(COUNTS, 7, order=1, reshape=False)
    yield "shifted", ndimage.shift(COUNTS, 0.5, order=1)
    yield "smooth", ndimage.gaussian_filter(COUNTS, 1)
    yield "very smooth", ndimage.gaussian_filter(COUNTS, 2)
    yield "colours on the pixels", mosaic
    yield "woven rows", rows
    yield "a ramp", np.add.outer(np.arange(256.0), np.arange(256))
    yield "equal columns", np.add.outer(np.arange(256.0), np.zeros(256))
    yield "single photons", rng.poisson(0.002, (256, 64)).astype("u1")
    yield "one value", np.full((64, 64), 7, "u2")
    yield "few pixels", PLAIN[:7, :9]
    yield "nothing but NaN", np.full((64, 64), np.nan)
    for level in (30, 60, 75, 90, 95):
        yield f"JPEG {level}", jpeg(COUNTS, level)
        yield f"JPEG {level} of a smooth one", jpeg(ndimage.gaussian_filter(COUNTS, 1), level)
        yield f"JPEG {level} of a turned one", jpeg(ndimage.rotate(COUNTS, 7, order=1, reshape=False), level)


@pytest.mark.parametrize("seed", [0, 2])
@pytest.mark.parametrize(("peak", "sigma"), [(60, 1), (20, 0.5), (60, 2)])
@pytest.mark.parametrize("level", [30, 50])
def test_dark_blocks_of_jpeg_are_no_copies(level, peak, sigma, seed):
    """Their columns are equal where nothing is left but the mean of each block."""
    rng = np.random.default_rng(seed)
    spots = np.zeros((256, 256))
    spots[rng.integers(0, 256, 12), rng.integers(0, 256, 12)] = 1
    spots = ndimage.gaussian_filter(spots, 5)
    image = 88 + peak * spots / spots.max() + rng.normal(0, sigma, spots.shape)
    assert find_enlargement([jpeg(image, level)]) is None


@pytest.mark.parametrize(("name", "image"), other_images())
def test_images_that_were_not_enlarged(name, image):
    assert find_enlargement([image]) is None


def test_frames_without_values():
    frames = [COUNTS.astype("f4"), np.full((256, 256), np.nan, "f4"), COUNTS.astype("f4")]
    frames[2][10:20], frames[2][:, 100:200] = np.inf, np.nan
    assert find_enlargement(frames) is None


def test_no_windows():
    assert find_enlargement([]) is None
