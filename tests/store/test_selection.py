"""The part of a chunk that holds a selection: all of it, and no more planes, rows and columns than needed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from napari_rdpdenoise.store.selection import part_of

SHAPE = (3, 2, 7, 9)


def selectors(size):
    numbers = some.integers(0, size - 1)
    slices = some.builds(
        slice, some.none() | numbers, some.none() | some.integers(0, size), some.none() | some.integers(1, 4)
    )
    return numbers | slices


@given(some.tuples(*map(selectors, SHAPE)))
def test_numbers_and_slices(selection):
    part = part_of(SHAPE, selection)
    chunk = np.arange(np.prod(SHAPE)).reshape(-1, *SHAPE[-2:])
    seen = np.full(chunk.shape, -1)
    for plane in part.planes:
        seen[plane, part.rows, part.columns] = chunk[plane, part.rows, part.columns]
    wanted = chunk.reshape(SHAPE)[selection]
    np.testing.assert_array_equal(seen.reshape(SHAPE)[selection], wanted)
    if wanted.size and not any(isinstance(one, slice) and one.step for one in selection):
        assert np.count_nonzero(seen + 1) == wanted.size


@pytest.mark.parametrize(
    ("selection", "rows"),
    [
        ((), slice(0, 7)),
        ((0,), slice(0, 7)),
        (np.ix_([0, 2], [1], [5, 3], [8]), slice(3, 6)),
        (np.ix_([0], [1], np.array([False, True, True, False, False, False, False]), [8]), slice(1, 3)),
        ((0, 0, np.array([], int), slice(None)), slice(0, 0)),
    ],
)
def test_arrays_and_what_is_left_out(selection, rows):
    assert part_of(SHAPE, selection).rows == rows


def test_planes_between_chosen_ones_are_held():
    assert part_of(SHAPE, (np.array([0, 2]), 1)).planes == {1, 3, 5}
