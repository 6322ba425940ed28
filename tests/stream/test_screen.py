"""What is not image comes out as it went in, and costs the rest of the image nothing."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
from scipy import ndimage

from napari_rdpdenoise import denoise
from napari_rdpdenoise.io import open_image
from napari_rdpdenoise.io.output.array_sink import ArraySink
from napari_rdpdenoise.settings import RunSettings
from napari_rdpdenoise.stream import denoise_stream, output_spec
from napari_rdpdenoise.stream.screen import Kept
from tests.support.exposures import exposure, light, stored

SETTINGS = RunSettings(device="cpu", rate=0.6, structure="none", neighbours="none")
SIZE = 160
Y, X = np.mgrid[:SIZE, :SIZE]
MOSAIC = (Y < 50) & (X < 70) | (X + Y > 260)
LINES = (Y == 53) | (X == 101)
BAR = (abs(Y - 140) < 3) & (abs(X - 110) < 30)


def run(array, settings, codec, axes=None):
    """The result, and everything that was said."""
    source = open_image(array, axes)
    sink = ArraySink(output_spec(source, settings, codec))
    stream = denoise_stream(source, sink, settings, codec=codec)
    while True:
        try:
            next(stream)
        except StopIteration as end:
            return sink.array, end.value


@pytest.fixture(scope="module")
def shipped():
    from napari_rdpdenoise.codec import load_model

    return load_model("default", "cpu")


@pytest.mark.parametrize(
    ("lost", "value", "dtype"),
    [
        (MOSAIC, 0, "u2"),
        (MOSAIC, 65535, "u2"),
        (MOSAIC, np.nan, "f4"),
        (MOSAIC, -9999, "f4"),
        (LINES, 0, "u2"),
        (BAR, 65535, "u2"),
    ],
)
def test_regions_stay_and_the_image_is_as_good_as_without(lost, value, dtype, shipped):
    counts, sigma = exposure()
    truth = 100 + 2 * light()
    clean = stored(counts, "f4" if dtype == "f4" else "u2")
    spoilt = np.where(lost, value, clean).astype(dtype)
    settings = SETTINGS.replace(dtype="float32")
    expected, _ = run(clean, settings, shipped)
    result, report = run(spoilt, settings, shipped)
    assert np.array_equal(result[lost], spoilt[lost].astype("f4"), equal_nan=True)
    error, before = ((np.abs(image - truth) / sigma) for image in (result, expected))
    beside = ndimage.binary_dilation(lost, iterations=3) & ~lost
    assert np.sqrt(np.mean(error[~lost] ** 2)) < 1.15 * np.sqrt(np.mean(before[~lost] ** 2)) + 0.01
    assert np.sqrt(np.mean(error[beside] ** 2)) < 1.5 * np.sqrt(np.mean(before[beside] ** 2)) + 0.05
    assert abs(np.mean(result[~lost] - spoilt[~lost]) / sigma.mean()) < 0.02
    told = [text for text in report.messages if "not image" in text]
    assert len(told) == (0 if np.isnan(value) else 1)
    whole, _ = run(spoilt, SETTINGS, shipped)
    assert np.array_equal(whole[lost], spoilt[lost], equal_nan=True)


@pytest.mark.slow
def test_part_of_a_frame_that_was_lost_stays_though_the_sample_has_not_seen_it(shipped):
    frames = np.stack([stored(exposure(n)[0], "u2") for n in range(10)])
    lost = np.zeros(frames.shape, bool)
    lost[4, 100:] = True  # of the sample are all frames but this and one more
    frames[lost] = 0
    result, report = run(frames, SETTINGS, shipped, "TYX")
    assert not result[lost].any()
    assert result[~lost].min() > 90
    (told,) = [text for text in report.messages if "exactly one value" in text]
    assert told.startswith(f"{lost.sum()} pixels")


@pytest.mark.parametrize("value", [0, 400, 4095, 65535])
def test_a_hot_pixel_has_no_reach(value, shipped):
    """Nothing is changed by it, not even beside it, and it is replaced or kept as asked for."""
    counts, sigma = exposure()
    clean = stored(counts, "u2")
    spoilt = clean.copy()
    spoilt[40, 60] = value
    settings = SETTINGS.replace(dtype="float32")
    expected, _ = run(clean, settings, shipped)
    result, report = run(spoilt, settings, shipped)
    assert (np.abs(result - expected) / sigma).max() < 0.5
    assert [text for text in report.messages if text.startswith("1 hot or cold pixel")]
    kept, report = run(spoilt, settings.replace(hot_pixels="keep"), shipped)
    assert kept[40, 60] == value
    assert np.array_equal(np.delete(kept, 40 * SIZE + 60), np.delete(result, 40 * SIZE + 60))
    assert [text for text in report.messages if "left as found" in text]


@pytest.mark.parametrize("kind", ["pixel", "group"])
def test_nothing_bright_reaches_far(kind, shipped):
    """A defect of any strength, anywhere: 8 px away it costs a tenth of the noise at most, root mean square.

    A pixel's own noise already turns some of the codec's roundings around it over, so that no change is
    smaller than about a thirtieth of the noise rms; a defect's strength must not show at all.
    """
    counts, sigma = exposure(seed=1)
    settings = SETTINGS.replace(dtype="float32")
    noise = float(sigma.min())
    expected, _ = run(stored(counts, "u2"), settings, shipped)
    for y, x in ((40, 50), (81, 127)):
        shape = ((y == Y) & (x == X)) | ((kind == "group") & (y == Y) & (x + 1 == X))
        far, results = ndimage.distance_transform_edt(~shape) >= 8, []
        for strength in (3, 6, 20, 300, 10000):
            spoilt = stored(np.clip(counts + strength * noise * shape, 0, 65535), "u2")
            results.append(run(spoilt, settings, shipped)[0])
            change = (np.abs(results[-1] - expected) / sigma)[far]
            assert np.sqrt(np.mean(change**2)) < 0.05
        assert all(np.array_equal(result, results[-1]) for result in results[3:])


@pytest.mark.parametrize("rate", [0.4, 0.7])
def test_a_defect_reaches_no_further_than_noise_does(rate, shipped):
    """The bound of a tenth of the noise is one of the root mean square; single pixels can be further off.

    Latents are rounded, and a pixel that changes by one standard deviation of its own noise already turns
    some of them over: 8 px away and more that was up to 0.34 of the noise in a single pixel at rate 0.4, 0.22
    at 0.7 and 0.12 at 1, and a filled hot pixel of any height 0.39, 0.09 and 0.11 (root mean square 0.02 at
    most). No filling can do better, since nobody knows the noise that the pixel had.
    """
    counts, sigma = exposure(seed=1)
    settings = SETTINGS.replace(dtype="float32", rate=rate, camera=(2, 100, 3))
    clean = stored(counts, "u2")
    expected, _ = run(clean, settings, shipped)

    def changes(y, x, value):
        spoilt = clean.copy()
        spoilt[y, x] = value
        change = (np.abs(run(spoilt, settings, shipped)[0] - expected) / sigma)[np.hypot(Y - y, X - x) >= 8]
        return float(np.sqrt(np.mean(change**2))), float(change.max())

    places = np.random.default_rng(0).integers(16, SIZE - 16, (6, 2))
    struck = [changes(y, x, 60_000) for y, x in places]
    noisy = [changes(y, x, round(clean[y, x] + s * sigma[y, x])) for y, x in places for s in (-1, 1)]
    assert max(rms for rms, _ in struck) < 0.05
    assert max(most for _, most in struck) < 2 * max(most for _, most in noisy) + 0.1


@pytest.mark.parametrize(("radius", "strength"), [(1, 1500), (2, 10_000)])
def test_light_that_is_far_above_the_rest_reaches_no_further(radius, strength, shipped):
    """A bead stays as it is; 8 px from its edge it costs a tenth of the noise at most."""
    counts, sigma = exposure(seed=1)
    settings = SETTINGS.replace(dtype="float32", camera=(2, 100, 3))
    expected, _ = run(stored(counts, "u2"), settings, shipped)
    disc = (np.hypot(Y - 75, X - 85) <= radius).astype(float)
    blurred = ndimage.gaussian_filter(disc, 1.0)
    spoilt = stored(counts + blurred / blurred.max() * strength * float(sigma.min()), "u2")
    result, report = run(spoilt, settings, shipped)
    assert np.array_equal(result[disc > 0], spoilt[disc > 0])
    change = (np.abs(result - expected) / sigma)[ndimage.distance_transform_edt(disc == 0) >= 8]
    assert np.sqrt(np.mean(change**2)) < 0.05
    assert change.max() < 0.5
    assert [text for text in report.messages if "far brighter than all the rest" in text]


def test_tiles_agree(tiny_codec):
    counts, sigma = exposure(shape=(330, 300))
    y, x = np.mgrid[:330, :300]
    struck = np.random.default_rng(2).random(counts.shape) < 0.002
    spoilt = counts + 50 * struck * sigma
    spoilt[(y < 70) | (x > 280) | (y == 200)] = 0
    image = stored(spoilt, "u2")
    tiled = SETTINGS.replace(tile=64, halo=192, dtype="float32")
    parts, _ = run(image, tiled, tiny_codec)
    whole, _ = run(image, tiled.replace(tile=1024), tiny_codec)
    assert np.quantile(np.abs(parts - whole), 0.999) <= 1e-3
    assert np.array_equal(parts == 0, whole == 0)


def test_an_interrupted_run_sees_what_changed_in_what_is_kept(tiny_codec):
    from napari_rdpdenoise.codec import Normalization
    from napari_rdpdenoise.noise import NoiseModel
    from napari_rdpdenoise.stream.loaded import LoadedTile
    from napari_rdpdenoise.stream.plan import ChannelPlan

    plan = ChannelPlan(Normalization(NoiseModel(1.0, 0.0, 1.0), 0.0, 1.0), 0.5, None)
    mask, raw = np.eye(4, dtype=bool), np.ones((4, 4))
    items = [
        LoadedTile(None, plan, raw, ~mask, kept, 0, "key", None)
        for kept in (None, Kept(mask, raw), Kept(mask, 2 * raw))
    ]
    assert len({item.content for item in items}) == 3


def test_settings_say_what_is_invalid(tiny_codec):
    counts, _ = exposure()
    image = stored(np.where(MOSAIC, 7, counts), "u2")
    image[60, 100] = 9000
    for settings, kept in (({}, MOSAIC), ({"invalid": 7}, MOSAIC), ({"invalid": "none"}, None)):
        result, report = run(image, SETTINGS.replace(**settings), tiny_codec)
        assert bool([text for text in report.messages if "hot or cold" in text]) == (kept is not None)
        assert (kept is not None) == np.array_equal(result[MOSAIC], image[MOSAIC])
    with pytest.raises(ValueError, match="invalid must be a number, 'auto' or 'none'"):
        RunSettings(invalid="zero")
    with pytest.raises(ValueError, match="NaN is invalid always"):
        RunSettings(invalid=np.nan)


def test_saturation_below_the_end_of_the_dtype_is_seen(tiny_codec):
    """Pixels at which light was cut off tell nothing of structure."""
    from napari_rdpdenoise.noise.invalid_sample import screen_sample
    from napari_rdpdenoise.stream.tile import usable_pixels

    counts, _ = exposure()
    cut = np.minimum(20 * counts, 4095)
    image = stored(cut, "u2")
    rule, (found,) = screen_sample([image])
    assert rule.saturation == 4095
    assert np.array_equal(usable_pixels(found, rule), image < 4095)


def test_kept_pixels_are_put_into_any_number_type():
    mask, values = np.array([[True, False, True]]), np.array([[np.nan, 5.0, -3.0]])
    for dtype in ("u1", "i2", "f4"):
        block = np.full((1, 3), 9, dtype)
        Kept(mask, values).put(block)
        assert block[0, 1] == 9
    assert block[0, 2] == -3
    assert np.isnan(block[0, 0])
    assert Kept(mask, values).at(np.s_[:, 1:2]) is None


@pytest.mark.parametrize("axes", ["YX", "TYX", "YXS"])
def test_masks_in_python(axes, tiny_codec):
    counts, _ = exposure()
    mask = np.hypot(Y - 80, X - 60) < 30
    shape = {"YX": np.s_[:, :], "TYX": np.s_[None], "YXS": np.s_[..., None]}[axes]
    image = stored(counts, "u2")[shape]
    for given in (mask, mask[shape]) if axes != "YXS" else (mask[shape],):
        result = denoise(image, model=tiny_codec, rate=0.6, axes=axes, structure="none", invalid=given)
        assert np.array_equal(result[mask[shape]], image[mask[shape]])
        assert (result != image).mean() > 0.3
    options = {"model": tiny_codec, "rate": 0.6, "axes": axes, "structure": "none"}
    lazy = denoise(da.from_array(image), **options, invalid=given)
    assert np.array_equal(lazy.compute(), result)
    with pytest.raises(ValueError, match="invalid: expected a mask of the array's shape"):
        denoise(image, model=tiny_codec, axes=axes, invalid=mask[:9])
