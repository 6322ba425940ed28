"""No pixel that is judged by is among those that are learned from, whatever the planes share."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_rdpdenoise.finetune.images import Planes, take_planes
from napari_rdpdenoise.finetune.pairing import MatchedPair, match_pairs
from napari_rdpdenoise.finetune.split import (
    cut_parts,
    group_numbers,
    hold_out,
    hold_out_pairs,
    hold_out_references,
)

SHAPE = (208, 96)


def scene(seed, shape=SHAPE):
    return 500 + 900 * ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal(shape), 4)


def exposure(clean, seed, sigma=20.0):
    return clean + np.random.default_rng([seed, 1]).normal(0, sigma, clean.shape)


def files(planes, name="noisy"):
    """Planes of one file each."""
    names = tuple(f"{name} {k}" for k in range(len(planes)))
    return Planes(tuple(planes), names, names)


def values(arrays):
    """All pixels: in float64 noise none is twice by chance."""
    return {v for array in arrays for v in np.ravel(array).tolist()}


def parts(images, seed=0):
    split = hold_out(images, seed)
    return cut_parts(images.planes, split.learned), cut_parts(images.planes, split.held_out)


@pytest.mark.parametrize("seed", range(4))
def test_of_files_of_different_places_whole_ones_are_held_out(seed):
    planes = [exposure(scene(k), k) for k in range(11)]
    learned, judged = parts(files(planes), seed)
    assert len(judged) == 2
    assert {p.shape for p in (*learned, *judged)} == {SHAPE}
    assert not values(learned) & values(judged)
    assert len(learned) + len(judged) == len(planes)


def test_other_seeds_hold_other_planes_out():
    images = files([exposure(scene(k), k) for k in range(11)])
    chosen = {tuple(number for number, _ in hold_out(images, seed).held_out) for seed in range(8)}
    assert len(chosen) > 3
    assert hold_out(images, 3) == hold_out(images, 3)


@pytest.mark.parametrize("form", [np.stack, list])
def test_of_one_stack_the_same_rows_of_every_plane_are_held_out(form):
    stack = form([exposure(scene(k), k) for k in range(12)])
    split = hold_out(take_planes(stack, "noisy"), 0)
    assert (
        [number for number, _ in split.held_out] == [number for number, _ in split.learned] == list(range(12))
    )
    last = max(range(*rows.indices(SHAPE[0]))[-1] for _, rows in split.learned)
    first = min(range(*rows.indices(SHAPE[0]))[0] for _, rows in split.held_out)
    assert first - last > 16


def test_a_series_that_was_saved_plane_by_plane_is_one_stack():
    """Each plane shows the place of its neighbours, and the first and last have little in common."""
    parts_of = [scene(k) for k in (1, 2)]
    planes = [
        exposure((1 - w) * parts_of[0] + w * parts_of[1], k) for k, w in enumerate(np.linspace(0, 1, 9))
    ]
    split = hold_out(files(planes), 0)
    assert len(split.held_out) == len(planes)


@pytest.mark.parametrize("doubled", [0, 5])
@pytest.mark.parametrize("shape", [SHAPE, (64, 64)])  # the second is too small to look like another
def test_the_same_image_in_two_files_is_on_one_side(doubled, shape):
    planes = [exposure(scene(k, shape), k) for k in range(8)]
    planes[doubled] = planes[7].copy()
    for seed in range(12):
        learned, judged = parts(files(planes), seed)
        assert not values(learned) & values(judged)


@pytest.mark.parametrize("sizes", [[1, 1, 1, 1, 200], [30, 1, 1, 40, 1, 1, 1], [7] * 10])
def test_most_planes_are_learned_from_however_unequal_the_files(sizes):
    planes = [exposure(scene(f, (64, 64)), f) for f, n in enumerate(sizes) for _ in range(n)]
    stacks = tuple(str(f) for f, n in enumerate(sizes) for _ in range(n))
    for seed in range(10):
        split = hold_out(Planes(tuple(planes), stacks, stacks), seed)
        assert 1 <= len(split.held_out) <= len(planes) / 2
        assert not {stacks[k] for k, _ in split.learned} & {stacks[k] for k, _ in split.held_out}


def test_images_that_are_too_small_are_refused():
    with pytest.raises(ValueError, match=r"noisy: expected at least 144 rows.*found 143"):
        hold_out(take_planes(np.stack([exposure(scene(0, (143, 96)), 0)] * 6), "noisy"), 0)


def fmd(shifts=(0,) * 6):
    """Exposures of one place, each in a file, whose clean average is given again for each."""
    clean = exposure(scene(1, (320, 160)), 1, 1.0)
    big = scene(1, (320, 160))
    noisy = [exposure(big, 10 + k)[40 - s : 40 - s + 240, 20:140] for k, s in enumerate(shifts)]
    return files(noisy), files([clean[40:280, 20:140]] * len(shifts), "partner")


def places(number, shape=(240, 120)):
    """An image whose values tell image, row and column."""
    return 1e6 * number + np.arange(np.prod(shape), dtype=np.float64).reshape(shape)


def placed(noisy, partners, shifts):
    """Pairs as they would be matched, of `places` in the place of counts, one number for equal images."""
    number: dict[str, int] = {}
    own, other = (
        [
            places(number.setdefault(f, len(number)), p.shape)
            for f, p in zip(i.fingerprints(), i.planes, strict=True)
        ]
        for i in (noisy, partners)
    )
    return [
        MatchedPair(
            a[max(0, s) : len(a) + min(0, s)], b[max(0, -s) : len(b) + min(0, -s)], (float(s), 0.0), 1.0
        )
        for a, b, s in zip(own, other, shifts, strict=True)
    ]


def pairs_apart(noisy, partners, shifts=None, seed=0):
    matched = placed(noisy, partners, shifts or [0] * len(noisy))
    sides = hold_out_pairs(noisy, partners, matched, seed)
    for pair in (*sides[0], *sides[1]):
        assert pair.noisy.shape == pair.partner.shape
        assert min(pair.noisy.shape) >= 64
    learned, judged = (values([*(p.noisy for p in side), *(p.partner for p in side)]) for side in sides)
    assert learned
    assert judged
    assert not learned & judged
    return sides


def test_a_partner_that_many_exposures_share_is_never_learned_where_it_is_judged():
    learned, judged = pairs_apart(*fmd())
    assert len(learned) == len(judged) == 6


@pytest.mark.parametrize("shifts", [(0, 4, -9, 16, -16, 2), (16, -16), (-7, -7, -7)])
def test_nor_where_they_are_shifted_against_it(shifts):
    noisy, partners = fmd(shifts)
    found, _ = match_pairs(noisy, partners)
    assert [round(pair.shift[0]) for pair in found] == list(shifts)
    sides = pairs_apart(noisy, partners, shifts)
    rows = [[v % 1e6 // 120 for v in values(p.partner for p in side)] for side in sides]
    assert min(rows[1]) - max(rows[0]) > 16  # neighbours' blur and shared noise are not learned either


@pytest.mark.parametrize("shift", [0, 11, -16])
def test_two_exposures_each_the_partner_of_the_other(shift):
    """A noisy image of one pair is the target of another: neither is learned where the other is judged."""
    both = fmd((0, shift))[0].planes
    pairs_apart(files(both, "file"), files(both[::-1], "file"), (shift, -shift))


def test_pairs_of_different_places_are_held_out_whole():
    noisy = files([exposure(scene(k), k) for k in range(7)])
    partners = files([exposure(scene(k), 50 + k, 1.0) for k in range(7)], "partner")
    learned, judged = pairs_apart(noisy, partners)
    assert (len(learned), len(judged)) == (6, 1)


def test_two_places_of_many_exposures_are_not_enough_to_hold_one_out():
    noisy = files([exposure(scene(k % 2), k) for k in range(10)])
    clean = [exposure(scene(k), 70 + k, 1.0) for k in range(2)]
    learned, judged = pairs_apart(noisy, files([clean[k % 2] for k in range(10)], "partner"))
    assert len(learned) == len(judged) == 10


def test_groups_are_joined_through_others():
    found = group_numbers([{"a"}, {"b"}, {"c"}, {"a", "c"}, {"d"}, set()])
    assert found[0] == found[2] == found[3]
    assert len(set(found)) == 4


def test_references_that_take_turns_are_drawn_from_every_channel():
    """Files 001_0, 001_1, 001_2, 002_0 ...: every third would always be the same channel."""
    images = files([exposure(scene(k, (64, 64)), k, 1.0) for k in range(30)], "reference")
    order = {plane.tobytes(): k for k, plane in enumerate(images.planes)}
    for seed in range(5):
        learned, unseen = hold_out_references(images, range(30), 64, seed)
        assert {order[p.tobytes()] % 3 for p in unseen} == {0, 1, 2}
        assert len(unseen) == 10
        assert not values(learned) & values(unseen)


def test_references_of_one_stack_are_on_one_side():
    planes = [exposure(scene(k, (64, 64)), k, 1.0) for k in range(12)]
    stacks = tuple(str(k // 4) for k in range(12))
    images = Planes(tuple(planes), stacks, stacks)
    for seed in range(6):
        learned, unseen = hold_out_references(images, range(12), 64, seed)
        sides = [{s for p, s in zip(planes, stacks, strict=True) if values([p]) & values(side)}
                 for side in (learned, unseen)]  # fmt: skip
        assert len(sides[1]) == 1
        assert not sides[0] & sides[1]


def test_a_stack_of_references_is_split_by_rows():
    images = take_planes(np.stack([exposure(scene(k), k, 1.0) for k in range(4)]), "references")
    learned, unseen = hold_out_references(images, (0, 2, 3), 96, 0)
    assert len(learned) == len(unseen) == 3
    assert min(p.shape[0] for p in learned) >= 96
    assert not values(learned) & values(unseen)
    assert not values(learned) & values(images.planes[1:2])


def test_references_too_small_to_split_are_all_learned_from():
    images = take_planes(np.stack([exposure(scene(k), k, 1.0) for k in range(4)]), "references")
    learned, unseen = hold_out_references(images, (0, 1), 160, 0)
    assert (len(learned), unseen) == (2, None)


def test_an_empty_strip_of_a_reference_judges_nothing():
    empty = exposure(scene(0), 0, 0.1)
    empty[-80:] = 500 + 0.1 * np.random.default_rng(0).random((80, SHAPE[1]))
    images = take_planes(np.stack([empty, exposure(scene(1), 1, 0.1)]), "references")
    _, unseen = hold_out_references(images, (0, 1), 64, 0)
    assert len(unseen) == 1
    assert values(unseen) <= values(images.planes[1:])
