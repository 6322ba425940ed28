"""Micro-Manager files (MMStack) that end before their index, which is written when an acquisition ends.

Without the index nothing counts the planes as positions, times, slices and channels. Each plane has a text of
its own that does, after its pixels; where that is lost too, as always that of a plane in which the file ends,
planes follow one another as the summary at the beginning of the file says::

    summary  plane text  plane text  plane te|
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from napari_rdpdenoise.io.source import Index

_SIZES = {"R": "Positions", "T": "Frames", "Z": "Slices", "C": "Channels"}
_PLACES = {"R": "PositionIndex", "T": "FrameIndex", "Z": "SliceIndex", "C": "ChannelIndex"}
_MOST_READ = 5000  # planes whose texts are read one by one
_MOST_PLANES = 10_000_000  # that a summary may claim


def series_without_index(tif: Any) -> tuple[Any, str]:
    """Planes of such a file as one series, and what is to be told of them.

    Args:
        tif: Open ``tifffile.TiffFile`` of Micro-Manager.

    Returns:
        Series, or None where it cannot be known which plane is what, and a sentence.
    """
    import tifffile

    summary = (tif.micromanager_metadata or {}).get("Summary")
    told = summary if isinstance(summary, Mapping) else {}
    axes = ("TR" if told.get("TimeFirst", True) else "RT") + ("ZC" if told.get("SlicesFirst", True) else "CZ")
    claimed = [_claimed(told.get(_SIZES[letter])) for letter in axes]
    begun = f"{tif.filename} ends without the index that Micro-Manager writes last"
    places, said = _places(tif, axes, claimed)
    if not places:
        return None, (
            f"{begun}, and neither its planes nor its summary say of which position, time, slice and channel "
            "each is: they are taken one after the other, whatever they are of"
        )
    reached = [1 + max(index[k] for index in places) for k in range(len(axes))]
    # a position that was never reached is no image
    shape = [
        have if letter == "R" else max(have, size)
        for letter, have, size in zip(axes, reached, claimed, strict=True)
    ]
    if math.prod(shape) > _MOST_PLANES:
        shape = reached
    pages: list[Any] = [None] * math.prod(shape)
    for number, place in enumerate(places):
        pages[int(np.ravel_multi_index(place, shape))] = tif.pages[number]
    page = tif.pages.first
    series = tifffile.TiffPageSeries(
        pages, (*shape, *page.shape), page.dtype, axes + page.axes, parent=tif, kind="mmstack"
    )
    by = "what it says of each" if said else "the order in which its summary says that they were taken"
    return series, f"{begun}: its planes are told apart by {by}"


def _places(tif: Any, axes: str, claimed: list[int]) -> tuple[list[Index], bool]:
    """Where each plane belongs, nothing where that is not known, and whether planes themselves say it."""
    found: list[Index] = []
    count, said = len(tif.pages), 0
    for number in range(count):
        place = _told(tif.pages[number], axes) if count <= _MOST_READ else None
        said += place is not None
        place = place or _following(found[-1] if found else None, claimed)
        if place is None:
            return [], False
        found.append(place)
    return (found if len(set(found)) == count else []), said > 0


def _told(page: Any, axes: str) -> Index | None:
    """Where a plane belongs by its own text; None where it does not say."""
    try:
        text = page.aspage().tags["MicroManagerMetadata"].value
        place = tuple(int(text[_PLACES[letter]]) for letter in axes)
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
    return place if min(place) >= 0 else None


def _following(last: Index | None, sizes: list[int]) -> Index | None:
    """Where the plane after another one belongs, as planes are taken; None after the last one."""
    if last is None:
        return (0,) * len(sizes)
    if any(k >= size for k, size in zip(last, sizes, strict=True)):
        return None
    number = int(np.ravel_multi_index(last, sizes)) + 1
    return tuple(int(k) for k in np.unravel_index(number, sizes)) if number < math.prod(sizes) else None


def _claimed(value: Any) -> int:
    """A size that the summary claims; 1 where it is none."""
    try:
        return max(1, int(value))
    except (TypeError, ValueError):
        return 1
