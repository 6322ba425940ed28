"""How much of what a TIFF file declares is there: planes with all their bytes, whole steps of dimensions."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np


def leading_count(series: Any) -> int | None:
    """Number of dimensions that count pages; None where pages are no whole steps of dimensions."""
    sizes, planes = series.get_shape(True), _declared_pages(series)
    return next((d for d in range(len(sizes) + 1) if math.prod(sizes[:d]) == planes), None)


def _declared_pages(series: Any) -> int:
    return max(1, math.prod(series.get_shape(False)) // max(1, math.prod(series.keyframe.shape)))


def present_pages(series: Any, path: Path) -> np.ndarray:
    """Which of the declared pages of a series are in its files with all their bytes."""
    declared = _declared_pages(series)
    ends: dict[Any, int] = {}
    present = np.zeros(declared, bool)
    start = None if series.is_multifile else series.dataoffset
    if start is not None and series.keyframe.nbytes:
        present[: (path.stat().st_size - start) // series.keyframe.nbytes] = True
        return present
    for number, page in enumerate(series):
        if page is None or number >= declared:
            continue
        file = page.parent
        if file not in ends:
            ends[file] = Path(file.filehandle.path).stat().st_size
        present[number] = _is_whole(page, ends[file])
    return present


def _is_whole(page: Any, end: int) -> bool:
    starts, counts = page.dataoffsets, page.databytecounts
    if not starts or not any(starts) or not any(counts):
        return False
    return max(start + count for start, count in zip(starts, counts, strict=False)) <= end


def unwritten_parts(series: Any) -> tuple[int, int]:
    """Strips or tiles without any data in planes that are there otherwise, and the number of these planes."""
    parts = planes = 0
    if not series.is_multifile and series.dataoffset is not None:
        return 0, 0
    for page in series:
        if page is None or not any(page.dataoffsets or ()) or not any(page.databytecounts):
            continue
        empty = sum(
            not start or not count
            for start, count in zip(page.dataoffsets, page.databytecounts, strict=False)
        )
        parts, planes = parts + empty, planes + (empty > 0)
    return parts, planes


def whole_prefix(sizes: Sequence[int], planes: int) -> tuple[int, ...]:
    """Sizes of the largest block of whole steps, the outermost first, among the first ``planes`` planes."""
    for axis, size in enumerate(sizes):
        inner = math.prod(sizes[axis + 1 :])
        if planes >= inner:
            return (*(1,) * axis, min(planes // inner, size), *sizes[axis + 1 :])
    return (1,) * len(sizes)


def break_of_chain(tif: Any) -> str:
    """What is wrong with the place of the page after the last that can be read, in words; empty for nothing.

    It may be beyond the end of the file, or lead back to a page before it, and tifffile goes no further then.
    """
    layout, file = tif.tiff, tif.filehandle
    start = tif.pages[len(tif.pages) - 1].offset
    try:
        file.seek(start)
        (entries,) = struct.unpack(layout.tagnoformat, file.read(layout.tagnosize))
        file.seek(start + layout.tagnosize + entries * layout.tagsize)
        (following,) = struct.unpack(layout.offsetformat, file.read(layout.offsetsize))
    except (struct.error, OSError, ValueError):
        following = file.size
    if following > file.size - layout.tagnosize:
        return f"is beyond its end at byte {file.size}"
    return f"(byte {following}) leads back to a page before it, or holds none" if following else ""
