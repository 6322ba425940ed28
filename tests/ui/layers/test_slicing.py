from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_rdpdenoise.ui.layers.slicing import Sliced, full_key

SHAPE = (4, 3, 5)


class Plain(Sliced):
    """A NumPy array behind the interface."""

    def __init__(self, array):
        self.shape, self.dtype, self._array = array.shape, array.dtype, array

    def _read(self, full):
        return self._array[full]


@st.composite
def parts(draw, size):
    bounds = st.none() | st.integers(-size - 2, size + 2)
    steps = st.sampled_from([None, 1, 2, -1, -2])
    return draw(st.integers(-size, size - 1) | st.builds(slice, bounds, bounds, steps))


@given(data=st.data())
def test_a_key_means_what_it_means_to_numpy(data) -> None:
    array = np.arange(np.prod(SHAPE)).reshape(SHAPE)
    count = data.draw(st.integers(0, len(SHAPE)))
    key = [data.draw(parts(size)) for size in SHAPE[:count]]
    if data.draw(st.booleans()):
        key = [..., *(data.draw(parts(size)) for size in SHAPE[len(SHAPE) - count :])]
    full = full_key(tuple(key), SHAPE)
    assert len(full) == len(SHAPE)
    assert all(isinstance(part, slice) or part >= 0 for part in full)
    np.testing.assert_array_equal(Plain(array)[tuple(key)], array[tuple(key)])


@pytest.mark.parametrize("key", [(0, 0, 0, 0), (..., ...), True, ([0, 1],), (0, None), 4, (0, -4)])
def test_other_keys_are_refused(key) -> None:
    with pytest.raises(IndexError):
        full_key(key, SHAPE)


def test_it_is_an_array_to_numpy() -> None:
    array = np.arange(np.prod(SHAPE), dtype=np.uint16).reshape(SHAPE)
    sliced = Plain(array)
    assert (sliced.ndim, sliced.size) == (array.ndim, array.size)
    np.testing.assert_array_equal(np.asarray(sliced), array)
    assert np.asarray(sliced, dtype=np.float32).dtype == np.float32
