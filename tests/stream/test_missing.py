import numpy as np

from napari_rdpdenoise.stream.missing import fill_missing


def test_missing_values_are_filled_and_kept():
    block = np.array([[1.0, 3.0], [np.nan, np.inf]], np.float16)
    filled, missing = fill_missing(block)
    assert filled.dtype == np.float16
    assert filled.tolist() == [[1, 3], [2, 2]]
    np.testing.assert_array_equal(missing, [[0, 0], [np.nan, np.inf]])
    filled, missing = fill_missing(np.full((2, 2), np.nan))
    assert filled.tolist() == [[0, 0], [0, 0]]
    assert np.isnan(missing).all()
    whole = np.ones((2, 2), np.uint8)
    assert fill_missing(whole)[0] is whole
    assert fill_missing(whole)[1] is None
