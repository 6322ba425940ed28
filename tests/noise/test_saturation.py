"""Saturation is seen where pixels pile up at the top, wherever that is."""

from __future__ import annotations

import numpy as np
import pytest

from napari_rdpdenoise.noise.saturation import saturation_level
from tests.support.exposures import exposure, stored


@pytest.mark.parametrize(
    ("top", "dtype"), [(255, "u1"), (1023, "u2"), (4095, "u2"), (3971, "u2"), (65535, "u2"), (0.5, "f4")]
)
def test_levels_at_which_light_is_cut_off(top, dtype):
    counts, _ = exposure()
    cut = np.minimum(counts / np.quantile(counts, 0.98) * top, top)
    image = stored(cut, dtype)
    assert saturation_level([image]) == np.float32(top)
    assert saturation_level([np.ma.masked_array(image, image == image.max())]) is None


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
@pytest.mark.parametrize("seed", range(5))
def test_tails_are_not(seed, dtype):
    counts, _ = exposure(seed, peak=50)
    assert saturation_level([stored(counts - 40, dtype)]) is None


def test_nothing_to_judge_by():
    assert saturation_level([]) is None
    assert saturation_level([np.zeros((9, 9), np.uint8)]) is None
    assert saturation_level([np.full((9, 9), np.nan)]) is None
