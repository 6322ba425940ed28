"""What the benchmarks compute where a mistake would not show."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.learned import RADIUS, blind_spots
from benchmarks.networks import PlainUNet, macs_per_pixel
from benchmarks.rdp import path_terms
from benchmarks.train_unet import sources_for
from napari_rdpdenoise.codec import Decoded
from napari_rdpdenoise.train.settings import load_settings

CONFIG = Path(__file__).parents[2] / "models" / "fluo-light" / "train.yaml"


@pytest.mark.parametrize("realism", [0.0, 0.25, 0.6, 1.0])
def test_path_terms_give_the_error_of_every_blend(realism):
    rng = np.random.default_rng(1)
    clean, fidelity, natural = rng.normal(100, 10, (3, 40, 50)).astype(np.float32)
    terms = path_terms(fidelity, natural, clean)
    blended = Decoded({"fidelity": fidelity, "realism": natural}).blend(realism)
    found = np.mean((blended - clean.astype(np.float64)) ** 2)
    assert terms.mse + realism * terms.linear + realism**2 * terms.quadratic == pytest.approx(found, rel=1e-6)


def test_the_linear_term_is_zero_for_an_orthogonal_step_and_tells_the_direction_of_another():
    clean = np.zeros((64, 64))
    stripes = np.where(np.arange(64) % 2, 1.0, -1.0)
    fidelity = (
        clean + stripes[:, None]
    )  # its error changes sign from row to row, the step from column to column
    assert path_terms(fidelity, fidelity + stripes, clean).linear == pytest.approx(0)
    assert (
        path_terms(fidelity, 0.5 * fidelity, clean).linear
        < 0
        < path_terms(fidelity, 2 * fidelity, clean).linear
    )


@pytest.mark.parametrize(("size", "share"), [((64, 64), 0.00198), ((16, 24), 0.1), ((8, 8), 0.3)])
def test_no_blind_spot_is_seen(size, share):
    rng = np.random.default_rng(2)
    patches = rng.random((5, *size), np.float32)
    masked, places = blind_spots(patches, np.random.default_rng(3), share)
    other = patches.copy()
    other[places] += 1 + rng.random(len(places[0]))
    again, same_places = blind_spots(other, np.random.default_rng(3), share)
    assert all(np.array_equal(a, b) for a, b in zip(places, same_places, strict=True))
    assert np.array_equal(masked, again)


@pytest.mark.parametrize(("size", "share"), [((64, 64), 0.00198), ((16, 24), 0.1)])
def test_blind_spots_are_as_many_as_asked_and_hold_a_neighbours_value(size, share):
    patches = np.arange(3 * size[0] * size[1], dtype=np.float32).reshape(
        3, *size
    )  # every value tells its place
    masked, (n, row, column) = blind_spots(patches, np.random.default_rng(4), share)
    changed = masked != patches
    assert changed.sum(axis=(1, 2)).tolist() == [round(share * size[0] * size[1])] * 3
    assert changed[n, row, column].all()
    source = np.unravel_index(masked[n, row, column].astype(int), patches.shape)
    assert np.array_equal(source[0], n)
    assert np.abs(source[1] - row).max() <= RADIUS
    assert np.abs(source[2] - column).max() <= RADIUS


def test_multiply_accumulates_do_not_depend_on_the_size_they_are_counted_at():
    network = PlainUNet(4).eval()
    # by hand: 9 taps times inputs times outputs at full, half and quarter resolution, and the last 1x1
    full = 9 * (1 * 4 + 4 * 4 + 8 * 4 + 4 * 4) + 4
    half = 9 * (4 * 8 + 8 * 8 + 16 * 8 + 8 * 4)
    quarter = 9 * (8 * 16 + 16 * 8)
    assert macs_per_pixel(network, 32) == macs_per_pixel(network, 64) == full + half / 4 + quarter / 16


def test_noise2noise_has_no_source_with_clean_targets():
    settings = load_settings(CONFIG)
    assert sources_for("n2c", settings) == settings
    given = [source for source in settings.sources if source.kind == "clean"]
    noisy = sources_for("n2n", settings).sources
    assert [source.folder for source in noisy] == [source.folder for source in given]
    assert all(source.noisy_target for source in noisy)
    with pytest.raises(ValueError, match="--config: expected a source of kind 'clean'"):
        sources_for("n2n", settings.model_copy(update={"sources": settings.sources[:1]}))
