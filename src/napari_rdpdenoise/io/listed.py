"""Files that list images and hold none: MetaMorph's ``.nd`` and OME's ``.companion.ome``."""

from __future__ import annotations

import re
from itertools import islice
from pathlib import Path
from typing import NoReturn

_MOST = 2**24  # bytes of a list that are read


def refuse_list(path: Path) -> NoReturn:
    """Refuse a list of images, with the names of those that lie beside it.

    Raises:
        ValueError: Always.
    """
    with path.open("rb") as file:
        text = file.read(_MOST).decode("utf-8", "replace")
    if path.name.lower().endswith(".nd"):
        kind, names = "a MetaMorph list of files", _beside(path)
    else:
        kind, names = "an OME companion file", _named(path, text)
    found = f": {', '.join(names)}" if names else "; none of its images lies beside it"
    raise ValueError(
        f"image: expected an image, found {kind} at {path}, which holds no pixels{found}; open one of the "
        "images, or several as one with a pattern and --stack T | Z | C"
    )


def _beside(path: Path) -> list[str]:
    """First TIFF files that begin with the name of a list."""
    files = (file.name for file in sorted(path.parent.iterdir()) if file.name.startswith(path.stem))
    return list(islice((name for name in files if name.lower().endswith((".tif", ".tiff", ".stk"))), 3))


def _named(path: Path, text: str) -> list[str]:
    """First files that a companion file names and that are there."""
    names = dict.fromkeys(re.findall(r'\bFileName="([^"]+)"', text))
    return list(islice((name for name in names if (path.parent / name).is_file()), 3))
