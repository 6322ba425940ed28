"""Planes beside the one that is encoded: their brightness, their bytes, and who takes them."""

from __future__ import annotations

import numpy as np
import pytest

from napari_rdpdenoise.codec import Place, fit_normalization
from napari_rdpdenoise.codec.library import find
from napari_rdpdenoise.codec.network_input import (
    alike,
    brightened,
    network_input,
    normalized_neighbours,
    reconstruct,
)
from napari_rdpdenoise.noise import NoiseModel
from napari_rdpdenoise.stream.plan import ChannelPlan
from napari_rdpdenoise.stream.tile import latents_key

NOISE = NoiseModel(2.0, 100.0, 3.0)
SCENE = 40 + 60 * np.add.outer(np.sin(np.arange(70) / 6) ** 2, np.cos(np.arange(50) / 9) ** 2)


def seen(light, seed=0):
    rng = np.random.default_rng(seed)
    return np.round(100 + 2 * rng.poisson(light) + rng.normal(0, 3, light.shape)).astype(np.uint16)


TILES = [seen(SCENE, seed) for seed in range(3)]
NORMALIZATION = fit_normalization(TILES, NOISE, bounded=False)
BESIDE = [(TILES[1], None), (TILES[2], TILES[0])]


def test_bytes_keep_every_kind_of_symbols(tiny_series_codec):
    codec = tiny_series_codec
    for latents in codec.encode(TILES[:2], NORMALIZATION, 0.7, BESIDE):
        again = codec.decompress(codec.compress(latents))
        assert len(again.symbols) == 3
        assert all(np.array_equal(a, b) for a, b in zip(again.symbols, latents.symbols, strict=True))
        assert again.bits == pytest.approx(latents.bits, rel=0.05)
        kept = type(latents).from_bytes(latents.to_bytes())
        decoded = [codec.decode([item], places=[Place()])[0]["fidelity"] for item in (latents, again, kept)]
        np.testing.assert_array_equal(decoded[0], decoded[1])
        np.testing.assert_array_equal(decoded[0], decoded[2])


def test_neighbours_count_and_tiles_do_not_depend_on_their_batch(tiny_series_codec):
    codec = tiny_series_codec
    together = codec.encode([TILES[0]] * 3, NORMALIZATION, 0.7, [*BESIDE, (None, None)])
    for number, pair in enumerate([*BESIDE, (None, None)]):
        (alone,) = codec.encode(TILES[:1], NORMALIZATION, 0.7, [pair])
        assert all(np.array_equal(a, b) for a, b in zip(alone.symbols, together[number].symbols, strict=True))
    (plain,) = codec.encode(TILES[:1], NORMALIZATION, 0.7)
    assert all(np.array_equal(a, b) for a, b in zip(plain.symbols, together[2].symbols, strict=True))
    assert not np.array_equal(together[0].symbols[0], together[1].symbols[0])


def test_sweep_and_network_see_the_same_neighbours(tiny_series_codec):
    codec, pair = tiny_series_codec, tuple(alike(other, TILES[0], NOISE.offset) for other in BESIDE[1])
    (image, _), (_, bpp) = codec.sweep(TILES[0], NORMALIZATION, [0.4, 0.7], pair)
    (latents,) = codec.encode(TILES[:1], NORMALIZATION, 0.7, [pair])
    assert bpp * TILES[0].size < latents.bits
    beside = normalized_neighbours(TILES[0], BESIDE[1], NORMALIZATION)
    direct = reconstruct(codec._network, NORMALIZATION.forward(TILES[0]), 0.4, neighbours=beside)["fidelity"]
    np.testing.assert_array_equal(image, direct)


def test_the_networks_input_holds_planes_in_order():
    u = [NORMALIZATION.forward(tile) for tile in TILES]
    planes, presence = network_input(u[:2], "cpu", [(u[2], None), (None, None)])
    assert planes.shape == (2, 3, 80, 64)
    np.testing.assert_array_equal(planes[0, 0, :70, :50], u[2])
    np.testing.assert_array_equal(planes[:, 1, :70, :50], np.stack(u[:2]))
    assert not planes[0, 2].any()
    assert presence is not None
    assert presence.tolist() == [[1.0, 0.0], [0.0, 0.0]]


