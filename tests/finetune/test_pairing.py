from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_rdpdenoise.finetune.images import take_planes
from napari_rdpdenoise.finetune.pairing import match, match_pairs


@pytest.fixture(scope="module")
def scene():
    rng = np.random.default_rng(2)
    return 1000 * ndimage.gaussian_filter(rng.standard_normal((140, 150)), 3) + 500


def noisy_of(scene, seed=0):
    return scene + np.random.default_rng(seed).normal(0, 60, scene.shape)


@pytest.mark.parametrize("shift", [(0, 0), (3, -5), (-7, 2)])
@pytest.mark.parametrize("twice", [False, True])
def test_shift_and_line_are_found(scene, shift, twice):
    rows, columns = shift
    partner = noisy_of(scene, 1) if twice else scene
    a = noisy_of(scene)[10:120, 10:130]
    b = (0.25 * partner + 40)[10 + rows : 120 + rows, 10 + columns : 130 + columns]
    pair = match(a, b, "a")
    assert pair.shift == pytest.approx(shift, abs=0.3)
    assert pair.noisy.shape == pair.partner.shape == (110 - abs(rows), 120 - abs(columns))
    wanted = scene[10:120, 10:130][max(0, rows) : 110 + min(0, rows), max(0, columns) : 120 + min(0, columns)]
    difference = ndimage.gaussian_filter(pair.partner - wanted, 2)
    assert np.abs(difference).mean() < (15 if twice else 5)
    slope = np.polyfit(wanted.ravel(), pair.partner.ravel(), 1)[0]
    assert slope == pytest.approx(1, abs=0.06)


def test_what_is_no_pair_is_refused(scene):
    a = noisy_of(scene)
    other = ndimage.gaussian_filter(np.random.default_rng(9).standard_normal(scene.shape), 3)
    with pytest.raises(ValueError, match=r"pair cell\.tif: expected (two images of the same place|a shift)"):
        match(a, other, "cell.tif")
    with pytest.raises(ValueError, match="inverted"):
        match(a, -scene, "a")
    with pytest.raises(ValueError, match="equal shapes"):
        match(a, scene[1:], "a")
    with pytest.raises(ValueError, match="same one twice"):
        match(a, a.copy(), "a")
    with pytest.raises(ValueError, match="at most 16 px"):
        match(a[:100, :100], scene[:100, 22:122], "a")


def test_numbers_must_agree(scene):
    two, one = take_planes([scene, scene], "noisy"), take_planes(scene, "partners")
    with pytest.raises(ValueError, match="one for each of the 2 noisy images, found 1"):
        match_pairs(two, one)


def test_half_a_pixel_is_told(scene):
    half = ndimage.shift(scene, (0.5, 0), order=3, mode="nearest")
    _, remarks = match_pairs(take_planes(noisy_of(scene), "noisy"), take_planes(half, "partners"))
    assert len(remarks) == 1
    assert "px of shift remain" in remarks[0]
