"""What a TIFF file holds beside its pixels that no result keeps, in words."""

from __future__ import annotations

import re
from typing import Any


def left_out(tif: Any, name: str) -> list[str]:
    """Sentences on drawings and on metadata that lie in another file; empty where there are none.

    Args:
        tif: Open ``tifffile.TiffFile``.
        name: Name of the file.
    """
    ome, imagej = tif.ome_metadata or "", (tif.imagej_metadata or {}) if tif.is_imagej else {}
    drawn = "ROI" in imagej or "Overlays" in imagej or re.search(r"<(\w+:)?ROI\b", ome) is not None
    found = []
    if drawn:
        found.append(f"{name} has regions or overlays drawn on it: the result does not keep them")
    companion = re.search(r'<(?:\w+:)?BinaryOnly\b[^>]*\bMetadataFile="([^"]*)"', ome)
    if companion is not None:
        found.append(
            f"{name} is a part of a set that {companion.group(1)} describes: its pixels are read alone, "
            "without scale and names (several files as one: a pattern with --stack T | Z | C)"
        )
    return found
