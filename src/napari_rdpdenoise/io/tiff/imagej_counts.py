"""What ImageJ's description counts, and what tifffile makes of it in another way than ImageJ.

The text counts images, frames, slices and channels. Where one of these is no number of planes, as other
programs and people write it, tifffile takes one plane, or gives up: the planes in the file count then.
Of a file of one page, which all planes follow, it takes none that images alone count; ImageJ takes them.
"""

from __future__ import annotations

import math
import re
from typing import Any

_COUNT = re.compile(r"^[ \t]*(images|frames|slices|channels)[ \t]*=([^\r\n]*)", re.MULTILINE)
_IMAGEJ = ("ImageJ=", "SCIFIO=")
_PLAIN = re.compile(r"[1-9][0-9]{0,17}")


def wrong_counts(text: str) -> list[str]:
    """Entries of ImageJ's description that are no numbers of planes, such as ``images=abc``; else none."""
    if not text.startswith(_IMAGEJ):
        return []
    return [found[0].strip() for found in _COUNT.finditer(text) if _count_of(found[2]) is None]


def with_right_counts(text: str, planes: int) -> str:
    """The description with counts that are in the file in the place of those that are none.

    Args:
        text: ImageJ's description.
        planes: Number of planes in the file.
    """
    told = {found[1]: _count_of(found[2]) for found in _COUNT.finditer(text)}
    images = told.get("images") or planes
    rest = max(1, images // math.prod(count or 1 for name, count in told.items() if name != "images"))
    counts = {"images": images}
    for name in ("frames", "slices", "channels"):
        known = told.get(name, 1)
        counts[name], rest = (rest, 1) if known is None else (known, rest)
    return _COUNT.sub(lambda found: f"{found[1]}={counts[found[1]]}", text)


def planes_in(tif: Any) -> int:
    """Number of planes of an open ``tifffile.TiffFile``: its pages, or what follows its only one."""
    page = tif.pages.first
    if len(tif.pages) > 1 or not page.is_final or not page.nbytes:
        return len(tif.pages)
    return max(1, int((tif.filehandle.size - page.dataoffsets[0]) // page.nbytes))


def passes_over_images(tif: Any, series: Any) -> bool:
    """Whether a file of one page counts more images than slices, frames and channels of its series."""
    page, images = tif.pages.first, (tif.imagej_metadata or {}).get("images", 1)
    if series.kind != "imagej" or len(tif.pages) > 1 or not page.is_final or not page.nbytes:
        return False
    taken = max(1, math.prod(series.get_shape(False)) // max(1, math.prod(page.shape)))
    there = (tif.filehandle.size - page.dataoffsets[0]) // page.nbytes
    return bool(images > taken and (taken == 1 or images <= there))


def declared_stack(tif: Any) -> Any:
    """The stack that the description declares, of an uncompressed file of one page, or that holds less."""
    import tifffile

    page, meta = tif.pages.first, tif.imagej_metadata or {}
    if not page.is_final:
        return None
    sizes = {"T": "frames", "Z": "slices", "C": "channels"}
    axes = str(meta.get("order", "czt"))[::-1].upper()
    if sorted(axes) != sorted(sizes):
        axes = "TZC"
    shape = [max(1, int(meta.get(sizes[axis], 1))) for axis in axes]
    images = int(meta.get("images", 1))
    if math.prod(shape) == 1 and images > 1:
        axes, shape = "I", [images]
    elif images > math.prod(shape) and images % math.prod(shape) == 0:
        axes, shape = "I" + axes, [images // math.prod(shape), *shape]
    return tifffile.TiffPageSeries(
        [page], (*shape, *page.shape), page.dtype, axes + page.axes, kind="imagej", truncated=True
    )


def _count_of(value: str) -> int | None:
    """A number of planes; None where it is none."""
    text = value.strip().removesuffix(".0")
    return int(text) if _PLAIN.fullmatch(text) else None
