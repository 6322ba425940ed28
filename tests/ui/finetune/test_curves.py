"""Curves keep their shape however long they get."""

from __future__ import annotations

import pytest

from napari_rdpdenoise.ui.finetune.curves import Curve, Curves
from napari_rdpdenoise.ui.finetune.events import Progress


@pytest.mark.parametrize("count", [1, 240, 241, 5000])
def test_a_curve_stays_short_and_keeps_its_range_and_mean(count):
    curve = Curve("loss")
    for step in range(1, count + 1):
        curve.add(step, 3.0 * step)
    assert len(curve.values) <= 240
    assert len(curve.values) >= min(count, 120)
    assert curve.steps == sorted(curve.steps)
    assert curve.values == pytest.approx([3 * step for step in curve.steps])
    assert curve.steps[-1] == pytest.approx(count, rel=0.02)


def test_only_what_has_values_is_shown_the_held_out_figure_first():
    curves = Curves("texture")
    assert curves.shown == []
    curves.add(Progress(1, 10, {"loss": 2.0, "price": 5.0, "bpp": 0.3}, before=0.9))
    assert [curve.title for curve in curves.shown] == [
        "images kept apart",
        "training error",
        "bits per pixel",
    ]
    assert curves.shown[0].values == []
    assert curves.shown[0].level == 0.9
    curves.extend([Progress(2, 10, {"critic": 1.0}, held_out=0.8)])
    assert [(curve.title, curve.last) for curve in curves.shown] == [
        ("images kept apart", 0.8),
        ("training error", 2.0),
        ("distance to clean", 1.0),
        ("bits per pixel", 0.3),
    ]
