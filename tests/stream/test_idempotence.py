from __future__ import annotations

import numpy as np
import pytest

from napari_rdpdenoise import RunSettings
from napari_rdpdenoise.codec.idempotence import Idempotence, encode_again
from napari_rdpdenoise.io.arrays import ArraySource
from napari_rdpdenoise.stream import idempotence as module
from napari_rdpdenoise.stream.idempotence import encode_result_again

RNG = np.random.default_rng(3)
NOISY = (RNG.poisson(60 + 40 * np.sin(np.arange(200) / 9), (2, 2, 150, 200))).astype(np.uint16)


def ended(running):
    lines = []
    while True:
        try:
            lines.append(next(running))
        except StopIteration as end:
            return end.value, lines


def settings(**changes):
    return RunSettings(rate=0.6, tile=128, halo=64, structure="none", neighbours="none", **changes)


def test_every_channel_is_counted_once_without_halos(tiny_codec):
    source = ArraySource(NOISY, "TCYX")
    found, lines = ended(encode_result_again(source, source, settings(), tiny_codec))
    assert set(found) == {0, 1}
    for seen in found.values():
        assert seen.pixels == NOISY[:, 0].size
        assert (seen.changed, seen.squares) == (0, 0.0)  # the noisy image itself is encoded as before
    assert lines[-1] == "tile 8 of 8, out of 8"


def test_the_pixels_of_the_result_are_what_is_encoded(tiny_codec):
    noisy, result = NOISY[0, 0], NOISY[0, 0] // 2 + np.uint16(30)
    given = settings().replace(tile=256)
    found, _ = ended(encode_result_again(ArraySource(noisy), ArraySource(result), given, tiny_codec))
    (seen,) = found.values()
    plan = ended(module._planned(ArraySource(noisy), given, tiny_codec, None))[0]
    (latents,) = tiny_codec.encode([noisy], plan.channels[0].normalization, 0.6)
    expected = encode_again(tiny_codec, latents, result, place=plan.works[0].place)
    assert expected.changed > 0
    assert (seen.symbols, seen.changed, seen.occupied) == (
        expected.symbols,
        expected.changed,
        expected.occupied,
    )
    assert seen.squares == pytest.approx(expected.squares)


def test_chosen_channels_are_those_of_the_run(tiny_codec):
    chosen = settings(channels=(1,), time=(1, 2))
    result = ArraySource(NOISY[1:, 1:], "TCYX")
    found, _ = ended(encode_result_again(ArraySource(NOISY, "TCYX"), result, chosen, tiny_codec))
    assert list(found) == [1]
    assert found[1].changed == 0
    assert found[1].pixels == NOISY[0, 0].size


def test_colours_that_a_file_keeps_as_channels_are_neighbours_all_the_same(tiny_series_codec):
    noisy = RNG.poisson(60, (3, 96, 130)).astype(np.uint16)
    given = settings().replace(neighbours="S")
    found = [
        ended(
            encode_result_again(ArraySource(noisy, "SYX"), ArraySource(noisy, axes), given, tiny_series_codec)
        )
        for axes in ("SYX", "CYX")
    ]
    assert found[0] == found[1]
    assert [seen.changed for seen in found[1][0].values()] == [0, 0, 0]


def test_of_a_long_series_some_tiles_are_looked_at(tiny_codec, monkeypatch):
    monkeypatch.setattr(module, "MOST_TILES", 2)
    source = ArraySource(NOISY, "TCYX")
    found, lines = ended(encode_result_again(source, source, settings(), tiny_codec))
    assert sum(found.values(), Idempotence()).pixels < NOISY.size
    assert lines[-2:] == ["tile 1 of 2, out of 8", "tile 2 of 2, out of 8"]


@pytest.mark.parametrize(
    ("changes", "found"),
    [({"ensemble": 2}, "average over 2 mirror images"), ({"quantity": "kept"}, "the 'kept' of one")],
)
def test_what_no_single_encoding_has_made_is_refused(tiny_codec, changes, found):
    source = ArraySource(NOISY, "TCYX")
    with pytest.raises(ValueError, match=rf"RESULT: expected .*found .*{found}"):
        next(encode_result_again(source, source, settings(**changes), tiny_codec))


def test_a_result_of_another_image_is_refused(tiny_codec):
    running = encode_result_again(
        ArraySource(NOISY, "TCYX"), ArraySource(NOISY[0], "CYX"), settings(), tiny_codec
    )
    with pytest.raises(
        ValueError, match=r"RESULT: expected the size .*\(2, 2, 150, 200\), found \(2, 150, 200\)"
    ):
        next(running)
