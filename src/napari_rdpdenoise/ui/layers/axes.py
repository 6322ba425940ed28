"""Axes of a viewer's layer, one letter each. No Qt, no napari."""

from __future__ import annotations

from collections.abc import Sequence

from napari_rdpdenoise.axes import DEFAULT_AXES, colours_last

__all__ = ["axes_note", "is_named", "layer_axes"]

_AXES_OF_LABEL = {"time": "T", "channel": "C", "z": "Z", "y": "Y", "x": "X", "t": "T", "c": "C"}


def layer_axes(ndim: int, labels: Sequence[str], *, rgb: bool) -> str:
    """Return the axes of a layer's array, one letter per axis.

    Labels that name all axes are believed (napari's own defaults, like "-1", name none); otherwise the
    usual order for that many axes is taken, time before depth.

    Args:
        ndim: Number of axes without the colour axis.
        labels: Labels of the layer's axes, one per axis without the colour axis.
        rgb: Whether a last axis holds colours.

    Raises:
        ValueError: If the usual orders do not cover so many axes, and the labels do not name them.
    """
    named = _named_axes(ndim, labels)
    if named is None and ndim not in DEFAULT_AXES:
        raise ValueError(
            f"axis_labels must name the axes of a layer with {ndim} axes, found {tuple(labels)}; "
            "set the layer's axis labels to letters such as t, c, z, y, x"
        )
    return colours_last(named or DEFAULT_AXES[ndim], colours=rgb)


def axes_note(ndim: int, labels: Sequence[str]) -> str | None:
    """Return what to tell of axes that had to be assumed where a wrong guess mixes channels; else None."""
    if ndim < 4 or ndim not in DEFAULT_AXES or _named_axes(ndim, labels) is not None:
        return None
    return (
        f"The layer does not name its axes; they are taken as {DEFAULT_AXES[ndim]}. Noise and rate are found "
        "per channel (C), so if that is wrong, set the layer's axis labels, such as t, z, c, y, x."
    )


def is_named(ndim: int, labels: Sequence[str]) -> bool:
    """Whether the labels of a layer with so many axes name them all, Y and X among them."""
    return _named_axes(ndim, labels) is not None


def _named_axes(ndim: int, labels: Sequence[str]) -> str | None:
    letters = "".join(_AXES_OF_LABEL.get(label.lower(), "?") for label in labels)
    named = len(letters) == ndim == len(set(letters)) and "?" not in letters and {"Y", "X"} <= set(letters)
    return letters if named else None
