"""The benchmark of what is found of the noise: its series are what it says, and it counts what is found."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.noise import CHECKS, KINDS, OFFSET, PLANES, false_finds, simulated, table
from tests.support.exposures import exposure, light, stored


@pytest.mark.parametrize("kind", KINDS)
def test_the_noise_of_a_series_changes_and_its_light_does_not(kind):
    noisy, truth = simulated(light((256, 256)), kind, 0)
    assert noisy.shape == (PLANES, 256, 256)
    bright = truth > OFFSET + 40
    means = [float((plane - truth)[bright].mean()) for plane in noisy]
    spreads = [float((plane - truth)[bright].std()) for plane in noisy]
    assert max(map(abs, means)) < 3
    assert 1.8 < spreads[-1] / spreads[0] < 5


def test_what_is_found_is_counted_by_its_check():
    plain = stored(exposure(shape=(200, 200))[0], "u2")
    images = {
        "plain": plain,
        "edge": np.pad(plain, ((30, 0), (0, 0)), mode="edge"),
        "ramp": np.pad(plain, ((30, 0), (0, 0)), mode="linear_ramp"),
    }
    found = false_finds(iter(images.items()))
    assert found["images"] == 3
    assert found["false"][CHECKS[0]] == ["edge"]
    assert found["false"][CHECKS[1]] == ["ramp"]
    assert not any(found["false"][check] for check in CHECKS[2:])
    series = [{"image": "a", "kind": kind, "noisy": 20.0, "own": 31.0, "one": 28.5} for kind in KINDS]
    text = table({"result": {"series": series} | found})
    assert "+2.50" in text
    assert "| straight ramps | 1 | ramp |" in text
