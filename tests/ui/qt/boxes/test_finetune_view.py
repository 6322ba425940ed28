"""Limits of the small plots of a training."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.display


def test_limits_of_a_plot_make_nothing_of_nothing():
    from napari_rdpdenoise.ui.qt.boxes.finetune_view import limits

    assert limits([1.0, 2.0]) == (1.0, 2.0)
    low, high = limits([1.0, 1.001])
    assert high - low == pytest.approx(0.02, rel=0.01)
    assert limits([float("nan"), 3.0, 4.0]) == (3.0, 4.0)
    low, high = limits([0.0])
    assert low < 0 < high
