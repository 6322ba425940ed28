from __future__ import annotations

import math

import pytest

from napari_rdpdenoise.ui.preview.where import mean_bits


@pytest.mark.parametrize(
    ("bpps", "mean"),
    [([0.2, 0.4], 0.3), ([0.2, math.nan, 0.4], 0.3), ([math.nan], math.nan), ([], math.nan)],
)
def test_parts_without_bits_do_not_count(bpps, mean):
    assert mean_bits(bpps) == pytest.approx(mean, nan_ok=True)
