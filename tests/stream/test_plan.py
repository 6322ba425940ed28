"""Series whose noise changes: each plane is denoised by its own, whoever asks for it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_rdpdenoise.io import ArraySink, SelectedSource, open_image
from napari_rdpdenoise.lazy import denoise_lazy
from napari_rdpdenoise.noise import stabilize
from napari_rdpdenoise.settings import RunSettings
from napari_rdpdenoise.stream import denoise_stream, output_spec
from napari_rdpdenoise.stream.parts import Asked, SharedPlan
from napari_rdpdenoise.stream.plan import Plan
from napari_rdpdenoise.stream.prepare import make_plan
from napari_rdpdenoise.stream.tile import TileTask
from tests.support.exposures import GAIN, READ, corrected, light, stored

SETTINGS = RunSettings(rate=0.5, tile=64, halo=64, device="cpu")


def planned(array, settings, codec):
    *_, plan = make_plan(open_image(array, "TYX"), settings, codec)
    return plan


def run(array, settings, codec, **options):
    source = open_image(array, "TYX")
    sink = ArraySink(output_spec(source, settings))
    for _ in denoise_stream(source, sink, settings, codec=codec, **options):
        pass
    return sink.array


def noise_left(image, noise):
    """Standard deviation of the fine part of a stabilised image: 1 where the noise model is right."""
    t = stabilize(image, noise).astype(float)
    fine = ndimage.convolve1d(ndimage.convolve1d(t, [1, -2, 1], axis=0), [1, -2, 1], axis=1)[2:-2, 2:-2] / 6
    return 1.4826 * np.median(np.abs(fine))


def test_the_noise_of_each_plane_is_made_one(tiny_codec):
    array = corrected(0.1)
    plan = planned(array, SETTINGS, tiny_codec)
    assert any("by its own noise" in message for message in plan.messages)
    task = TileTask(SelectedSource(open_image(array, "TYX")), plan, tiny_codec, None, ("fidelity",))
    for work in plan.works[::9]:
        item = task.read(work)
        assert noise_left(item.raw, item.plan.normalization.noise) == pytest.approx(1, abs=0.12)
    one = plan.channels[0].normalization.noise
    assert not 0.8 < noise_left(array[0], one) < 1.25
    assert not 0.8 < noise_left(array[-1], one) < 1.25


def test_the_centre_stays_at_the_same_counts(tiny_codec):
    channel = planned(corrected(), SETTINGS, tiny_codec).channels[0]
    levels = [float(channel.at((t,)).normalization.inverse(np.zeros(1))[0]) for t in range(8)]
    assert levels == pytest.approx([levels[0]] * 8, rel=0.02)


def test_batches_order_and_lazy_blocks_do_not_matter(tiny_codec):
    array = corrected(0.2, 6, (130, 100), "f4")
    expected = run(array, SETTINGS.replace(batch=1), tiny_codec)
    tolerance = 1e-3 * np.ptp(array)
    for settings, options in (
        (SETTINGS, {}),
        (SETTINGS.replace(batch=3), {"order": lambda works: sorted(works, key=lambda work: work.tile.y0)}),
    ):
        np.testing.assert_allclose(run(array, settings, tiny_codec, **options), expected, atol=tolerance)
    with pytest.warns(UserWarning, match="by its own noise"):
        lazy = denoise_lazy(open_image(array, "TYX"), SETTINGS, codec=tiny_codec)
    np.testing.assert_allclose(lazy[4:].compute(), expected[4:], atol=tolerance)


def test_a_part_of_the_series_is_denoised_as_all_of_it(tiny_codec):
    array = corrected(0.2, 6, (96, 100), "f4")
    settings = SETTINGS.replace(batch=1)
    expected = run(array, settings, tiny_codec)
    found = run(array, settings.replace(time=(3, 5)), tiny_codec)
    np.testing.assert_array_equal(found, expected[3:5])


def test_parts_learn_of_it_from_the_shared_plan(tiny_codec):
    plan = planned(corrected(), SETTINGS, tiny_codec)
    asked = Asked("1", {}, "x", "y", 1)
    shared = SharedPlan(asked, "float32", plan.channels, plan.messages)
    again = SharedPlan.from_text(shared.to_text(), "here")
    assert again.channels[0].at((5,)) == plan.channels[0].at((5,))


def test_a_camera_that_is_told_is_the_camera_of_all_planes(tiny_codec):
    plan = planned(corrected(), SETTINGS.replace(camera=(2.0, 100.0, 3.0)), tiny_codec)
    assert plan.channels[0].at((5,)).normalization == plan.channels[0].normalization
    assert any("leave it out (--camera)" in message for message in plan.messages)


def struck(last, count=8):
    """A corrected series with 25 pixels a plane 20 noise standard deviations above their surroundings."""
    array, rng = corrected(last, count), np.random.default_rng(5)
    photons, hot = light(array.shape[1:]), np.zeros(array.shape, bool)
    y, x = np.mgrid[15:140:28, 15:140:28]
    for plane, at, share in zip(array, hot, last ** (np.arange(count) / (count - 1)), strict=True):
        at[y + rng.integers(0, 8, y.shape), x + rng.integers(0, 8, x.shape)] = True
        sigma = np.sqrt(GAIN**2 * photons * share + READ**2) / share
        plane[at] = stored(plane[at] + 20 * sigma[at], plane.dtype)
    return array, hot


@pytest.mark.parametrize(
    ("last", "changes"),
    [
        (0.05, {}),
        (0.1, {"neighbours": "none", "time": (4, 8)}),
        (0.1, {"camera": (2.0, 100.0, 3.0), "time": (4, 8)}),
    ],
)
def test_hot_pixels_are_told_by_the_noise_of_their_plane(last, changes, tiny_codec):
    array, hot = struck(last)
    settings = SETTINGS.replace(tile=256, **changes)
    plan = planned(array, settings, tiny_codec)
    source = SelectedSource(open_image(array, "TYX"), None, settings.time)
    task = TileTask(source, plan, tiny_codec, None, ("fidelity",))
    for work in plan.works:
        found, at = task.read(work), hot[source.original(work.index)]
        replaced = found.raw != array[source.original(work.index)]
        assert replaced[at].mean() >= 0.8
        assert not replaced[~at].any()


def test_no_hot_pixels_are_found_where_noise_alone_grows(tiny_codec):
    for last in (0.1, 4.0):
        array = corrected(last)
        plan = planned(array, SETTINGS.replace(tile=256), tiny_codec)
        task = TileTask(SelectedSource(open_image(array, "TYX")), plan, tiny_codec, None, ("fidelity",))
        assert sum(task.read(work).defects for work in plan.works) == 0
        assert not any("singly" in message for message in plan.messages)


def test_the_rate_is_chosen_as_for_planes_of_one_noise(tiny_codec):
    even, grown = (
        planned(corrected(last), RunSettings(rate="auto", device="cpu", neighbours="none"), tiny_codec)
        for last in (1.0, 0.3)
    )
    assert isinstance(grown, Plan)
    found, expected = grown.channels[0].choice, even.channels[0].choice
    assert found.expected == pytest.approx(expected.expected, abs=0.1)
    assert found.found == pytest.approx(expected.found, rel=0.25)
