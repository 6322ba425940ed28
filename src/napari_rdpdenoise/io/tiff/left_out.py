"""What a TIFF file holds beside its pixels that no result keeps, or that puts them in doubt, in words."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np

from napari_rdpdenoise.io.ome_mending import is_ome, why_unread
from napari_rdpdenoise.io.tiff.imagej_counts import wrong_counts

_LEAP = 0.1  # mean step from one colour of a palette to the next, of its range, above which it is no ramp


def left_out(tif: Any, name: str) -> list[str]:
    """Sentences on drawings and on metadata that lie in another file; empty where there are none.

    Args:
        tif: Open ``tifffile.TiffFile``.
        name: Name of the file.
    """
    ome, imagej = tif.ome_metadata or "", (tif.imagej_metadata or {}) if tif.is_imagej else {}
    drawn = "ROI" in imagej or "Overlays" in imagej or re.search(r"<(\w+:)?ROI\b", ome) is not None
    text = str(tif.pages.first.description)
    found = [fault] if is_ome(text) and (fault := why_unread(text, name)) else []
    if tif.is_imagej and (wrong := wrong_counts(str(tif.pages.first.tags.valueof("ImageDescription", "")))):
        found.append(
            f"{name} says {', '.join(wrong)} in its ImageJ description, which is no number of planes: "
            "those that are in the file are taken"
        )
    if undescribed := _undescribed(tif):
        pages = "1 page" if undescribed == 1 else f"{undescribed} pages"
        found.append(
            f"{name} has {pages} more than its metadata describe: left out (if they belong to the image, "
            "save it anew with the program that made it)"
        )
    if drawn:
        found.append(f"{name} has regions or overlays drawn on it: the result does not keep them")
    companion = re.search(r'<(?:\w+:)?BinaryOnly\b[^>]*\bMetadataFile="([^"]*)"', ome)
    if companion is not None:
        found.append(
            f"{name} is a part of a set that {companion.group(1)} describes: its pixels are read alone, "
            "without scale and names (several files as one: a pattern with --stack T | Z | C)"
        )
    turned = tif.pages.first.tags.valueof("Orientation", 1)
    if turned in range(2, 9):
        found.append(
            f"{name} is to be shown turned or mirrored (orientation {int(turned)}): the result has its rows "
            "as they are stored, and does not say so"
        )
    if _numbers_colours(tif.pages.first.colormap):
        found.append(
            f"{name} holds numbers of colours of a palette in no order of brightness: if these are not "
            "light, save it as RGB, or give the image that it was made from"
        )
    return found


def _undescribed(tif: Any) -> int:
    """Number of pages that are in none of the images of OME-XML or of ImageJ's description."""
    if not (tif.is_ome or tif.is_imagej) or any(one.kind not in ("ome", "imagej") for one in tif.series):
        return 0
    declared = [math.prod(one.shape) // max(1, math.prod(one.keyframe.shape)) for one in tif.series]
    if any(one.is_multifile for one in tif.series):
        declared = [sum(page is not None and page.parent is tif for page in one) for one in tif.series]
    return max(0, len(tif.pages) - sum(declared))


def _numbers_colours(palette: Any) -> bool:
    """Whether neighbours of a palette, (3, colours), are so different that it is no ramp of brightness."""
    if palette is None:
        return False
    colours = np.asarray(palette, np.float64)
    return float(np.abs(np.diff(colours, axis=1)).mean()) > _LEAP * max(float(np.ptp(colours)), 1.0)
