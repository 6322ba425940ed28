"""The plane that is looked at: what it is made of does not depend on when its tiles come."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from napari_rdpdenoise.codec.decoded import Decoded
from napari_rdpdenoise.tiles import plan_tiles
from napari_rdpdenoise.ui.preview.decoded_tiles import DecodedTile
from napari_rdpdenoise.ui.preview.scene import Place, Scene
from napari_rdpdenoise.ui.preview.shown import assemble

SHAPE = (64, 192)
TILES = plan_tiles(SHAPE, 64, 0)
SERIES = SimpleNamespace(layer="cells")
WHOLE = Place(SERIES, (3,), (slice(0, 64), slice(0, 192)))


def tile_of(value, *, provisional=False):
    image = np.full((64, 64), value, np.float32)
    images = {"fidelity": image} if provisional else {"fidelity": image, "realism": image + 1}
    return DecodedTile(Decoded(images), None, 0.3, provisional, error=None)


@pytest.fixture
def read():
    """Function that gives noisy pixels, and counts how often it was asked."""

    def noisy():
        noisy.times += 1
        return np.zeros(SHAPE)

    noisy.times = 0
    return noisy


@pytest.mark.parametrize("first", [1, 2, 3])
@pytest.mark.parametrize("provisional", [False, True])
def test_tiles_that_come_later_make_the_same_plane(read, first, provisional):
    held = [(tile, tile_of(number, provisional=number == 2)) for number, tile in enumerate(TILES)]
    if provisional:  # there is less of it, so that no room is left for the others
        held[0] = TILES[0], tile_of(0, provisional=True)
    scene = Scene()
    scene.of(WHOLE, read, held[:first])
    for tile, decoded in held[first:]:
        scene.add(SERIES, (3,), tile, decoded)
    found, expected = scene.of(WHOLE, read, held), assemble("cells", (3,), np.zeros(SHAPE), held, WHOLE.frame)
    for name in ("fidelity", "realism", "done", "share", "invalid"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


def test_it_is_read_again_for_another_place_alone(read):
    held = [(TILES[0], tile_of(5))]
    scene = Scene()
    for place, times in ((WHOLE, 1), (WHOLE, 1), (replace(WHOLE, index=(4,)), 2), (WHOLE, 3)):
        scene.of(place, read, held)
        assert read.times == times
    scene.forget()
    scene.of(WHOLE, read, held)
    assert read.times == 4


def test_tiles_of_other_planes_and_places_are_left_out(read):
    frame = replace(WHOLE, frame=(slice(0, 64), slice(0, 128)))
    scene = Scene()
    scene.add(SERIES, (3,), TILES[0], tile_of(1))  # nobody has asked yet
    shown = scene.of(frame, lambda: np.zeros((64, 128)), [(TILES[0], tile_of(5))])
    scene.add(SERIES, (4,), TILES[1], tile_of(1))
    scene.add(SimpleNamespace(layer="cells"), (3,), TILES[2], tile_of(1))
    assert not shown.done[:, 64:].any()
    scene.add(SERIES, (3,), TILES[1], tile_of(1))
    assert shown.done.all()
