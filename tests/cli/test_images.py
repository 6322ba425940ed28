from __future__ import annotations

import numpy as np
import pytest

from napari_rdpdenoise.cli.images import WholeImage, match_axes, read_all, squeeze

CUBE = np.arange(24).reshape(2, 3, 4, 1)


def test_order_of_axes_is_matched():
    values = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    image = WholeImage(values, "TCYX")
    reference = WholeImage(np.zeros((3, 2, 4, 5)), "CTYX")
    np.testing.assert_array_equal(match_axes(image, reference, "RESULT"), values.transpose(1, 0, 2, 3))


def test_axes_of_length_1_do_not_count_but_y_and_x_stay():
    found = squeeze(WholeImage(np.zeros((1, 2, 1, 1)), "TCYX"))
    assert (found.axes, found.values.shape) == ("CYX", (2, 1, 1))


def test_colours_are_channels():
    image, reference = WholeImage(np.ones((3, 4, 5)), "SYX"), WholeImage(np.ones((3, 4, 5)), "CYX")
    assert match_axes(image, reference, "RESULT").shape == (3, 4, 5)


def test_other_sizes_are_refused():
    with pytest.raises(ValueError, match=r"RESULT: expected the axes TYX of sizes \(2, 4, 5\)"):
        match_axes(WholeImage(np.ones((3, 4, 5)), "TYX"), WholeImage(np.ones((2, 4, 5)), "TYX"), "RESULT")


def test_read_all(tmp_path):
    np.save(tmp_path / "a.npy", CUBE[..., 0].astype(np.uint16))
    image = read_all(tmp_path / "a.npy")
    assert image.axes == "TYX"
    np.testing.assert_array_equal(image.values, CUBE[..., 0])


def test_too_large_for_the_memory_is_said_before_reading(tmp_path, monkeypatch):
    import psutil

    np.save(tmp_path / "a.npy", np.zeros((8, 8), np.uint16))
    memory = psutil.virtual_memory()._replace(available=100)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    with pytest.raises(MemoryError, match="score a part"):
        read_all(tmp_path / "a.npy")
