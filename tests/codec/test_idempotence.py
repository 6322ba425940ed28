from __future__ import annotations

import math

import numpy as np
import pytest

from napari_rdpdenoise.codec import Place, fit_normalization
from napari_rdpdenoise.codec.idempotence import Idempotence, encode_again
from napari_rdpdenoise.noise import NoiseModel

RNG = np.random.default_rng(0)
TILE = (RNG.poisson(40, (64, 80)) + 3 * np.arange(80)).astype(np.uint16)
NORMALIZATION = fit_normalization([TILE], NoiseModel(1.0, 0.0, 1.0))


@pytest.fixture(params=["tiny_codec", "tiny_series_codec"])
def codec(request):
    return request.getfixturevalue(request.param)


def test_the_image_that_was_encoded_changes_nothing(codec):
    (latents,) = codec.encode([TILE], NORMALIZATION, 0.5)
    found = encode_again(codec, latents, TILE)
    assert (found.changed, found.squares) == (0, 0.0)
    assert found.symbols == sum(part.size for part in latents.symbols)
    assert found.pixels == TILE.size
    assert found.occupied == sum(np.count_nonzero(part) for part in latents.symbols)
    assert found.changed_share == found.changed_share_of_occupied == found.distance == 0.0


@pytest.mark.parametrize("realism", [0.0, 0.7])
def test_what_is_counted_is_what_a_second_encoding_changes(tiny_realism_codec, realism):
    codec, place = tiny_realism_codec, Place(5, 8, 16)
    (latents,) = codec.encode([TILE], NORMALIZATION, 0.9)
    names = codec.decoders
    first = codec.decode([latents], names, [place])[0].blend(realism)
    (again,) = codec.encode([first], NORMALIZATION, 0.9)
    second = codec.decode([again], names, [place])[0].blend(realism)
    changed = sum(np.count_nonzero(a != b) for a, b in zip(latents.symbols, again.symbols, strict=True))
    assert changed > 0
    found = encode_again(codec, latents, realism=realism, place=place)
    assert found.changed == changed
    assert changed <= found.occupied <= found.symbols
    distance = np.sqrt(np.mean((second - first) ** 2 / NORMALIZATION.noise.variance(first)))
    assert found.distance == pytest.approx(distance, rel=1e-5)
    assert found == encode_again(codec, latents, first, realism, place)


def test_windows_add_up_to_the_tile(codec):
    (latents,) = codec.encode([TILE], NORMALIZATION, 0.9)
    result = TILE + RNG.normal(0, 5, TILE.shape)
    whole = encode_again(codec, latents, result)
    rows = [slice(0, 32), slice(32, 64)]
    columns = [slice(0, 16), slice(16, 80)]
    parts = [encode_again(codec, latents, result, window=(y, x)) for y in rows for x in columns]
    total = sum(parts, Idempotence())
    assert (total.symbols, total.changed, total.occupied, total.pixels) == (
        whole.symbols,
        whole.changed,
        whole.occupied,
        whole.pixels,
    )
    assert total.squares == pytest.approx(whole.squares)
    assert whole.changed > 0


def test_a_tile_of_no_round_size_is_counted_whole(codec):
    tile = TILE[:17, :41]
    (latents,) = codec.encode([tile], NORMALIZATION, 0.5)
    found = encode_again(codec, latents, tile + 50.0)
    assert found.symbols == sum(part.size for part in latents.symbols)
    assert found.pixels == tile.size
    edge = encode_again(codec, latents, tile + 50.0, window=(slice(16, 17), slice(32, 41)))
    assert edge.pixels == 9
    assert 0 < edge.symbols < found.symbols


def test_neighbours_of_the_result_are_seen(tiny_series_codec):
    codec = tiny_series_codec
    (latents,) = codec.encode([TILE], NORMALIZATION, 0.9)
    alone = encode_again(codec, latents, TILE)
    beside = encode_again(codec, latents, TILE, neighbours=(TILE + np.uint16(40), None))
    assert alone.changed == 0
    assert beside.changed > 0


def test_of_nothing_nothing_is_known():
    assert math.isnan(Idempotence().changed_share)
    assert math.isnan(Idempotence().distance)
    assert Idempotence(symbols=4, pixels=4).changed_share_of_occupied == 0.0


def test_another_shape_is_refused(tiny_codec):
    (latents,) = tiny_codec.encode([TILE], NORMALIZATION, 0.5)
    with pytest.raises(
        ValueError, match=r"result: expected the shape of the tile, \(64, 80\), found \(64, 64\)"
    ):
        encode_again(tiny_codec, latents, TILE[:, :64])
