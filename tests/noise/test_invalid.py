"""What is not image is told apart, filled and masked; tiles decide as their plane does."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_rdpdenoise.noise import NoiseModel, estimate_noise
from napari_rdpdenoise.noise.fill_values import FillValue
from napari_rdpdenoise.noise.filling import fill_regions
from napari_rdpdenoise.noise.invalid import InvalidRule, screen
from napari_rdpdenoise.noise.invalid_sample import screen_sample
from tests.support.exposures import GAIN, OFFSET, READ, exposure, light, stored

NOISE = NoiseModel(GAIN, OFFSET, READ)
Y, X = np.mgrid[:160, :160]
BORDER = (Y < 40) | (X > 130)


def test_a_plane_without_is_left_as_it_is():
    plane = stored(exposure()[0], "u2")
    found = screen(plane, InvalidRule((), NoiseModel(GAIN, OFFSET, 2 * READ)))
    assert found.filled is plane
    assert found.invalid is None
    assert not np.ma.is_masked(found.masked)


@pytest.mark.parametrize(
    ("value", "dtype"), [(0, "u2"), (65535, "u2"), (-9999, "f4"), (np.nan, "f4"), (np.inf, "f4")]
)
def test_regions_are_filled_from_their_surroundings(value, dtype):
    counts, _ = exposure()
    found = screen(
        stored(np.where(BORDER, value, counts), dtype)
        if np.isfinite(value)
        else np.where(BORDER, value, counts).astype(dtype),
        InvalidRule((FillValue(value),), NOISE),
    )
    assert np.array_equal(found.regions, BORDER)
    assert np.array_equal(found.invalid, BORDER)
    assert found.filled.dtype == dtype
    kept = stored(counts, dtype)
    assert np.array_equal(found.filled[~BORDER], kept[~BORDER])
    assert kept[~BORDER].min() <= found.filled.min()
    assert found.filled.max() <= kept[~BORDER].max()
    assert found.masked.mask[0, 0]
    assert not found.masked.mask[60, 60]


def test_a_ramp_goes_on_through_holes():
    ramp = 100 + Y + 2.0 * X
    holes = np.hypot(Y % 40 - 20, X % 40 - 20) < 4
    filled = fill_regions(np.where(holes, 1e9, ramp), holes)
    assert np.abs(filled - ramp)[holes].max() < 8
    assert np.array_equal(filled[~holes], ramp[~holes])
    assert not fill_regions(np.full((4, 5), np.nan), np.ones((4, 5), bool)).any()


def test_defects_and_regions_are_told_apart():
    """A hot pixel that saturates at the value of a burnt-in bar is a defect all the same."""
    counts, _ = exposure()
    bar = (abs(Y - 140) < 3) & (abs(X - 90) < 30)
    counts[bar] = counts[20, 30] = counts[0, 159] = 65535
    counts[70, 70] = 3000
    found = screen(stored(counts, "u2"), InvalidRule((FillValue(65535.0),), NOISE))
    assert np.array_equal(found.regions, bar)
    assert np.argwhere(found.defects).tolist() == [[0, 159], [20, 30], [70, 70]]
    assert found.filled.max() < 1000


def test_all_of_a_label_stays():
    """Ends of thin bars, points beside letters and the smooth edge of thin strokes are no hot pixels."""
    from PIL import Image, ImageDraw, ImageFont

    counts, sigma = exposure()
    bar = (Y == 140) & (abs(X - 90) < 30)
    found = screen(stored(np.where(bar, 0, counts), "u2"), InvalidRule((FillValue(0.0),), NOISE))
    assert np.array_equal(found.regions, bar)
    for mode, smooth in (("1", False), ("L", True)):
        picture = Image.new("L", counts.shape)
        pen = ImageDraw.Draw(picture)
        pen.fontmode = mode
        pen.text((8, 20), "00:12:45.3 s", 255, font=ImageFont.load_default(18))
        share = np.asarray(picture) / 255
        image = stored(counts * (1 - share) + 4000 * share, "u2")
        _, (found,) = screen_sample([image])
        assert found.regions[share == 1].all()
        seen = share * np.abs(4000 - counts) > 8 * sigma
        assert (found.defects[seen].sum() if smooth and found.defects is not None else 0) <= 3


def test_image_of_the_value_of_a_bar_is_image():
    """A bar of 255 in an image whose cells reach 255: their pixels are neither left nor replaced."""
    counts, _ = exposure()
    bar = (abs(Y - 140) < 3) & (abs(X - 110) < 30)
    counts[bar] = 230
    image = stored(counts, "u2")
    found = screen(image, InvalidRule((FillValue(230.0),), NOISE))
    cells = (image == 230) & ~ndimage.binary_dilation(bar, iterations=6)
    assert cells.sum() > 5
    assert found.invalid[bar].all()
    assert found.invalid[cells].mean() < 0.2


def test_what_the_user_declares_is_invalid():
    plane = stored(exposure()[0], "u2")
    assert np.array_equal(screen(plane, given=BORDER).regions, BORDER)


def test_tiles_decide_as_the_plane_does():
    counts, sigma = exposure(shape=(320, 320))
    rng = np.random.default_rng(0)
    counts += (rng.random(counts.shape) < 0.003) * 50 * sigma
    counts[:70], counts[:, 200:203], counts[150, :] = 0, 0, 65535
    rule = InvalidRule((FillValue(0.0, mixed=True), FillValue(65535.0)), NOISE)
    plane, margin = stored(counts, "u2"), 64
    whole = screen(plane, rule)
    for y in range(0, 320, 64):
        for x in range(0, 320, 64):
            rows, columns = (slice(max(n - margin, 0), n + 64 + margin) for n in (y, x))
            part = screen(plane[rows, columns], rule)
            own, all_of_it = np.s_[y - rows.start :, x - columns.start :], np.s_[y : y + 64, x : x + 64]
            for name in ("regions", "defects"):
                mine = getattr(part, name)
                found = np.zeros((64, 64), bool) if mine is None else mine[own][:64, :64]
                assert np.array_equal(found, getattr(whole, name)[all_of_it]), name
            image = ~whole.regions[all_of_it]
            assert np.array_equal(part.filled[own][:64, :64][image], whole.filled[all_of_it][image])


@pytest.mark.parametrize("value", [0, 65535])
def test_the_noise_is_measured_as_without_them(value):
    counts, sigma = exposure(shape=(256, 256))
    y, x = np.mgrid[:256, :256]
    struck = np.random.default_rng(3).random(counts.shape) < 0.002
    clean, spoilt = stored(counts, "u2"), counts + 60 * sigma * struck
    spoilt[(y < 60) | (x > 200)] = value
    rule, (found,) = screen_sample([stored(spoilt, "u2")])
    assert [fill.value for fill in rule.values] == [value]
    expected = estimate_noise([clean])
    for level in (110.0, 150.0, 200.0):
        assert rule.noise.variance(level) == pytest.approx(expected.variance(level), rel=0.12)
    inside = struck & (y >= 60) & (x <= 200)
    assert found.defects[inside].mean() > 0.97


def test_choices():
    counts, _ = exposure()
    image = stored(np.where(BORDER, 0, counts), "u2")
    image[100, 100] = 9000
    rule, (found,) = screen_sample([image], "none")
    assert rule.values == ()
    assert found.invalid is None
    rule, (found,) = screen_sample([image], 9000)
    assert [fill.value for fill in rule.values] == [9000]
    given = np.zeros(image.shape, bool)
    given[50:60, 50:60] = True
    _, (found,) = screen_sample([image], "auto", [given])
    assert np.array_equal(found.regions, given | BORDER)


def test_photons_are_no_defects():
    rng = np.random.default_rng(0)
    for scale in (1, 37):
        image = stored(scale * rng.poisson(light() / 100), "u1")
        _, (found,) = screen_sample([image])
        assert found.invalid is None


FOLDERS = (
    "bbbc039",
    "confocal",
    "em",
    "holo2bright",
    "phase",
    "tissue",
    "w2s/clean",
    "w2s/noisy",
    "widefield",
)


@pytest.mark.parametrize("folder", FOLDERS)
def test_real_images_are_image(data_folder, folder):
    """Black backgrounds, saturated cells, fine texture: no value is found, and hardly a defect."""
    from skimage.io import imread

    paths = sorted((data_folder / "data" / "train" / folder).glob("*.png"))
    planes = [imread(path) for path in paths[:: max(1, len(paths) // 2)][:2]]
    for plane in planes:
        rule, (found,) = screen_sample([plane])
        assert rule.values == ()
        assert found.defects is None or found.defects.sum() <= 2 + 20e-6 * plane.size


@pytest.mark.parametrize("value", [0, 1000, 4095, 65535])
@pytest.mark.parametrize("start", range(4))
def test_bars_with_smooth_edges_are_found_wherever_they_begin(start, value):
    """An antialiased edge covers any share of its pixels."""
    counts, sigma = exposure(seed=3)
    fine = np.zeros((640, 640))
    fine[400 + start : 422 + start, 120 + start : 400 - start] = 1
    share = fine.reshape(160, 4, 160, 4).mean((1, 3))
    rule, (found,) = screen_sample([stored(counts * (1 - share) + value * share, "u2")])
    assert [fill.value for fill in rule.values] == [value]
    seen = share * np.abs(value - counts) > 8 * sigma
    assert found.invalid[seen].all()
    assert found.invalid[share == 0].mean() < 1e-3


def test_smooth_letters_are_found_beside_what_is_full():
    """Strokes thinner than a pixel have none of the full value: those that touch some are found by it."""
    from PIL import Image, ImageDraw, ImageFont

    counts, sigma = exposure()
    picture = Image.new("L", counts.shape)
    ImageDraw.Draw(picture).text((8, 60), "00:12:45.3", 255, font=ImageFont.load_default(18))
    share = np.asarray(picture) / 255
    _, (found,) = screen_sample([stored(counts * (1 - share) + 1000 * share, "u2")])
    seen = share * np.abs(1000 - counts) > 6 * sigma
    assert found.invalid[seen].mean() > 0.9
    assert found.invalid[share == 0].mean() < 2e-3
