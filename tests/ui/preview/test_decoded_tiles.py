from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_rdpdenoise.codec import Decoded
from napari_rdpdenoise.io import to_output
from napari_rdpdenoise.tiles import plan_tiles
from napari_rdpdenoise.ui.preview.decoded_tiles import Blender, DecodedTile, DecodedTiles, TileKey

PLANE = (200, 170)
TILES = plan_tiles(PLANE, 64, 0)


def decoded(shape=(4, 5), seed=0, **more) -> DecodedTile:
    fidelity, realism = np.random.default_rng(seed).normal(300, 200, (2, *shape)).astype(np.float32)
    images = Decoded({"fidelity": fidelity, "realism": realism})
    return DecodedTile(**{"images": images, "kept": None, "bpp": 0.3, **more})


@pytest.mark.parametrize("dtype", ["float32", "float16", "float64", "uint8", "uint16", "int32"])
@given(realism=st.floats(0, 1))
def test_a_blended_plane_is_what_a_run_would_write(dtype, realism) -> None:
    held = [(tile, decoded(tile.core_shape, tile.index)) for tile in TILES]
    out = np.full(PLANE, 77, dtype)
    Blender().blend(held[1:], realism, out)
    for tile, made in held[1:]:
        expected, _ = to_output(made.images.blend(realism), dtype, (made.seed, tile.y0, tile.x0))
        np.testing.assert_array_equal(out[tile.core], expected)
    assert (out[TILES[0].core] == 77).all()


def test_tiles_are_not_changed_by_blending() -> None:
    made = decoded(TILES[0].core_shape)
    before = {name: image.copy() for name, image in made.images.items()}
    Blender().blend([(TILES[0], made)], 0.4, np.zeros(PLANE, np.float32))
    assert tuple(before) == ("fidelity", "realism")
    for name, image in made.images.items():
        np.testing.assert_array_equal(image, before[name])


def test_without_a_realism_decode_only_fidelity_is_given() -> None:
    alone = Decoded({"fidelity": decoded(TILES[0].core_shape).images["fidelity"]})
    made, out = decoded(images=alone), np.zeros(PLANE, np.float32)
    Blender().blend([(TILES[0], made)], 0.0, out)
    np.testing.assert_array_equal(out[TILES[0].core], alone["fidelity"])
    with pytest.raises(ValueError, match=r"no realism decoder, expected 0, found 0\.1"):
        Blender().blend([(TILES[0], made)], 0.1, out)


step = st.tuples(st.sampled_from(["put", "get", "drop"]), st.integers(0, 5), st.integers(1, 12))


@given(st.lists(step, max_size=60), st.integers(0, 600))
def test_the_store_is_a_bounded_dictionary(steps, limit) -> None:
    store, known = DecodedTiles(limit), {}
    for what, number, size in steps:
        key = TileKey(f"series {number % 2}", (number,), TILES[number])
        if what == "put":
            known[key] = decoded((1, size), size)
            store.put(key, known[key])
            assert (store.get(key) is known[key]) == (known[key].nbytes <= limit)
        elif what == "get":
            assert store.get(key) in (None, known.get(key))
        else:
            store.drop(lambda series, number=number: series == f"series {number % 2}")
            known = {k: v for k, v in known.items() if k.series != key.series}
        held = [entry for k in known if (entry := store.get(k)) is not None]
        assert store.nbytes == sum(entry.nbytes for entry in held) <= limit


def test_the_least_recently_used_pair_goes_first() -> None:
    keys = [TileKey("series", (n,), TILES[0]) for n in range(3)]
    store = DecodedTiles(2 * decoded().nbytes)
    store.put(keys[0], decoded())
    store.put(keys[1], decoded())
    store.get(keys[0])
    store.put(keys[2], decoded())
    assert [store.get(key) is not None for key in keys] == [True, False, True]


def test_a_plane_is_found_by_look_and_index() -> None:
    store = DecodedTiles(10_000)
    for series in ("a", "b"):
        for n in range(2):
            store.put(TileKey(series, (n,), TILES[n]), decoded(seed=n))
    ((tile, _),) = store.of_plane("b", (1,))
    assert tile == TILES[1]
    assert store.of_plane("c", (1,)) == []


def test_a_negative_budget_is_refused() -> None:
    with pytest.raises(ValueError, match="limit must be 0 or more bytes, found -1"):
        DecodedTiles(-1)


def test_only_provisional_tiles_of_the_series_that_are_not_wanted_are_forgotten() -> None:
    store = DecodedTiles(10_000)
    kept = [
        (TileKey("one", (0,), TILES[0]), decoded(provisional=True)),  # wanted
        (TileKey("one", (0,), TILES[1]), decoded()),
        (TileKey("other", (0,), TILES[2]), decoded(provisional=True)),
    ]
    lost = [TileKey("one", (0,), TILES[2]), TileKey("one", (1,), TILES[0])]
    for key, made in [*kept, *((key, decoded(provisional=True)) for key in lost)]:
        store.put(key, made)
    store.drop_provisional("one", {((0,), TILES[0])})
    assert [store.get(key) for key in lost] == [None, None]
    assert [store.get(key) for key, _ in kept] == [made for _, made in kept]
