"""A store takes of a run's settings what decides how tiles are coded."""

from __future__ import annotations

import pytest

from napari_rdpdenoise.settings import RunSettings
from napari_rdpdenoise.store.settings import TILE, check_settings, fitting, store_settings


@pytest.mark.parametrize(
    "changes",
    [
        {"realism": 0.5},
        {"decoder": "flow"},
        {"quantity": "error"},
        {"dtype": "float32", "output_format": "ome-tiff"},
        {"decoder": "flow", "steps": 9, "samples": 2, "kd": 0.5, "kp": 0.5, "rho": 0.1},
        {"ensemble": 4},
    ],
)
def test_what_is_chosen_when_a_store_is_read_is_left_out(changes):
    kept = {"rate": 0.3, "seed": 5, "neighbours": "none", "overwrite": True}
    found = store_settings(RunSettings(**kept, **changes))
    assert found == RunSettings(**kept, tile=TILE)
    check_settings(found)


def test_a_tile_that_was_chosen_stays():
    assert store_settings(RunSettings(tile=256)).tile == 256


@pytest.mark.parametrize(("rate", "made"), [("auto", "compact"), ("compact", "compact"), (0.3, 0.3)])
def test_bits_count_where_the_rate_is_to_be_chosen(rate, made):
    assert fitting(RunSettings(rate=rate, tile=TILE), (100, 200)).rate == made
