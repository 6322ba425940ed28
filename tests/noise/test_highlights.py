"""What is far brighter than all the rest is found whole; an ordinary image has none."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_rdpdenoise.noise import NoiseModel
from napari_rdpdenoise.noise.highlights import find_highlights, highlight_level
from napari_rdpdenoise.noise.invalid_sample import screen_sample
from tests.support.exposures import GAIN, OFFSET, READ, exposure, stored

NOISE = NoiseModel(GAIN, OFFSET, READ)


def bead(shape, place, radius, strength):
    """Counts of a disc with soft edges, at most ``strength`` noise standard deviations of 5 counts."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    disc = ndimage.gaussian_filter((np.hypot(y - place[0], x - place[1]) <= radius).astype(float), 1.0)
    return disc / disc.max() * strength * 5.0


@pytest.mark.parametrize("radius", [1, 3, 6])
@pytest.mark.parametrize("strength", [1500, 10_000])
def test_a_bead_is_found_with_its_flanks(radius, strength):
    counts, _ = exposure(shape=(256, 256))
    added = bead(counts.shape, (120, 90), radius, strength)
    rule, (found,) = screen_sample([stored(counts + added, "u2")])
    assert found.defects is None
    assert found.regions is None
    assert found.highlights[added > 60 * 5].all()
    assert not found.highlights[added < 0.5].any()
    assert found.filled.max() < counts.max() + 100
    assert np.array_equal(found.left, found.highlights)
    assert rule.highlight < np.inf


@pytest.mark.parametrize("peak", [5, 80, 3000, 50_000])
def test_ordinary_images_have_none(peak):
    counts, _ = exposure(shape=(256, 256), peak=peak)
    _, (found,) = screen_sample([counts.astype("f4")])
    assert found.highlights is None


def test_a_large_share_is_the_image_itself():
    counts, _ = exposure(shape=(256, 256))
    added = bead(counts.shape, (120, 90), 20, 10_000)
    assert screen_sample([stored(counts + added, "u2")])[1][0].highlights is None


def test_nothing_is_spared_where_every_number_is_image():
    counts, _ = exposure(shape=(256, 256))
    image = stored(counts + bead(counts.shape, (50, 50), 2, 10_000), "u2")
    rule, (found,) = screen_sample([image], "none")
    assert rule.highlight == np.inf
    assert found.filled is image


def test_tiles_decide_as_the_plane_does():
    counts, _ = exposure(shape=(256, 256))
    image = counts + bead(counts.shape, (120, 90), 3, 10_000) + bead(counts.shape, (128, 128), 1, 2000)
    level = highlight_level([image], NOISE)
    whole, margin = find_highlights(image, NOISE, level), 32
    assert whole.sum() > 50
    for y in range(0, 256, 64):
        for x in range(0, 256, 64):
            rows, columns = (slice(max(n - margin, 0), n + 64 + margin) for n in (y, x))
            part = find_highlights(image[rows, columns], NOISE, level)
            inside = np.zeros((64, 64), bool)
            if part is not None:
                inside = part[y - rows.start :, x - columns.start :][:64, :64]
            assert np.array_equal(inside, whole[y : y + 64, x : x + 64])


def test_an_empty_sample_has_no_level():
    assert highlight_level([np.ma.masked_array(np.ones((4, 4)), True)], NOISE) == np.inf
