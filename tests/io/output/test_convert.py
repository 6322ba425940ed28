"""Rounding, clipping and counting on the way to the output's dtype."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_rdpdenoise.io import to_output
from napari_rdpdenoise.io.source import SUPPORTED_DTYPES

VALUES = st.floats(-(2.0**40), 2.0**40, width=32)


@given(arrays(np.float32, (4, 5), elements=VALUES), st.sampled_from(SUPPORTED_DTYPES))
def test_values_are_the_nearest_that_the_dtype_has_and_the_others_are_counted(block, dtype):
    limits = np.iinfo(dtype) if np.dtype(dtype).kind in "iu" else np.finfo(dtype)
    exact = block.astype(np.float64)
    result, clipped = to_output(block, dtype)
    assert result.dtype == dtype
    if np.dtype(dtype).kind in "iu":
        nearest = np.rint(exact)
        assert clipped == np.count_nonzero((nearest < limits.min) | (nearest > limits.max))
        np.testing.assert_array_equal(result.astype(np.float64), np.clip(nearest, limits.min, limits.max))
    else:
        assert clipped == np.count_nonzero(np.abs(exact) > float(limits.max))
        assert np.isfinite(result).all()
        inside = np.abs(exact) <= float(limits.max)
        np.testing.assert_array_equal(result[inside], block[inside].astype(dtype))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "int8", "int16", "int32"])
def test_bounds_themselves_are_not_clipped_and_do_not_wrap(dtype):
    limits = np.iinfo(dtype)
    block = np.array([[limits.min, limits.max]], np.float64)
    result, clipped = to_output(block, dtype)
    assert clipped == 0
    assert result.tolist() == [[limits.min, limits.max]]


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint32"])
def test_what_is_no_number_is_counted(dtype):
    limits = np.iinfo(dtype)
    result, clipped = to_output(np.array([[np.nan, np.inf, -np.inf, 5]], np.float32), dtype)
    assert result.tolist() == [[0, limits.max, limits.min, 5]]
    assert clipped == 3


def test_unsupported_dtype_is_refused():
    with pytest.raises(TypeError, match="found bool"):
        to_output(np.zeros((2, 2), np.float32), "bool")
