from __future__ import annotations

import pytest

from napari_rdpdenoise.ui.layers.axes import axes_note, layer_axes


@pytest.mark.parametrize(
    ("ndim", "labels", "rgb", "axes"),
    [
        (2, ("-2", "-1"), False, "YX"),
        (2, ("-2", "-1"), True, "YXS"),
        (3, ("-3", "-2", "-1"), False, "TYX"),
        (3, ("z", "y", "x"), False, "ZYX"),
        (3, ("Y", "X", "Time"), False, "YXT"),
        (4, ("-4", "-3", "-2", "-1"), False, "TZYX"),
        (3, ("z", "z", "x"), False, "TYX"),
        (6, ("a", "t", "c", "z", "y", "x"), False, None),
    ],
)
def test_layer_axes(ndim, labels, rgb, axes):
    if axes is None:
        with pytest.raises(ValueError, match="axis_labels must name the axes of a layer with 6 axes"):
            layer_axes(ndim, labels, rgb=rgb)
    else:
        assert layer_axes(ndim, labels, rgb=rgb) == axes


def test_assumed_axes_are_told_where_channels_could_be_mixed():
    assert "TCZYX" in axes_note(5, ("-5", "-4", "-3", "-2", "-1"))
    assert axes_note(5, ("t", "z", "c", "y", "x")) is None
    assert axes_note(3, ("-3", "-2", "-1")) is None
