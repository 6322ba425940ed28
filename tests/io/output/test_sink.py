"""What an output refuses."""

from __future__ import annotations

import numpy as np
import pytest

from napari_rdpdenoise.io import ArraySink, ImageMetadata, OutputSpec, open_sink


@pytest.mark.parametrize(
    ("shape", "axes", "dtype", "error", "message"),
    [
        ((0, 5), "YX", "uint8", ValueError, "at least one pixel"),
        ((5,), "X", "uint8", ValueError, "at least 2 dimensions"),
        ((5, 5, 3), "YXS", "uint8", ValueError, "end with YX"),
        ((5, 5), "TYX", "uint8", ValueError, "2 letters"),
        ((5, 5), "YX", "bool", TypeError, "found bool"),
    ],
)
def test_outputs_that_cannot_be_are_refused(shape, axes, dtype, error, message):
    with pytest.raises(error, match=message):
        OutputSpec(shape, axes, np.dtype(dtype), ImageMetadata(axes))


@pytest.mark.parametrize(
    ("index", "y", "block", "message"),
    [
        ((0,), slice(0, 10), np.zeros((9, 8), "u2"), r"shape \(10, 8\).*found \(9, 8\)"),
        ((0,), slice(0, 10), np.zeros((10, 8), "f4"), r"dtype uint16.*found .* float32"),
        ((0,), slice(15, 25), np.zeros((10, 8), "u2"), "inside shape"),
        ((2,), slice(0, 10), np.zeros((10, 8), "u2"), "inside shape"),
        ((), slice(0, 10), np.zeros((10, 8), "u2"), "inside shape"),
    ],
)
def test_blocks_that_do_not_fit_are_refused(tmp_path, index, y, block, message):
    spec = OutputSpec((2, 20, 30), "TYX", np.dtype("u2"), ImageMetadata("TYX"))
    for sink in (ArraySink(spec), open_sink(tmp_path / "a.zarr", spec)):
        with pytest.raises(ValueError, match=message):
            sink.write(index, y, slice(0, 8), block)
