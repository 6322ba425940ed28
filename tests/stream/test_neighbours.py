"""Neighbouring planes through the tile loop: read once, at one brightness, whatever the tiling."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import ndimage

from napari_rdpdenoise.cache import LatentCache
from napari_rdpdenoise.io import SelectedSource, open_image
from napari_rdpdenoise.io.masked import MaskedSource
from napari_rdpdenoise.io.output.array_sink import ArraySink
from napari_rdpdenoise.lazy import denoise_lazy
from napari_rdpdenoise.noise import NoiseModel, stabilize
from napari_rdpdenoise.noise.invalid import MISSING_ONLY, screen
from napari_rdpdenoise.settings import RunSettings
from napari_rdpdenoise.stream import denoise_stream, make_plan, output_spec
from napari_rdpdenoise.stream.neighbours import (
    Brightness,
    PlaneRing,
    _averaged,
    adjacent,
    neighbour_axes,
    planes_settled,
)
from napari_rdpdenoise.stream.pipeline import denoise_works
from napari_rdpdenoise.stream.screen import FilledSource, ScreenedWindows

SETTINGS = RunSettings(device="cpu", rate=0.4, tile=64, halo=192, neighbours="T", structure="none")
WHOLE = slice(None), slice(None)
NOISE = NoiseModel(2.0, 100.0, 1.0)


def movie_light(shape):
    y, x = np.mgrid[: shape[-2], : shape[-1]]
    return 30 + 100 * (np.sin(y / 11) * np.cos(x / 8) > 0.4)


def movie(shape=(4, 130, 96), seed=0, lamp=()):
    rng = np.random.default_rng(seed)
    light = np.broadcast_to(movie_light(shape), shape).astype(float)
    for plane, factor in enumerate(lamp):
        light[plane] *= factor
    return (100 + 2 * rng.poisson(light)).astype(np.uint16)


class Counted:
    """A source that counts how many pixels of each plane were read."""

    def __init__(self, source):
        self._source, self.read_of = source, {}
        self.shape, self.dtype, self.metadata = source.shape, source.dtype, source.metadata

    def read(self, index, y, x):
        block = self._source.read(index, y, x)
        self.read_of[index] = self.read_of.get(index, 0) + block.size
        return block

    def close(self):
        self._source.close()

    def fingerprint(self):
        return self._source.fingerprint()


def run(source, settings, codec, **options):
    source = open_image(source) if isinstance(source, np.ndarray) else source
    sink = ArraySink(output_spec(source, settings))
    steps = denoise_stream(source, sink, settings, codec=codec, **options)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return sink.array, end.value


def test_adjacent_planes_are_the_nearest_along_the_axis():
    assert neighbour_axes("TCZYX", (5, 2, 1, 8, 8)) == "T"
    assert neighbour_axes("ZTYX", (5, 2, 8, 8)) == "TZ"
    assert neighbour_axes("CYX", (5, 8, 8)) == ""
    assert adjacent("TCZYX", (5, 2, 3, 8, 8), (2, 1, 2), "T") == (
        ((1, 1, 2), (0, 1, 2)),
        ((3, 1, 2), (4, 1, 2)),
    )
    assert adjacent("TCZYX", (5, 2, 3, 8, 8), (1, 1, 2), "T") == (((0, 1, 2),), ((2, 1, 2), (3, 1, 2)))
    assert adjacent("TCZYX", (5, 2, 3, 8, 8), (4, 1, 1), "Z") == (((4, 1, 0),), ((4, 1, 2),))


def test_at_an_end_the_planes_beyond_the_nearest_take_the_missing_place():
    def numbers(here, count, letter):
        return tuple(
            [index[0] for index in side] for side in adjacent(letter + "YX", (count, 8, 8), (here,), letter)
        )

    assert numbers(0, 9, "T") == ([2, 3], [1])
    assert numbers(8, 9, "T") == ([7], [6, 5])
    assert numbers(0, 9, "Z") == ([2], [1])
    assert numbers(8, 9, "Z") == ([7], [6])
    assert numbers(0, 2, "T") == ([], [1])
    assert numbers(1, 3, "T") == ([0], [2])
    assert numbers(0, 1, "T") == ([], [])


@pytest.mark.parametrize("letter", "TZ")
@pytest.mark.parametrize("count", range(1, 9))
def test_no_plane_is_a_neighbour_twice_nor_of_itself(letter, count):
    for here in range(count):
        before, after = adjacent(letter + "YX", (count, 8, 8), (here,), letter)
        found = [*before, *after]
        assert len(set(found)) == len(found)
        assert (here,) not in found


@pytest.mark.parametrize("count", range(1, 9))
def test_planes_are_settled_as_soon_as_they_have_the_neighbours_of_the_end(count):
    def settled(position):
        now, forever = (adjacent("TYX", (planes, 8, 8), (position,), "T") for planes in (count, 100))
        return now == forever

    assert [settled(position) for position in range(count)].index(False) == planes_settled(count)


def test_neighbours_change_the_result_and_tiles_agree(tiny_series_codec):
    array = movie()
    exact = SETTINGS.replace(dtype="float32")
    tiled, report = run(array, exact, tiny_series_codec)
    whole, _ = run(array, exact.replace(tile=1024), tiny_series_codec)
    alone, _ = run(array, exact.replace(neighbours="none"), tiny_series_codec)
    assert report.channels[0].neighbours == "T"
    assert np.quantile(np.abs(tiled - whole), 0.999) <= 1e-4 * np.ptp(array)
    assert np.abs(tiled - alone).max() > 1


def test_parts_agree_with_the_whole_series(tiny_series_codec):
    array = movie()
    whole, _ = run(array, SETTINGS, tiny_series_codec)
    part, _ = run(array, SETTINGS.replace(time=(1, 3)), tiny_series_codec)
    np.testing.assert_array_equal(part, whole[1:3])


@pytest.mark.parametrize("shape", [(130, 96), (1, 130, 96)])
def test_a_plane_by_itself_works(shape, tiny_series_codec):
    settings = SETTINGS.replace(neighbours="auto")
    found, report = run(movie(shape), settings, tiny_series_codec)
    alone, _ = run(movie(shape), SETTINGS.replace(neighbours="none"), tiny_series_codec)
    np.testing.assert_array_equal(found, alone)
    assert report.channels[0].neighbours is None


def test_cache_lazy_and_order_give_the_same(tiny_series_codec, tmp_path):
    array, cache = movie(), LatentCache(folder=tmp_path)
    expected, first = run(array, SETTINGS, tiny_series_codec, cache=cache)
    again, second = run(array, SETTINGS, tiny_series_codec, cache=cache)
    np.testing.assert_array_equal(again, expected)
    assert (first.cache_hits, second.cache_hits) == (0, second.tiles)
    changed = array.copy()
    changed[3] = movie(seed=9)[3]
    _, third = run(changed, SETTINGS, tiny_series_codec, cache=cache)
    assert third.cache_hits < second.cache_hits - len(array)  # a neighbour's pixels are part of the key
    lazy = denoise_lazy(open_image(array), SETTINGS, codec=tiny_series_codec)
    assert np.mean(np.asarray(lazy) != expected) < 1e-3  # sums of other batches may round otherwise


def test_every_plane_is_read_once(tiny_series_codec):
    array = movie((3, 2, 130, 96)).reshape(3, 2, 130, 96)
    source = Counted(open_image(array, "TZYX"))
    run(source, SETTINGS, tiny_series_codec)
    sampled = Counted(open_image(array, "TZYX"))
    list(make_plan(sampled, SETTINGS, tiny_series_codec))
    for index, pixels in source.read_of.items():
        assert pixels - sampled.read_of.get(index, 0) == 130 * 96


def test_remembered_blocks_are_those_of_their_channel_and_mask(tiny_series_codec, monkeypatch):
    array = np.stack([movie((3, 130, 96), seed) for seed in (0, 1)], axis=1)
    array[:, 0, 20:40, 30:60] = 4095  # values that are no image, of one channel each
    array[:, 1, 60:90, 10:30] = 0
    array[1, :, 40, 50] = 9000
    mask = np.zeros(array.shape, bool)
    mask[2, :, :30, 60:] = True

    def denoised():
        source = MaskedSource(open_image(array, "TCYX"), mask)
        return run(source, SETTINGS, tiny_series_codec)[0]

    found = denoised()
    assert np.array_equal(found[mask], array[mask])
    monkeypatch.setattr(ScreenedWindows, "of", lambda source: ScreenedWindows())
    np.testing.assert_array_equal(found, denoised())


def test_every_plane_is_screened_once(tiny_series_codec, monkeypatch):
    array = movie((5, 130, 96))
    array[2, 40, 50] = 9000  # a defect: the filled plane is another array than the plane itself
    counted = []

    def counting(plane, *more):
        counted.append(plane.size)
        return screen(plane, *more)

    source = open_image(array)
    plan = list(make_plan(source, SETTINGS, tiny_series_codec))[-1]
    monkeypatch.setattr("napari_rdpdenoise.stream.screen.screen", counting)
    sink = ArraySink(output_spec(source, SETTINGS))
    list(denoise_works(source, sink, SETTINGS, plan, codec=tiny_series_codec))
    once = sum(math.prod(work.tile.outer_shape) for work in plan.works)
    places = array.size  # the whole planes, by which brightness is measured
    assert sum(counted) <= once + places


def test_the_ring_gives_what_the_source_gives():
    array = movie((6, 40, 50))
    ring = PlaneRing(open_image(array))
    for index in (0, 1, 2, 1, 5, 0, 3):
        np.testing.assert_array_equal(ring.read((index,), slice(3, 20), slice(7, 50)), array[index, 3:20, 7:])
    assert PlaneRing.fits(open_image(array))


def test_neighbours_come_at_the_brightness_of_the_plane():
    array = movie((3, 256, 200), lamp=(0.5, 1.0, 1.6))
    source, brightness = open_image(array), Brightness()
    window = slice(30, 90), slice(20, 100)
    before, after = brightness.neighbours(source, (1,), window, "T", NOISE)
    light = array[1][window].mean() - 100
    assert before.mean() - 100 == pytest.approx(light, rel=0.03)
    assert after.mean() - 100 == pytest.approx(light, rel=0.03)
    assert before.dtype == np.float32
    assert brightness.neighbours(source, (2,), window, "T", NOISE)[1] is not None  # the first plane
    assert brightness.neighbours(open_image(array[:2]), (1,), window, "T", NOISE)[1] is None


def test_the_brightness_of_large_planes_is_measured_on_windows():
    array = np.tile(movie((64, 64)), (2, 20, 20))
    array[1] = 100 + (array[1] - 100) // 2
    source = Counted(open_image(array))
    assert Brightness().factor(source, (0,), (1,), 100.0) == pytest.approx(2, rel=0.03)
    assert source.read_of[(0,)] < 1280 * 1280


def test_farther_planes_lessen_the_noise_of_nearer_ones():
    array = movie((5, 200, 200))
    clean = 100 + 2 * np.broadcast_to(movie_light((200, 200)), (200, 200))
    before, after = Brightness().neighbours(open_image(array), (2,), WHOLE, "T", NOISE)
    for averaged, plane in ((before, array[1]), (after, array[3])):
        share = np.var(averaged - clean) / np.var(plane - clean)
        assert 0.45 < share < 0.6
    deep, _ = Brightness().neighbours(open_image(array, "ZYX"), (2,), WHOLE, "Z", NOISE)
    np.testing.assert_allclose(deep, array[1], rtol=0.02)


def test_farther_planes_that_show_something_else_change_little():
    array = movie((5, 200, 200))
    other = 100 + 2 * np.random.default_rng(3).poisson(160 - movie_light((200, 200)))
    array[0] = array[4] = other  # as bright, dark where the others are bright
    for averaged, plane in zip(
        Brightness().neighbours(open_image(array), (2,), WHOLE, "T", NOISE), (array[1], array[3]), strict=True
    ):
        assert np.abs(averaged - plane).mean() < 0.05 * np.abs(other - plane.astype(float)).mean()


def test_where_the_nearer_plane_was_not_taken_the_farther_one_stands_for_it():
    array = movie((5, 64, 64), lamp=(1, 1, 1, 1, 0.5))
    array[3] = 0
    _, after = Brightness().neighbours(open_image(array), (2,), WHOLE, "T", NOISE)
    assert after.mean() == pytest.approx(array[2].mean(), rel=0.03)


@pytest.mark.parametrize("value", [0, 65535])
def test_a_frame_that_was_not_taken_is_no_neighbour(value, tiny_series_codec):
    array = movie()[:3]
    array[2] = value
    before, after = Brightness().neighbours(open_image(array), (1,), WHOLE, "T", NOISE)
    assert before is not None
    assert after is None
    missing = array.astype(np.float32)
    missing[2] = np.nan
    source = FilledSource(open_image(missing), MISSING_ONLY)
    assert Brightness().neighbours(source, (1,), WHOLE, "T", NOISE)[1] is None


def test_a_frame_that_is_there_twice_is_no_neighbour_of_itself():
    """Its noise is the same, which looks like structure that both planes show."""
    frames = movie((5, 64, 64))
    frames[2] = frames[1]
    source, window = open_image(frames, axes="TYX"), (slice(0, 64), slice(0, 64))
    before, after = Brightness().neighbours(source, (2,), window, "T", NOISE)
    single = Brightness().neighbours(open_image(frames[[0, 2, 3, 4]], axes="TYX"), (1,), window, "T", NOISE)
    assert np.allclose(before, single[0], rtol=1e-6)
    assert np.allclose(after, single[1], rtol=1e-6)
    still = open_image(np.repeat(frames[:1], 4, axis=0), axes="TYX")
    assert Brightness().neighbours(still, (1,), window, "T", NOISE) == (None, None)


def test_a_grey_picture_that_is_stored_in_colours_has_no_neighbours():
    grey = open_image(np.repeat(movie((1, 64, 64)), 3, axis=0), axes="SYX")
    window = slice(0, 64), slice(0, 64)
    assert Brightness().neighbours(grey, (0,), window, "S", NOISE) == (None, None)


def test_missing_values_of_a_neighbour_are_filled():
    array = movie().astype(np.float32)
    array[2, 10:20, 10:20] = np.nan
    source = FilledSource(open_image(array), MISSING_ONLY)
    _, after = Brightness().neighbours(source, (1,), WHOLE, "T", NOISE)
    assert np.isfinite(after).all()


def test_the_light_of_a_plane_stays_its_own(tiny_series_codec):
    array, exact = movie(lamp=(1.0, 0.5, 1.5, 0.7)), SETTINGS.replace(dtype="float32")
    found, _ = run(array, exact, tiny_series_codec)
    alone, _ = run(array, exact.replace(neighbours="none"), tiny_series_codec)
    light = (found.astype(float).mean((1, 2)) - 100) / (alone.astype(float).mean((1, 2)) - 100)
    assert light == pytest.approx(np.ones(4), abs=0.01)


def test_what_cannot_be_is_refused_in_words(tiny_codec, tiny_series_codec):
    with pytest.raises(ValueError, match="neighbours: expected auto or none for model tiny, which looks at"):
        run(movie(), SETTINGS, tiny_codec)
    with pytest.raises(ValueError, match="neighbours: expected an axis of the image, which has TYX, found Z"):
        run(movie(), SETTINGS.replace(neighbours="Z"), tiny_series_codec)
    _, report = run(movie(), SETTINGS.replace(neighbours="auto"), tiny_codec)
    assert report.channels[0].neighbours is None


def test_a_selection_of_another_source_selects_the_same():
    array = movie((4, 40, 50))
    chosen = SelectedSource(open_image(array), time=(2, 4))
    other = chosen.over(open_image(array + 1))
    np.testing.assert_array_equal(other.read((0,), *WHOLE), chosen.read((0,), *WHOLE) + 1)
    assert chosen.whole is not other.whole


def test_the_neighbours_of_a_colour_are_the_two_others():
    assert neighbour_axes("SYX", (3, 8, 8)) == neighbour_axes("SYX", (4, 8, 8)) == "S"
    assert neighbour_axes("SYX", (2, 8, 8)) == ""  # grey and opacity
    assert neighbour_axes("TSYX", (5, 3, 8, 8)) == "TS"
    pairs = [adjacent("TSYX", (5, 4, 8, 8), (2, colour), "S") for colour in range(4)]
    assert pairs == [
        (((2, 2),), ((2, 1),)), (((2, 0),), ((2, 2),)), (((2, 1),), ((2, 0),)), ((), ()),
    ]  # fmt: skip


def test_colours_help_each_other_and_tiles_agree(tiny_series_codec):
    array = np.stack([movie((1, 130, 96), seed)[0] for seed in range(3)], axis=-1)
    colours = SETTINGS.replace(dtype="float32", neighbours="S", axes="YXS")
    tiled, report = run(open_image(array, "YXS"), colours, tiny_series_codec)
    whole, _ = run(open_image(array, "YXS"), colours.replace(tile=1024), tiny_series_codec)
    alone, _ = run(open_image(array, "YXS"), colours.replace(neighbours="none"), tiny_series_codec)
    assert [channel.neighbours for channel in report.channels] == ["S"] * 3
    assert np.quantile(np.abs(tiled - whole), 0.999) <= 1e-4 * np.ptp(array)
    assert np.abs(tiled - alone).max() > 1


def test_colours_of_many_planes_are_read_once(tiny_series_codec):
    array = np.stack([movie((4, 64, 64), seed) for seed in range(3)], axis=-1)
    source = Counted(open_image(array, "TYXS"))
    settings = SETTINGS.replace(neighbours="S", axes="TYXS", halo=0, camera=(2.0, 100.0, 1.0))
    run(source, settings, tiny_series_codec)
    sampled = Counted(open_image(array, "TYXS"))
    list(make_plan(sampled, settings, tiny_series_codec))
    tiles = {index: source.read_of[index] - sampled.read_of.get(index, 0) for index in source.read_of}
    assert set(tiles.values()) == {64 * 64}


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (2, 1), (301, 333), (35, 2048), (2049, 34)])
def test_planes_averaged_strip_by_strip_are_those_averaged_at_once(shape):
    light = np.broadcast_to(movie_light((2049, 2048))[: shape[0], : shape[1]], shape)
    rng = np.random.default_rng(0)
    near, far = ((100 + 2 * rng.poisson(light)).astype(np.float32) for _ in range(2))
    padded = [np.pad(image, [(0, n % 2) for n in shape], mode="edge") for image in (near, far)]
    rows = [image[::2] + image[1::2] for image in padded]
    one, other = (stabilize((r[:, ::2] + r[:, 1::2]) * np.float32(0.25), NOISE) for r in rows)
    beyond = ndimage.uniform_filter(np.square(one - other), 7, mode="nearest") - 2 / 4
    share = 1 / (2 + np.maximum(beyond, 0))
    expected = near + (far - near) * share.repeat(2, 0)[: shape[0]].repeat(2, 1)[:, : shape[1]]
    assert np.array_equal(_averaged(near, far, NOISE), expected)
