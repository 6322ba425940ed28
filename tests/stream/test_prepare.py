"""Preparation: what is done, and statistics that are taken once per channel from the whole series."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_rdpdenoise.api import denoise
from napari_rdpdenoise.cache import LatentCache
from napari_rdpdenoise.codec.trained_range import TrainedRange
from napari_rdpdenoise.io import open_image
from napari_rdpdenoise.noise import invalid_sample
from napari_rdpdenoise.settings import RunSettings
from napari_rdpdenoise.stream import Plan, make_plan, output_spec, sample_windows
from napari_rdpdenoise.stream.prepare import measure_channel
from napari_rdpdenoise.stream.sample import sample_channel

BASE = RunSettings(device="cpu", rate=0.4, tile=64, halo=64)


def movie(shape, seed=0):
    return np.random.default_rng(seed).poisson(50, shape).astype(np.uint16)


def plan_of(array, settings, codec, axes=None, **options):
    *lines, plan = make_plan(open_image(array, axes), settings, codec, **options)
    assert isinstance(plan, Plan)
    return plan, lines


def test_works_cover_every_chosen_plane_once(tiny_codec):
    settings = BASE.replace(channels=(1,), time=(1, 3))
    plan, _ = plan_of(movie((4, 2, 130, 70)), settings, tiny_codec, "TCYX")
    assert {w.channel for w in plan.works} == {1}
    assert {w.index for w in plan.works} == {(0, 0), (1, 0)}
    covered = np.zeros((2, 1, 130, 70), int)
    for work in plan.works:
        covered[(*work.index, *work.tile.core)] += 1
    assert (covered == 1).all()


def test_statistics_are_taken_once_per_channel(tiny_codec, monkeypatch):
    calls = []
    estimate = invalid_sample.estimate_noise
    monkeypatch.setattr(
        invalid_sample, "estimate_noise", lambda planes: (calls.append(len(planes)), estimate(planes))[1]
    )
    plan, lines = plan_of(movie((20, 2, 70, 70)), BASE, tiny_codec, "TCYX")
    assert calls == [8, 8]
    assert lines == ["channel 0: measuring the noise", "channel 1: measuring the noise"]
    assert sorted(plan.channels) == [0, 1]


def test_parts_of_a_series_are_treated_as_in_the_whole(tiny_codec):
    array = movie((10, 70, 70)) * np.arange(1, 11, dtype=np.uint16)[:, None, None]
    whole, _ = plan_of(array, BASE, tiny_codec)
    part, _ = plan_of(array, BASE.replace(time=(0, 2)), tiny_codec)
    assert part.channels == whole.channels


def test_windows_are_spread_over_planes_and_places():
    array = np.arange(40, dtype=np.uint16)[:, None, None] + np.zeros((40, 600, 1400), np.uint16)
    array[:, :, :700] += 1000
    array += 2000 * np.random.default_rng(0).integers(0, 2, (600, 1400), np.uint16)
    windows = sample_windows(open_image(array))
    assert {w.shape for w in windows} == {(512, 512)}
    assert len({int(w.min()) % 1000 for w in windows}) == 8
    assert len({bool((w > 999).all()) for w in windows}) == 2 or any(np.ptp(w) for w in windows)


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (1, 2000), (2, 513)])
def test_windows_of_small_planes_are_inside(shape):
    for window in sample_windows(open_image(movie(shape))):
        assert 0 < window.size <= np.prod(shape)


def test_blank_samples_are_taken_again_at_more_places():
    array = np.zeros((300, 64, 64), np.uint16)
    array[100:130] = movie((30, 64, 64))  # between the first eight planes that are looked at
    assert any(w.any() for w in sample_windows(open_image(array)))
    assert not any(w.any() for w in sample_windows(open_image(np.zeros((30, 64, 64), np.uint16))))


def test_notes_reach_the_user(tiny_codec):
    ramp = np.add.outer(np.arange(64), np.arange(64)).astype(np.uint8)
    plan, _ = plan_of(np.stack([ramp, ramp]), BASE, tiny_codec)
    assert plan.messages
    assert any(message.startswith("noise estimate: ") for message in plan.messages)


@pytest.mark.parametrize("dtype", ["u1", "f4"])
def test_images_without_noise_are_told_in_one_line(dtype, tiny_codec):
    for image in (np.full((2, 64, 64), 9, dtype), np.kron(np.eye(4), np.ones((16, 16))).astype(dtype)[None]):
        plan, _ = plan_of(image, BASE, tiny_codec)
        (told,) = plan.messages
        assert told.startswith("the sample holds no noise (it is blank, or drawn: masks, labels)")


def test_what_is_true_of_several_channels_is_told_once(tiny_codec):
    flat, noisy = np.full((64, 64), 9, np.uint8), movie((64, 64)).astype(np.uint8)
    of_two, _ = plan_of(np.stack([flat, noisy, flat]), BASE, tiny_codec, "CYX")
    assert any(message.startswith("channels 0 and 2: the sample holds no") for message in of_two.messages)
    of_all, _ = plan_of(np.stack([flat] * 3), BASE, tiny_codec, "CYX")
    assert all(message.startswith("all channels: ") for message in of_all.messages)
    colours, lines = plan_of(np.stack([flat, flat, noisy], axis=-1), BASE, tiny_codec, "YXS")
    assert lines == [f"{name}: measuring the noise" for name in ("red", "green", "blue")]
    assert any(message.startswith("red and green: ") for message in colours.messages)
    pictures, lines = plan_of(np.stack([np.stack([noisy] * 3, axis=-1)] * 4), BASE, tiny_codec, "CYXS")
    assert lines == [f"channel {number}: measuring the noise" for number in range(4)]
    for plan in (of_two, of_all, colours, pictures):
        texts = [message.partition(": ")[2] for message in plan.messages]
        assert len(texts) == len(set(texts))


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.kron(movie((150, 150)), np.ones((2, 2), np.uint16)), "the image was enlarged by about 2 x 2"),
        (
            movie((300, 300)) + 20 * (np.arange(300, dtype=np.uint16) % 2)[:, None],
            "the rows of the image have a pattern",
        ),
        ((movie((300, 300)).astype("i2") - 50).view("u2"), "numbers of type int16 seem to have been stored"),
    ],
)
def test_what_the_pixels_went_through_is_told(image, words, tiny_codec):
    plan, _ = plan_of(image, BASE.replace(structure="auto"), tiny_codec, "YX")
    assert plan.messages[0].startswith(words) or words in plan.messages[0]
    assert not any("fine grain" in text for text in plan.messages if "enlarged" in words)


def test_of_fine_grain_that_is_kept_it_is_told_where_that_is_switched_off(tiny_codec):
    ramp = np.tile(np.arange(512, dtype=np.uint16), (512, 1))
    plan, _ = plan_of(ramp, BASE.replace(structure="auto"), tiny_codec, "YX")
    (told,) = (text for text in plan.messages if "fine grain" in text)
    assert told.endswith(
        "set structure to none to remove it (--structure none on the command line, Structure under More)"
    )


def test_missing_pixels_are_told(tiny_codec):
    image = movie((2, 80, 80)).astype(np.float32)
    image[:, :20], image[:, 40, 40] = np.nan, np.inf
    plan, _ = plan_of(image, BASE, tiny_codec)
    told = (
        "25 % of the sample is missing (NaN or infinite): such pixels are left as they are and count nowhere"
    )
    assert plan.messages[0] == told


def test_of_a_sample_that_is_missing_altogether_nothing_else_is_told(tiny_codec):
    plan, _ = plan_of(np.full((2, 80, 80), np.nan, np.float32), BASE.replace(rate="auto"), tiny_codec)
    (told,) = plan.messages
    assert told.startswith("all of the sample is missing")


def test_light_outside_the_models_training_is_told_per_channel(tiny_codec):
    y, x = np.mgrid[:200, :200]
    cells = 0.1 + np.exp(-(((y % 50) - 25) ** 2 + ((x % 50) - 25) ** 2) / 100)
    rng = np.random.default_rng(0)
    image = np.stack([100 + 3 * rng.poisson(light * cells) for light in (40, 1)]).astype(np.uint16)
    plan, _ = plan_of(image, BASE, tiny_codec, "CYX")
    assert not any("trained" in message for message in plan.messages)  # a card that does not say

    trained = TrainedRange(photons=(6, 5000), read_electrons=(0.05, 6))
    tiny_codec.card = tiny_codec.card.model_copy(update={"trained_range": trained})
    plan, _ = plan_of(image, BASE, tiny_codec, "CYX")
    (told,) = [message for message in plan.messages if "trained" in message]
    assert told.startswith("channel 1: about 2 photo-electrons")


def test_a_camera_that_is_told_of_is_not_measured(tiny_codec):
    told = BASE.replace(camera=(2.0, 90.0, 1.5))
    for image in (movie((2, 64, 64)), np.full((2, 64, 64), 9, np.uint8)):
        plan, _ = plan_of(image, told, tiny_codec)
        noise = plan.channels[0].normalization.noise
        assert (noise.gain, noise.offset, noise.read_noise) == (2.0, 90.0, 1.5)
        assert not any("noise estimate" in message for message in plan.messages)


@pytest.mark.parametrize("camera", [(-1.0, 0.0, 1.0), (1.0, 0.0, 0.0), (1.0, float("nan"), 1.0)])
def test_a_camera_that_cannot_be_is_refused(camera):
    with pytest.raises(ValueError, match="camera: expected a gain of at least 0"):
        BASE.replace(camera=camera)


def test_the_choice_of_the_rate_is_kept(tiny_codec):
    cache, settings = LatentCache(folder=None), BASE.replace(rate="auto")
    first, _ = plan_of(movie((2, 64, 64)), settings, tiny_codec, cache=cache)
    calls = tiny_codec.encoder_calls
    assert calls > 0
    again, _ = plan_of(movie((2, 64, 64)), settings, tiny_codec, cache=cache)
    assert again.channels == first.channels
    assert tiny_codec.encoder_calls == calls
    plan_of(movie((2, 64, 64), seed=1), settings, tiny_codec, cache=cache)
    assert tiny_codec.encoder_calls > calls


def test_the_job_names_what_changes_the_result():
    source = open_image(movie((2, 64, 64)))
    job = output_spec(source, BASE).job
    assert output_spec(source, BASE.replace(batch=3, overwrite=True, device="auto")).job == job
    for change in ({"rate": 0.5}, {"realism": 0.5}, {"tile": 128}, {"model": "other"}):
        assert output_spec(source, BASE.replace(**change)).job != job
    assert output_spec(open_image(movie((2, 64, 64), seed=1)), BASE).job != job


def test_the_job_names_the_weights(tiny_codec, tiny_realism_codec, tiny_model):
    source = open_image(movie((2, 64, 64)))
    jobs = [output_spec(source, BASE, codec).job for codec in (tiny_codec, tiny_realism_codec)]
    assert jobs[0] != jobs[1]
    named = BASE.replace(model=str(tiny_model))
    assert output_spec(source, named).job == output_spec(source, named, tiny_codec).job


def test_so_much_light_is_kept_as_it_is_and_the_user_told(tiny_codec):
    cells = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(128, 128)), 8)
    bright = np.random.default_rng(1).poisson(20_000 * np.clip(cells / np.ptp(cells) + 0.5, 0, 1))
    image = bright[None].astype(np.uint16)
    for rate in (0.4, "auto"):
        plan, _ = plan_of(image, BASE.replace(rate=rate), tiny_codec)
        assert plan.channels[0].structure
        assert any("100 % of it is kept" in message for message in plan.messages)
        bare, _ = plan_of(image, BASE.replace(rate=rate, structure="none"), tiny_codec)
        assert not bare.channels[0].structure
        assert not any("is kept" in message for message in bare.messages)


def test_fine_texture_in_much_light_comes_out_as_it_went_in_and_the_user_is_told(tiny_codec):
    rng = np.random.default_rng(2)
    image = rng.poisson(rng.uniform(5_000, 15_000, (1, 128, 128))).astype(np.uint16)
    told = {"camera": (1.0, 0.0, 2.0)}
    with pytest.warns(UserWarning, match="as it went in"):
        result = denoise(image, model=tiny_codec, device="cpu", axes="TYX", **told)
    np.testing.assert_array_equal(result, image)
    plan, _ = plan_of(image, BASE.replace(**told), tiny_codec)
    assert plan.channels[0].noise.doubt == 0, "a rate that was asked for is used"


def test_values_that_are_no_image_are_told_as_they_are_in_the_file():
    """Whole numbers with all their digits."""
    counts = np.random.default_rng(0).poisson(100, (120, 130)).astype(np.int32)
    counts[:30] = -(2**31)
    (words,) = sample_channel(open_image(counts)).left_alone()
    assert words.startswith("pixels of value -2147483648 are not image (25 %")


def test_noise_on_numbers_beyond_float32_is_refused():
    """Steps of 256 at 3e9: the result would be steps, not light."""
    counts = np.random.default_rng(0).poisson(100, (120, 130)).astype(np.uint32)
    with pytest.raises(ValueError, match=r"noise of 9.9 on values of about 3e\+09, .*steps of 256; subtract"):
        measure_channel([counts + np.uint32(3_000_000_000)])
    measure_channel([counts + np.uint32(3_000_000)])
    measure_channel([np.full((120, 130), 3_000_000_000, np.uint32)])


def test_what_no_pixel_depends_on_is_looked_for_when_it_is_asked_for(monkeypatch):
    from napari_rdpdenoise.stream import sample

    looked = []
    monkeypatch.setattr(sample, "find_enlargement", lambda windows, places: looked.append(len(windows)))
    found = sample_channel(open_image(np.random.default_rng(0).poisson(30, (2, 64, 64)).astype(np.uint16)))
    assert looked == []
    assert found.left_alone() == found.left_alone() == []
    assert looked == [2]