@pytest.mark.parametrize("factor", [0.5, 0.8, 1.0, 1.3])
def test_a_neighbour_gets_the_brightness_of_the_plane(factor):
    other = seen(SCENE * factor, 7)
    light = alike(other, TILES[0], NOISE.offset).astype(float).mean() - 100
    assert light == pytest.approx(TILES[0].astype(float).mean() - 100, rel=0.015)
    assert alike(other, TILES[0], NOISE.offset).dtype == np.float32


def test_what_is_new_in_a_neighbour_does_not_dim_it():
    light = SCENE.copy()
    light[:14, :14] += 800
    found = alike(seen(light, 3), TILES[0], NOISE.offset)[32:].astype(float).mean()
    assert found == pytest.approx(TILES[0][32:].astype(float).mean(), rel=0.03)


@pytest.mark.parametrize("light", [0.0, 1e4])
def test_another_scene_keeps_its_brightness(light):
    other = seen(np.full(SCENE.shape, light), 3)
    np.testing.assert_allclose(alike(other, TILES[0], NOISE.offset), other, rtol=1e-6)


def test_a_model_of_the_second_format_is_not_bounded(tiny_series_codec, tiny_codec):
    bright = [np.linspace(0, 60000, 4096, dtype=np.float32).reshape(64, 64)]
    noise = NoiseModel(1.0, 0.0, 1.0)
    assert tiny_series_codec.fit(bright, noise).scale == 1.0
    assert tiny_codec.fit(bright, noise) == fit_normalization(bright, noise)
    assert tiny_codec.fit(bright, noise).scale < 0.2
    assert (tiny_series_codec.planes, tiny_codec.planes) == (3, 1)


def test_the_card_tells_the_format(tiny_series_model, tiny_model):
    assert [find(folder).card.format_version for folder in (tiny_series_model, tiny_model)] == [2, 1]


def test_what_does_not_fit_is_refused_in_words(tiny_codec, tiny_series_codec):
    with pytest.raises(ValueError, match="neighbours: expected none, model tiny encodes every plane alone"):
        tiny_codec.encode(TILES[:2], NORMALIZATION, 0.5, BESIDE)
    with pytest.raises(ValueError, match="a pair for each of the 2 tiles, found 1"):
        tiny_series_codec.encode(TILES[:2], NORMALIZATION, 0.5, BESIDE[:1])
    with pytest.raises(ValueError, match="of one shape"):
        tiny_series_codec.encode(TILES[:1], NORMALIZATION, 0.5, [(TILES[1][1:], None)])
    with pytest.raises(ValueError, match="must be finite"):
        tiny_series_codec.encode(TILES[:1], NORMALIZATION, 0.5, [(np.full(SCENE.shape, np.nan), None)])
    (foreign,) = tiny_codec.encode(TILES[:1], NORMALIZATION, 0.5)
    with pytest.raises(ValueError, match=r"\(16, 16, 8\) channels \(y, z, d\)"):
        tiny_series_codec.decode([foreign])


def test_cached_latents_belong_to_the_neighbours_too():
    plan, model = ChannelPlan(NORMALIZATION, 0.5, None), bytes(16)
    pairs = [(None, None), (TILES[1], None), (None, TILES[1]), (TILES[1], TILES[2]), (TILES[2], TILES[1])]
    keys = [latents_key(model, plan, TILES[0], pair) for pair in pairs]
    assert len(set(keys)) == len(keys)
    assert keys[0] == latents_key(model, plan, TILES[0])


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", ">u2", "int32", "float32"])
def test_brightened_planes_are_the_same_by_table_and_by_pixel(dtype):
    plane = np.random.default_rng(0).integers(0, 127, (300, 257)).astype(dtype)
    rows = [brightened(row, 1.2345, 98.7) for row in plane]
    found = brightened(plane, 1.2345, 98.7)
    assert found.dtype == np.float32
    assert np.array_equal(found, rows)
