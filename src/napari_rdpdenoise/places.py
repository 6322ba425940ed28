"""Which paths are one place: not every file system tells upper case from lower, or the forms of accents."""

from __future__ import annotations

import os
import sys
import unicodedata
from pathlib import Path

__all__ = ["place_of", "tells_case_apart"]


def place_of(path: Path | str) -> str:
    """Text that is the same for all paths that name one file or folder, there already or not.

    Links are followed. On file systems that do not tell upper case from lower, as those of Windows and macOS
    mostly do not, neither does the text; on macOS accents are the same in either form of Unicode.
    """
    found = Path(path).resolve()
    text = str(found)
    if sys.platform == "darwin":
        text = unicodedata.normalize("NFC", text)
    return text if tells_case_apart(found.parent) else unicodedata.normalize("NFC", text).casefold()


def tells_case_apart(folder: Path) -> bool:
    """Whether names that differ in case alone are two files below a folder.

    The file system is asked with the name of the folder, or of the nearest one above it that is there and
    has letters; nothing is written. Where none has, the usual of the platform is taken.
    """
    for place in (folder, *folder.parents):
        other = place.with_name(place.name.swapcase()) if place.name else place
        if other.name == place.name or not place.exists():
            continue
        try:
            return not other.samefile(place)
        except OSError:
            return True
    return os.name != "nt" and sys.platform != "darwin"
