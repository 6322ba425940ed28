"""What is shown as arrays: tiles that are provisional have less than those that are not."""

from __future__ import annotations

import numpy as np
import pytest

from napari_rdpdenoise.codec.decoded import Decoded
from napari_rdpdenoise.tiles import plan_tiles
from napari_rdpdenoise.ui.preview.decoded_tiles import DecodedTile
from napari_rdpdenoise.ui.preview.shown import assemble

SHAPE = (64, 128)
TILES = plan_tiles(SHAPE, 64, 0)


def _tile(value, *, provisional):
    image = np.full((64, 64), value, np.float32)
    images = {"fidelity": image} if provisional else {"fidelity": image, "realism": image + 1}
    return DecodedTile(Decoded(images), None, 0.3, provisional, error=None if provisional else image)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_provisional_tile_beside_others_takes_nothing_from_them(order):
    held = [(TILES[0], _tile(5, provisional=True)), (TILES[1], _tile(7, provisional=False))]
    shown = assemble("layer", (), np.zeros(SHAPE), [held[number] for number in order])
    assert (shown.realism[:, 64:] == 8).all()
    assert (shown.error[:, 64:] == 7).all()
    assert np.isnan(shown.realism[:, :64]).all()
    assert not shown.done[:, :64].any()


def test_it_is_known_whether_there_is_room_for_all_of_a_tile():
    shown = assemble("layer", (), np.zeros(SHAPE), [(TILES[0], _tile(5, provisional=True))])
    assert shown.holds(_tile(5, provisional=True))
    assert not shown.holds(_tile(5, provisional=False))
    whole = assemble("layer", (), np.zeros(SHAPE), [(TILES[0], _tile(5, provisional=False))])
    assert whole.holds(_tile(5, provisional=False))
    assert whole.holds(_tile(5, provisional=True))
