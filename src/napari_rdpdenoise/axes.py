"""Axes of an image, one upper-case letter per dimension, and what is meant by colours.

``Y`` rows and ``X`` columns are required; ``T`` is time, ``Z`` depth, ``C`` channel, ``S`` the samples of a
pixel, here called colours, and any other letter stands for itself. Colours are treated like channels. A
picture in colour has three of them, or four where the last is opacity. Viewers have them on the last axis;
files that know no colours keep them as channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

__all__ = [
    "COLOURS",
    "DEFAULT_AXES",
    "channel_axis",
    "channels_as_colours",
    "check_axes",
    "colour_count",
    "colours_as_channels",
    "colours_last",
    "default_axes",
    "has_colours",
    "is_picture",
    "without_colours",
]

DEFAULT_AXES = {2: "YX", 3: "TYX", 4: "TZYX", 5: "TCZYX"}
"""Axes assumed for an array that names none, by its number of dimensions."""

COLOURS = 3
"""Colours of a picture; a sample beyond them is opacity."""

_SAMPLES = "S"


def check_axes(axes: str, ndim: int) -> str:
    """Check axes given by a user or found in a file, and return them in upper case.

    Raises:
        ValueError: If they do not name each of ``ndim`` dimensions once or lack Y or X.
    """
    found = axes.strip().upper()
    if ndim < 2:
        raise ValueError(f"image: expected at least 2 dimensions (Y, X), found {ndim}; give it as a plane")
    if not found.isascii() or not found.isalpha():
        raise ValueError(f"axes: expected letters only, such as TZCYX, found {axes!r}")
    if len(set(found)) != len(found):
        raise ValueError(f"axes: expected every letter once, found {axes!r}; use another letter")
    if len(found) != ndim:
        raise ValueError(
            f"axes: expected {ndim} letters, one per dimension of the image, found {axes!r} ({len(found)}); "
            f"for example {DEFAULT_AXES.get(ndim, 'TCZYX')}"
        )
    missing = [letter for letter in "YX" if letter not in found]
    if missing:
        raise ValueError(
            f"axes: expected both Y (rows) and X (columns), found {axes!r} without {' and '.join(missing)}; "
            "say which dimensions they are with axes (--axes)"
        )
    return found


def default_axes(shape: Sequence[int], dtype: np.dtype) -> str:
    """Axes of an array that names none: YX, TYX, TZYX or TCZYX; 8-bit with 3 or 4 last is a picture (…YXS).

    Raises:
        ValueError: For fewer than 2 or more than 5 dimensions.
    """
    ndim = len(shape)
    if ndim >= 3 and dtype == "uint8" and ndim - 1 in DEFAULT_AXES:
        picture = colours_last(DEFAULT_AXES[ndim - 1], colours=True)
        if is_picture(picture, shape):
            return picture
    if ndim < 2:
        return check_axes("YX", ndim)
    if ndim not in DEFAULT_AXES:
        raise ValueError(f"axes: an image of {ndim} dimensions needs axes given (--axes)")
    return DEFAULT_AXES[ndim]


def channel_axis(axes: str) -> int | None:
    """Position of the channel axis (C, else that of colours), None where there is none."""
    return next((axes.index(letter) for letter in ("C", _SAMPLES) if letter in axes), None)


def has_colours(axes: str) -> bool:
    """Whether there is an axis of colours, however many."""
    return _SAMPLES in axes


def colour_count(axes: str, shape: Sequence[int]) -> int:
    """Length of the axis of colours, opacity counted; 1 where there is none."""
    return int(shape[axes.index(_SAMPLES)]) if has_colours(axes) else 1


def is_picture(axes: str, shape: Sequence[int]) -> bool:
    """Whether an image is a picture in colour: three colours, with or without opacity."""
    return colour_count(axes, shape) in (COLOURS, COLOURS + 1)


def without_colours(axes: str) -> str:
    """All other axes."""
    return axes.replace(_SAMPLES, "")


def colours_last(axes: str, *, colours: bool | None = None) -> str:
    """Axes as viewers have them: colours after all others.

    Args:
        axes: One letter per axis.
        colours: Whether there are colours; None: if the axes name them.
    """
    wanted = has_colours(axes) if colours is None else colours
    return without_colours(axes) + (_SAMPLES if wanted else "")


def colours_as_channels(axes: str) -> str:
    """Axes where colours count as channels (C); as they are where there are channels besides."""
    return axes if "C" in axes else axes.replace(_SAMPLES, "C")


def channels_as_colours(axes: str, original: str) -> str:
    """Axes of a file in which the colours of an image are channels, with colours again.

    Args:
        axes: Axes of the file.
        original: Axes of the image; without colours the file's stay as they are.
    """
    kept = has_colours(original) and "C" not in original and not has_colours(axes)
    return axes.replace("C", _SAMPLES) if kept else axes
