"""Signed counts that somebody stored as unsigned ones."""

from __future__ import annotations

import numpy as np
import pytest

from napari_rdpdenoise.noise.wrapped import is_wrapped
from tests.support.exposures import exposure, stored

COUNTS, _ = exposure(0)


@pytest.mark.parametrize("depth", ["2", "4"])
def test_noise_about_zero_that_was_cut_in_two(depth):
    assert is_wrapped([(stored(COUNTS, "i4") - 110).astype(f"i{depth}").view(f"u{depth}")])


@pytest.mark.parametrize("depth", ["1", "2", "4"])
@pytest.mark.parametrize("above", [-30, 0])
def test_noise_about_the_middle_of_unsigned_counts(depth, above):
    """Half of them are below zero where they are read as signed ones."""
    counts = (stored(COUNTS, "i8") - 115 + above) // (2 if depth == "1" else 1)
    middle = 2 ** (8 * int(depth) - 1)
    assert is_wrapped([(counts + middle).astype(f"u{depth}").view(f"i{depth}")])


@pytest.mark.parametrize(
    "image",
    [
        stored(COUNTS, "u2"),
        stored(COUNTS, "i4") - 110,
        stored(COUNTS + 32768, "u2"),
        stored(np.where(COUNTS > 150, 65535, COUNTS), "u2"),
        stored(COUNTS * 400, "u2"),
        stored(COUNTS, "f4"),
        stored(COUNTS, "i2"),
        stored(COUNTS - 400, "i2"),
        stored(COUNTS / 2 - 60, "i1"),
        stored(np.where(COUNTS > 150, -32768, COUNTS + 32000), "i2"),
        np.zeros((9, 9), "u2"),
    ],
)
def test_others(image):
    assert not is_wrapped([image])


def test_no_windows():
    assert not is_wrapped([])
